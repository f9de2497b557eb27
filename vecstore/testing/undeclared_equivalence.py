"""Random filters on undeclared keys beside declared ones, and after random writes: what plain Python finds, too."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import strategies as st

from ..database import Database
from ..filters.field_ref import F, FieldRef
from ..filters.nodes import ALL, And, Compare, CompareKey, Filter, Not, Or
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .corpus import list_accepted
from .example_counts import choose_counts
from .filter_equivalence import (
    COMPARISONS,
    IDS,
    PARTS,
    SCHEMA,
    VECTOR,
    WORDS,
    check_filters,
    conditions,
    drawn_metadata,
)
from .filter_equivalence import holds as holds_declared
from .place import Place, Places

DEPTH = 4
DYNAMIC = replace(SCHEMA, dynamic=True)
_DRAW = random.Random("the same undeclared metadata for all backends")

KEYS = ["n", "id", "a.b", "Page Number", "it's", '"', "$eq", "é", "e\u0301", "", "k" * 512, "@n:[0 1]", "text", "\\"]
PATHS: list[tuple[str, ...]] = [*((key,) for key in KEYS), ("o", "n"), ("o", "p", "a.b"), ("o", "p"), ("n", "x")]
NUMBERS: list[Any] = [
    0, 1, -1, 2, 1.0, 0.5, -0.0, 0.1, 0.1 + 2**-56, 2**53, 2**53 + 1, -(2**53) - 1, 2**63, 2**64 + 1, 10**30, 1e30,
    1.7e308, 10**309, -(10**400), 5e-324, -5e-324, 1e-300, 123456789012345678, 1e16, 1e22, 1e23, 123e-7,
]  # fmt: skip
STRINGS = [*WORDS, "1", "true", "0.5", "\ue000", "\U0001f600", *_DRAW.sample(list_accepted(0, 1024), 10)]
SCALARS: list[Any] = [*NUMBERS, *STRINGS, True, False]


def draw_value(depth: int = 1) -> Any:
    """Draw a value of any class; a null too, which is missing at the top and in an object."""
    kind = _DRAW.random()
    if kind < 0.4:
        return _DRAW.choice(NUMBERS)
    if kind < 0.7:
        return _DRAW.choice(STRINGS)
    if kind < 0.78:
        return _DRAW.choice([True, False])
    if kind < 0.82 or depth > 2:
        return None
    if kind < 0.95:
        return [draw_value(depth + 1) for _ in range(_DRAW.randrange(4))]
    return {_DRAW.choice(["n", "x", "a.b"]): draw_value(depth + 1) for _ in range(_DRAW.randrange(3))}


def draw_undeclared() -> dict[str, Any]:
    found = {key: draw_value() for key in KEYS if _DRAW.random() < 0.6}
    inner = {"n": draw_value(), "p": {"a.b": draw_value()} if _DRAW.random() < 0.7 else draw_value()}
    return {**found, **({"o": inner} if _DRAW.random() < 0.8 else {})}


BOOKS = [Record(id_, VECTOR, metadata={**draw_undeclared(), **drawn_metadata()}) for id_ in IDS]


def nearest_double(number: Any) -> Fraction:
    """Return the value that a filter takes a number for: that of the nearest finite double."""
    largest = Fraction(2) ** 1024 - Fraction(2) ** 971
    exact = Fraction(number)
    if abs(exact) > largest:
        return largest if exact > 0 else -largest
    return Fraction(float(exact))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def are_equal(stored: Any, value: Any) -> bool:
    if isinstance(stored, bool) or isinstance(value, bool):
        return stored is value
    if is_number(stored) and is_number(value):
        return nearest_double(stored) == nearest_double(value)
    if isinstance(stored, list) and isinstance(value, list):
        return len(stored) == len(value) and all(map(are_equal, stored, value))
    return isinstance(stored, str) and isinstance(value, str) and stored == value


def is_less(one: Any, other: Any) -> bool:
    if is_number(one) and is_number(other):
        return nearest_double(one) < nearest_double(other)
    return isinstance(one, str) and isinstance(other, str) and [*map(ord, one)] < [*map(ord, other)]


def has_item(stored: Any, value: Any) -> bool:
    return isinstance(stored, list) and any(are_equal(item, value) for item in stored)


def is_as_large(one: Any, other: Any) -> bool:
    both = (is_number(one) and is_number(other)) or (isinstance(one, str) and isinstance(other, str))
    return both and not is_less(one, other)


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": are_equal,
    "in": lambda stored, values: any(are_equal(stored, value) for value in values),
    "lt": is_less,
    "lte": lambda stored, value: is_as_large(value, stored),
    "gt": lambda stored, value: is_less(value, stored),
    "gte": is_as_large,
    "exists": lambda stored, value: True,
    "contains_any": lambda stored, values: any(has_item(stored, value) for value in values),
    "starts_with": lambda stored, value: isinstance(stored, str) and stored.startswith(value),
    "contains_text": lambda stored, value: isinstance(stored, str) and value in stored,
    "contains_all": lambda stored, values: len(values) > 0 and all(has_item(stored, value) for value in values),
}


def holds(where: Filter, record: Record) -> bool:
    """Say whether a filter, as a user wrote it, is true of a record, as a user wrote it."""
    match where:
        case And(items):
            return all(holds(item, record) for item in items)
        case Or(items):
            return any(holds(item, record) for item in items)
        case Not(item):
            return not holds(item, record)
        case Compare(name, _, _) if name == "id" or name in SCHEMA.fields:
            return holds_declared(where, record)
        case Compare(name, op, value):
            return _holds_at((name,), op, value, record)
        case CompareKey(path, op, value):
            return _holds_at(path, op, value, record)
    raise AssertionError(where)


def _holds_at(path: tuple[str, ...], op: str, value: Any, record: Record) -> bool:
    stored: Any = record.metadata
    for key in path:
        stored = stored.get(key) if isinstance(stored, Mapping) else None
    return stored is not None and _TESTS[op](stored, value)


def refer(path: tuple[str, ...]) -> FieldRef:
    return F[path[0]] if len(path) == 1 else F.path(*path)


_NUMBERS = st.sampled_from(NUMBERS) | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
_SCALARS = st.sampled_from(SCALARS) | st.sampled_from(STRINGS) | _NUMBERS
_LISTS = st.sampled_from(
    [
        value
        for book in BOOKS
        for value in book.metadata.values()
        if isinstance(value, list) and "None" not in f"{value}"
    ]
    + [[], [1], ["a", True], [[1]]]
).filter(lambda found: "{" not in repr(found))
_VALUES = st.one_of(_SCALARS, _SCALARS, _SCALARS, _LISTS)


def comparisons(path: tuple[str, ...]) -> st.SearchStrategy[Filter]:
    """Draw one condition on a key or a path."""
    ref = refer(path)
    scalars, values = st.lists(_SCALARS, max_size=4), st.lists(_VALUES, max_size=4)
    order = [ref.__lt__, ref.__le__, ref.__gt__, ref.__ge__]
    return st.one_of(
        _VALUES.map(ref.__eq__), _VALUES.map(ref.__ne__), values.map(ref.in_), values.map(ref.not_in),
        st.sampled_from([ref.exists(), ref.is_missing()]), *map(_SCALARS.map, order), *map(_NUMBERS.map, order),
        st.builds(ref.between, _NUMBERS, _NUMBERS), _VALUES.map(ref.__le__), _SCALARS.map(ref.contains),
        scalars.map(ref.contains_any), scalars.map(ref.contains_all), PARTS.map(ref.starts_with),
        PARTS.map(ref.contains_text),
    )  # fmt: skip


_UNDECLARED = st.sampled_from(PATHS).flatmap({path: comparisons(path) for path in PATHS}.__getitem__)
ANY = st.one_of(_UNDECLARED, _UNDECLARED, COMPARISONS)


class UndeclaredEquivalenceTests(Places):
    """Count, scan and search find the records of which a filter on undeclared keys is true, and no others."""

    @pytest.fixture(scope="class")
    @classmethod
    def books(cls, library: Database) -> VectorStore:
        store = library.create("books", DYNAMIC)
        store.insert(BOOKS)
        return store

    def test_random_filters(
        self, place: Place, books: VectorStore, record_property: Callable[[str, object], None]
    ) -> None:
        examples = choose_counts(place).filters
        record_property("summary", f"{examples} filters on undeclared keys on {type(place).__name__}: no difference")
        check_filters(conditions(ANY), examples, books, BOOKS, holds)


class UndeclaredChangeTests(Places):
    """Filters on undeclared keys follow every kind of write, also those of another connection."""

    FILTERS: Sequence[Filter] = (
        F["n"] == 1, F["n"] == True, F["n"] == "1", F["n"] > 0, F["n"].exists(), F["n"].contains("a"),  # noqa: E712
        F.path("o", "n") == 1, F.path("o", "n") >= "a", F["Page Number"].in_([1, "a", False]), F["late"] == 1,
    )  # fmt: skip

    def test_random_writes(self, place: Place, seed: int) -> None:
        draw = random.Random(seed)
        with place.connect() as db, place.connect() as other:
            schema = Schema(dim=2, index=Flat(), dynamic=True)
            store = db.create("changed", schema)
            present: dict[str, Record] = {}
            stores = [store, other.open("changed") if place.shared else store]
            for step in range(60):
                self._change(draw, stores[step % 2], present, late=step > 30)
                for where in self.FILTERS if step % 5 == 0 else draw.sample(self.FILTERS, 2):
                    expected = {id_ for id_, record in present.items() if holds(where, record)}
                    for each in stores:
                        assert {record.id for record in each.scan(where)} == expected, (step, where)
                    assert store.count(~where) == len(present) - len(expected)

    def _change(self, draw: random.Random, store: VectorStore, present: dict[str, Record], *, late: bool) -> None:
        values: list[Any] = [0, 1, 1.0, True, False, "1", "a", "", ["a"], ["b", 1], [], {"n": 1}, None, 2**53 + 1]
        kinds = [{"n": draw.choice(values)}, {"o": {"n": draw.choice(values)}}, {"Page Number": draw.choice(values)}]
        metadata = {key: value for kind in kinds if draw.random() < 0.7 for key, value in kind.items()}
        metadata |= {"late": 1} if late else {}
        ids = [f"id{draw.randrange(40)}" for _ in range(draw.randrange(1, 12))]
        match draw.randrange(5):
            case 0 | 1:
                records = [Record(id_, VECTOR, metadata=metadata) for id_ in ids]
                store.upsert(records)
                present |= {record.id: record for record in records}
            case 2:
                known = [id_ for id_ in set(ids) if id_ in present]
                assert store.update(ids=ids, metadata=metadata or {"n": 1}) == len(known)
                for id_ in known:
                    old = present[id_]
                    present[id_] = replace(old, metadata={**old.metadata, **(metadata or {"n": 1})})
            case 3:
                where = draw.choice(self.FILTERS)
                gone = [id_ for id_, record in present.items() if holds(where, record)][:3]
                assert store.delete(where=where & F.id.in_(gone)) == len(gone)
                for id_ in gone:
                    del present[id_]
            case 4:
                where = draw.choice([*self.FILTERS, ALL])
                chosen = [id_ for id_, record in present.items() if holds(where, record)]
                assert store.update(where=where, metadata={"n": "1"}, unset=["o"]) == len(chosen)
                for id_ in chosen:
                    kept = {key: value for key, value in present[id_].metadata.items() if key != "o"}
                    present[id_] = replace(present[id_], metadata={**kept, "n": "1"})
