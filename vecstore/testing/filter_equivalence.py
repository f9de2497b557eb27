"""Random filters: a backend finds what plain Python finds in the same records."""

from __future__ import annotations

import json
import operator
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from operator import and_, invert, or_
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .. import fields
from ..database import Database
from ..filters.dict_form import to_dict
from ..filters.field_ref import F
from ..filters.nodes import ALL, NOTHING, And, Compare, Filter, Not, Or
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .corpus import list_accepted
from .example_counts import choose_counts
from .place import Place, Places

DEPTH = 5
RECORDS = 120
VECTOR = [1.0, 2.0]
SCHEMA = Schema(
    dim=2,
    index=Flat(),
    fields={
        "word": fields.Keyword(),
        "tags": fields.Keywords(),
        "whole": fields.Int(),
        "real": fields.Float(),
        "yes": fields.Bool(),
        "at": fields.DateTime(),
    },
)

_DRAW = random.Random("one set of records for all backends")
_NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
# Few enough that a filter often finds something, odd enough that a careless compiler finds something else.
WORDS = ["", " ", "a", "A", "a ", "a,b", "b", "é", "e\u0301", "ß", "SS", "'", "\\", "%", "*", "None", "0", "\x01"]
POOLS: Mapping[str, Sequence[Any]] = MappingProxyType(
    {
        "word": WORDS + _DRAW.sample([value for value in list_accepted(0, 1024) if value not in WORDS], 12),
        "whole": [-(2**53), -(2**53) + 1, -1, 0, 1, 2, 3, 2**31, 2**53 - 1, 2**53],
        "real": [-1.7e308, -1.0, -1e-300, 0.0, 5e-324, 0.1, 0.1 + 2**-56, 0.5, 1.0, 2.0**53, 1.7e308],
        "yes": [True, False],
        "at": [
            *(
                _NOON + days * timedelta(days=1) + micros * timedelta.resolution
                for days in (-1, 0, 1)
                for micros in (0, 1)
            ),
            datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
            datetime(1700, 1, 1, tzinfo=UTC),
        ],
    }
)
ZONES = (UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=3, minutes=30)))


def drawn_metadata() -> dict[str, Any]:
    values: dict[str, Any] = {name: _DRAW.choice(pool) for name, pool in POOLS.items()}
    values["tags"] = _DRAW.choices(POOLS["word"][:8], k=_DRAW.randrange(5))
    return {name: value for name, value in values.items() if _DRAW.random() < 0.75}


IDS = _DRAW.sample(list_accepted(1, 512), RECORDS)
BOOKS = [Record(id_, VECTOR, metadata=drawn_metadata()) for id_ in IDS]

_TESTS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "eq": operator.eq,
        "in": lambda actual, values: any(actual == value for value in values),
        "lt": operator.lt,
        "lte": operator.le,
        "gt": operator.gt,
        "gte": operator.ge,
        "exists": lambda actual, value: True,
        "contains_any": lambda actual, values: not set(actual).isdisjoint(values),
        "contains_all": lambda actual, values: len(values) > 0 and set(actual).issuperset(values),
        "starts_with": str.startswith,
        "contains_text": operator.contains,
    }
)


def holds(where: Filter, record: Record) -> bool:
    """Say whether a filter, as a user wrote it, is true of a record, as a user wrote it."""
    match where:
        case And(items):
            return all(holds(item, record) for item in items)
        case Or(items):
            return any(holds(item, record) for item in items)
        case Not(item):
            return not holds(item, record)
        case Compare(name, op, value):
            actual = record.id if name == "id" else record.metadata.get(name)
            return actual is not None and _TESTS[op](actual, value)
    raise AssertionError(where)


def _with_zone(moment: datetime, zone: timezone) -> datetime:
    return moment.replace(tzinfo=UTC).astimezone(zone)


