"""`VectorStore.values` and `VectorStore.keys`: values of a field and keys of metadata, in how many records each is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import and_
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..database import Database
from ..errors import InvalidArgument, InvalidFilter, UnknownField, VecstoreError
from ..filters.dict_form import to_dict
from ..filters.field_ref import F
from ..filters.nodes import ALL, Filter
from ..index_options import Flat
from ..metadata_keys import MetadataKey
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .example_counts import choose_counts
from .filter_equivalence import BOOKS, SCHEMA, VECTOR, conditions, holds
from .place import Place, Places
from .undeclared_equivalence import BOOKS as UNDECLARED_BOOKS
from .undeclared_equivalence import DYNAMIC, PATHS

MANY = 2_300
"""More records than a backend looks at in one step."""
# Each filter takes a backend without a planner of its own to another strategy.
SEVERAL = reduce(and_, [(F.whole != number) | (F.word == "a") for number in range(12)])
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


def tally(records: Sequence[Record], field: str, where: Filter = ALL) -> list[tuple[Any, int]]:
    """Count in plain Python."""
    counts = Counter[Any]()
    for record in records:
        value = record.metadata.get(field)
        if value is not None and holds(where, record):
            counts.update(set(value) if isinstance(value, list) else [value])
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def make_many() -> list[Record]:
    """Return records whose values are near each other, and often the same."""
    words = ["", "a", "A", "a,b", "é", "e\u0301", "%", "l", "x" * 1024]
    wholes = [2**53, 2**53 - 1, -(2**53), -(2**53) + 1, 123_456_789_012_345, 123_456_789_012_346, 0, -1, 10**6]
    reals = [0.1, 0.1 + 2**-56, 1 / 3, 123_456_789.123_456_789, 123_456_789.123_456_79, 5e-324, -1.7e308, 3.0]
    records = []
    for number in range(MANY):
        values = {
            "word": words[number % len(words)],
            "tags": [words[number % len(words)], "every", *words[: number % 3], "every"][: number % 5],
            "whole": wholes[number % 7 if number % 2 else number % len(wholes)],
            "real": reals[number % len(reals)],
            "yes": number % 3 == 0,
            "at": NOON + timedelta(microseconds=number % 11, days=365 * (number % 2) * 200),
        }
        kept = {name: value for place, (name, value) in enumerate(values.items()) if (number + place) % 6}
        records.append(Record(f"r{number:05}", VECTOR, metadata=kept))
    return records


def read_keys(store: VectorStore) -> dict[str, MetadataKey]:
    """Return the keys of a store by name, in their order."""
    listed = store.keys()
    return {key.name: key for key in listed}


class ValuesTests(Places):
    """Values of declared fields with their counts."""

    @pytest.fixture(scope="class")
    @classmethod
    def books(cls, library: Database) -> VectorStore:
        store = library.create("books", SCHEMA)
        store.insert(BOOKS)
        return store

    @pytest.fixture(scope="class")
    @classmethod
    def many(cls, library: Database) -> VectorStore:
        store = library.create("many", SCHEMA)
        store.insert(make_many())
        return store

    @pytest.mark.parametrize("field", SCHEMA.fields)
    def test_all_values_in_order(self, books: VectorStore, many: VectorStore, field: str) -> None:
        for store, records in ((books, BOOKS), (many, make_many())):
            expected = tally(records, field)
            found = store.values(field)
            assert found == expected
            assert [type(value) for value, _ in found] == [type(value) for value, _ in expected]
            for limit in (0, 1, 2, 5, len(expected), 10**6):
                assert store.values(field, limit=limit) == expected[:limit]

    @pytest.mark.parametrize("field", SCHEMA.fields)
    @pytest.mark.parametrize(
        "where",
        [F.whole > 0, F.word == "a", F.word.is_missing(), F.yes == True, SEVERAL, F.real < 1],  # noqa: E712
        ids=["range", "word", "missing", "bool", "several", "float"],
    )
    def test_of_the_matching_records(self, many: VectorStore, field: str, where: Filter) -> None:
        expected = tally(make_many(), field, where)
        assert many.values(field, where) == expected
        assert many.values(field, where, limit=2) == expected[:2]
        assert many.values(field, to_dict(where)) == expected

    def test_random_filters(self, place: Place, books: VectorStore) -> None:
        @settings(
            deadline=None,
            max_examples=max(20, choose_counts(place).filters // 10),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.sampled_from(list(SCHEMA.fields)), conditions(), st.none() | st.integers(1, 5))
        def check(field: str, where: Filter, limit: int | None) -> None:
            spelled = json.loads(json.dumps(to_dict(where)))
            assert books.values(field, spelled, limit=limit) == tally(BOOKS, field, where)[:limit]

        check()

    def test_a_count_is_that_of_count(self, many: VectorStore) -> None:
        for value, number in many.values("tags", F.yes == False):  # noqa: E712
            assert many.count((F.yes == False) & F.tags.contains(value)) == number  # noqa: E712
        for name in ("word", "whole", "real", "yes", "at"):
            for value, number in many.values(name, limit=4):
                assert many.count(F[name] == value) == number

    def test_after_changes(self, place: Place, db: Database) -> None:
        store = db.create("books", SCHEMA)
        assert store.values("word") == []
        store.insert(Record(f"r{number}", VECTOR, metadata={"word": "ab"[number % 2]}) for number in range(9))
        assert store.values("word") == [("a", 5), ("b", 4)]
        store.update(ids=["r0", "r2"], metadata={"word": "c"})
        store.delete(ids=["r1"])
        assert store.values("word") == [("a", 3), ("b", 3), ("c", 2)]
        store.update(where=F.word == "c", unset=["word"])
        assert store.values("word") == [("a", 3), ("b", 3)]
        raw = place.raw("books")
        if raw is not None:
            assert Counter(each.metadata.get("word") for each in raw.values()) == {"a": 3, "b": 3, None: 2}
        store.delete(where=ALL)
        assert store.values("word") == []

    @pytest.mark.parametrize(
        "call, error",
        [
            (lambda store: store.values("wrod"), UnknownField),
            (lambda store: store.values("id"), UnknownField),
            (lambda store: store.values("wrod", limit=0), UnknownField),
            (lambda store: store.values(F.word), InvalidArgument),
            (lambda store: store.values(["word"]), InvalidArgument),
            (lambda store: store.values("word", limit=-1), InvalidArgument),
            (lambda store: store.values("word", limit=1.5), InvalidArgument),
            (lambda store: store.values("word", {}), InvalidFilter),
            (lambda store: store.values("word", F.whole == "1"), InvalidFilter),
            (lambda store: store.values("word", F.wrod == "1"), UnknownField),
        ],
    )
    def test_what_is_refused(
        self, books: VectorStore, call: Callable[[VectorStore], object], error: type[VecstoreError]
    ) -> None:
        with pytest.raises(error):
            call(books)


class UndeclaredValuesTests(Places):
    """Values of keys that nobody declared."""

    @pytest.fixture(scope="class")
    @classmethod
    def books(cls, library: Database) -> VectorStore:
        store = library.create("undeclared", DYNAMIC)
        store.insert(UNDECLARED_BOOKS)
        return store

    def test_values_are_those_that_filters_find(self, books: VectorStore) -> None:
        for key in (each[0] for each in PATHS if len(each) == 1):
            found = books.values(key)
            assert found == sorted(found, key=lambda item: (-item[1], *rank(item[0])))
            assert len({rank(value) for value, _ in found}) == len(found)
            assert books.values(key, limit=2) == found[:2]
            for value, count in found[:4]:
                assert count == books.count((F[key] == value) | F[key].contains(value)) > 0
                where = F.word.exists() & ((F[key] == value) | F[key].contains(value))
                within = {rank(each): number for each, number in books.values(key, F.word.exists())}
                assert within.get(rank(value), 0) == books.count(where)

    def test_classes_stay_apart(self, db: Database) -> None:
        store = db.create("classes", Schema(dim=2, index=Flat(), dynamic=True))
        given: list[Any] = [
            1,
            1.0,
            True,
            "1",
            [1, "1", [1], None, {"a": 1}, 1],
            {"a": 1},
            None,
            False,
            2**60,
            -0.0,
            [],
            0.5,
        ]
        store.insert(Record(f"r{number:02}", VECTOR, metadata={"k": value}) for number, value in enumerate(given))
        assert [(type(value), value, count) for value, count in store.values("k")] == [
            (int, 1, 3), (str, "1", 2), (bool, False, 1), (bool, True, 1), (int, 0, 1), (float, 0.5, 1),
            (float, 2.0**60, 1),
        ]  # fmt: skip
        assert store.values("nowhere") == []
        for bad in ("x" * 513, "a\0", "\ud800"):
            with pytest.raises(InvalidFilter):
                store.values(bad)


def rank(value: object) -> tuple[str, Any]:
    """Return what orders values of several classes, and keeps them apart."""
    return ("bool" if isinstance(value, bool) else "str" if isinstance(value, str) else "number"), value


class KeysTests(Places):
    """The keys of all metadata."""

    def test_an_empty_store_has_its_fields(self, db: Database) -> None:
        store = db.create("books", SCHEMA)
        kinds = {name: field.kind for name, field in SCHEMA.fields.items()}
        assert store.keys() == [MetadataKey(name, 0, {}, kinds[name]) for name in sorted(kinds)]

    def test_keys_classes_and_counts(self, db: Database) -> None:
        store = db.create("books", SCHEMA)
        odd = ["Page Number", "a.b", "$x", "é", "text", "id", "'", ""]
        store.insert([
            Record("a", VECTOR, metadata={"word": "x", "n": 1, "tags": [], "o": {"n": 2}, "none": None}),
            Record("b", VECTOR, metadata={"word": "y", "n": 1.5, "at": NOON, "o": {}}),
            Record("c", VECTOR, metadata={"n": "1", "yes": False, "whole": 3, "real": 1, **dict.fromkeys(odd, True)}),
            Record("d", VECTOR, metadata={"n": [1], "list": []}),
            Record("e", VECTOR),
        ])  # fmt: skip
        found = read_keys(store)
        assert list(found) == sorted(found, key=lambda name: (-found[name].count, name))
        assert found == {
            "n": MetadataKey("n", 4, {"list": 1, "number": 2, "str": 1}),
            "o": MetadataKey("o", 2, {"object": 2}),
            "word": MetadataKey("word", 2, {"str": 2}, "keyword"),
            "tags": MetadataKey("tags", 1, {"list": 1}, "keywords"),
            "at": MetadataKey("at", 1, {"datetime": 1}, "datetime"),
            "yes": MetadataKey("yes", 1, {"bool": 1}, "bool"),
            "whole": MetadataKey("whole", 1, {"number": 1}, "int"),
            "real": MetadataKey("real", 1, {"number": 1}, "float"),
            "list": MetadataKey("list", 1, {"list": 1}),
            **{name: MetadataKey(name, 1, {"bool": 1}) for name in odd},
        }
        store.update(ids=["a", "b"], unset=["n", "o"])
        store.delete(ids=["d"])
        found = read_keys(store)
        assert found["n"] == MetadataKey("n", 1, {"str": 1})
        assert not found.keys() & {"o", "list"}