# What a field is compared with: mostly a value that some record has.
_WORDS = st.sampled_from(POOLS["word"]) | st.sampled_from(POOLS["word"][:8]) | st.sampled_from(list_accepted(0, 1024))
_MOMENTS = st.sampled_from(POOLS["at"]) | st.datetimes(datetime(1690, 1, 1), datetime(2250, 1, 1))
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
OPERANDS: Mapping[str, st.SearchStrategy[Any]] = MappingProxyType(
    {
        "id": st.sampled_from(IDS) | st.sampled_from(list_accepted(1, 512)),
        "word": _WORDS,
        "tags": _WORDS,
        "whole": st.sampled_from(POOLS["whole"])
        | st.integers(-(2**53), 2**53)
        | st.sampled_from([-0.5, 0.5, 1.0, 2.5, 2.0**52 + 0.5, -(2.0**53)])
        | st.floats(-5, 5),
        "real": st.sampled_from(POOLS["real"]) | _FLOATS | st.integers(-3, 3),
        "yes": st.booleans(),
        "at": st.builds(_with_zone, _MOMENTS, st.sampled_from(ZONES)),
    }
)


# Parts of stored words, often a single character, some of them signs in the pattern language of some engine.
PARTS = st.builds(
    lambda word, start, length: word[start : start + length] or word[:1] or "a",
    st.sampled_from(POOLS["word"]),
    st.integers(0, 3),
    st.integers(1, 4),
) | st.sampled_from(["%", "_", "*", "?", "\\", "'", "a", "e", "[", "^a", "a*", "h", "p", "61"])


def comparisons(name: str) -> st.SearchStrategy[Filter]:
    """Draw one condition on a field."""
    ref, value = F.id if name == "id" else F[name], OPERANDS[name]
    values = st.lists(value, max_size=6)
    present = st.sampled_from([ref.exists(), ref.is_missing()])
    if name == "tags":
        return st.one_of(values.map(ref.contains_any), values.map(ref.contains_all), value.map(ref.contains), present)
    equal = [value.map(ref.__eq__), value.map(ref.__ne__), values.map(ref.in_), values.map(ref.not_in), present]
    if name == "word":
        equal += [PARTS.map(ref.starts_with), PARTS.map(ref.contains_text)]
    if name in {"whole", "real", "at"}:
        compare = [ref.__lt__, ref.__le__, ref.__gt__, ref.__ge__]
        equal += [*map(value.map, compare), st.builds(ref.between, value, value)]
    return st.one_of(equal)


COMPARISONS = st.sampled_from(["id", *SCHEMA.fields]).flatmap(
    {name: comparisons(name) for name in OPERANDS}.__getitem__
) | st.sampled_from([ALL, NOTHING])


def conditions(comparisons: st.SearchStrategy[Filter] = COMPARISONS, depth: int = DEPTH) -> st.SearchStrategy[Filter]:
    """Draw an expression of at most ``depth`` levels over these comparisons."""
    if depth == 1:
        return comparisons
    smaller = conditions(comparisons, depth - 1)
    two = st.tuples(smaller, smaller)
    return st.one_of(
        comparisons, two.map(lambda pair: and_(*pair)), two.map(lambda pair: or_(*pair)), smaller.map(invert)
    )


def check_filters(
    drawn: st.SearchStrategy[Filter],
    examples: int,
    store: VectorStore,
    records: Sequence[Record],
    holds: Callable[[Filter, Record], bool],
) -> None:
    """Check that count, scan and search find the records of which a drawn filter is true, and no others."""

    @settings(
        deadline=None,
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(drawn)
    def check(where: Filter) -> None:
        expected = {record.id for record in records if holds(where, record)}
        assert {record.id for record in store.scan(where)} == expected
        spelled = json.loads(json.dumps(to_dict(where)))
        assert store.count(spelled) == len(expected)
        assert {hit.id for hit in store.search(VECTOR, len(records), where=spelled, include=())} == expected

    check()


class FilterEquivalenceTests(Places):
    """Count, scan and search find the records of which the filter is true, and no others."""

    @pytest.fixture(scope="class")
    @classmethod
    def books(cls, library: Database) -> VectorStore:
        store = library.create("books", SCHEMA)
        store.insert(BOOKS)
        return store

    def test_random_filters(
        self, place: Place, books: VectorStore, record_property: Callable[[str, object], None]
    ) -> None:
        examples = choose_counts(place).filters
        record_property("summary", f"{examples} random filters on {type(place).__name__}: no difference")
        check_filters(conditions(), examples, books, BOOKS, holds)
