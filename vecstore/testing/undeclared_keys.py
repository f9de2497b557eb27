"""Filters on metadata that nobody declared: what each operator says of each class of value, under every name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from .. import fields
from ..database import Database
from ..errors import InvalidFilter
from ..filters.dict_form import from_dict, to_dict
from ..filters.field_ref import F, FieldRef
from ..filters.nodes import Filter
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

VECTOR = [1.0, 0.0]
DECLARED: dict[str, fields.Field] = {"year": fields.Int(), "word": fields.Keyword()}
SCHEMA = Schema(dim=2, index=Flat(), fields=DECLARED, dynamic=True)
KEY = (0, 512)

# One record for each value, under its name here. A null at the top removes the key; one in an object stays.
VALUES: dict[str, Any] = {
    "a": "a", "A": "A", "b": "b", "empty": "", "one as text": "1", "true as text": "true", "null as text": "null",
    "astral": "\U0001f600", "private": "\ue000", "minus": -1, "zero": 0, "minus zero": -0.0, "one": 1, "real one": 1.0,
    "half": 0.5, "tiny": 5e-324, "edge": 2**53, "beyond": 2**53 + 1, "two beyond": 2**53 + 2, "large": 1.7e308,
    "endless": 10**400, "true": True, "false": False, "list": ["a", "b"], "turned": ["b", "a"], "no items": [],
    "mixed": ["a", 1, True, None, {"x": 1}, ["a"]], "numbers": [1.0, 0, 2**53 + 1], "texts": ["1", "true"],
    "nested": [["a", "b"]], "list of null": [None], "object": {"a": 1}, "no keys": {}, "null": None,
}  # fmt: skip
MISSING = {"null", "absent"}
EVERY = {*VALUES, "absent"}
PRESENT = EVERY - MISSING
ZEROS, ONES, EDGES = {"zero", "minus zero"}, {"one", "real one"}, {"edge", "beyond"}
POSITIVE = {"half", "tiny", "two beyond", "large", "endless"} | ONES | EDGES
NUMBERS = POSITIVE | ZEROS | {"minus"}
TEXTS = {name for name, value in VALUES.items() if isinstance(value, str)}

NAMES = [
    "plain", "Page Number", "id", "text", "vector", "score", "a.b", "$eq", "$key", "$path", "$.a", "it's", '"', "\\",
    "", " ", "päge", "日本", "é", "e\u0301", "k" * 512, "path", "@k:{x}", "a,b", "%s", "extra", "{}", "null", "0",
]  # fmt: skip
SUBJECTS: list[tuple[str, ...]] = [*((name,) for name in NAMES), ("author", "name"), ("a", "b"), ("deep key", "", "é")]


def refer(path: tuple[str, ...]) -> FieldRef:
    return F[path[0]] if len(path) == 1 else F.path(*path)


def wrap(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return metadata with a value at the end of a path."""
    for key in reversed(path):
        value = {key: value}
    return value  # type: ignore[return-value]


def list_text_cases(ref: FieldRef) -> Iterator[tuple[Filter, set[str]]]:
    """Yield filters on parts of strings, and the values that they are true of."""
    yield ref.starts_with("a"), {"a"}
    yield ref.starts_with("t"), {"true as text"}
    yield ref.starts_with("tr"), {"true as text"}
    yield ref.starts_with("1"), {"one as text"}
    yield ref.starts_with("\U0001f600"), {"astral"}
    yield ref.contains_text("u"), {"true as text", "null as text"}
    yield ref.contains_text("U"), set()
    yield ref.contains_text("null"), {"null as text"}
    yield ref.contains_text("\ue000"), {"private"}
    yield ref.contains_text("%"), set()
    yield ref.contains_text("_"), set()
    yield ref.starts_with("."), set()
    yield ~ref.contains_text("l"), EVERY - {"null as text"}
    yield ref.starts_with("a") | (ref > 1.5) & ~(ref == 2**53), {"a", "two beyond", "large", "endless"}


def list_cases(ref: FieldRef) -> Iterator[tuple[Filter, set[str]]]:
    """Yield filters, and the values that they are true of."""
    yield ref == "a", {"a"}
    yield ref == "", {"empty"}
    yield ref == "1", {"one as text"}
    yield ref == "\U0001f600", {"astral"}
    yield ref == 1, ONES
    yield ref == 1.0, ONES
    yield ref == np.float32(1), ONES
    yield ref == 0, ZEROS
    yield ref == -0.0, ZEROS
    yield ref == 5e-324, {"tiny"}
    yield ref == 2**53 + 1, EDGES
    yield ref == 2.0**53, EDGES
    yield ref == 10**500, {"endless"}
    yield ref == True, {"true"}  # noqa: E712 - a filter, no truth value
    yield ref == np.False_, {"false"}
    yield ref == ["a", "b"], {"list"}
    yield ref == ("b", "a"), {"turned"}
    yield ref == ["a"], set()
    yield ref == [], {"no items"}
    yield ref == [1, 0.0, 2**53], {"numbers"}
    yield ref == [["a", "b"]], {"nested"}
    yield ref != "a", EVERY - {"a"}
    yield ref != 1, EVERY - ONES
    yield ref.in_([]), set()
    yield ref.not_in([]), EVERY
    yield ref.in_(["a", 1, False, []]), {"a", "false", "no items"} | ONES
    yield ref.not_in(["a", 1, False, []]), EVERY - {"a", "false", "no items"} - ONES
    yield ref.exists(), PRESENT
    yield ref.is_missing(), MISSING
    yield ref < 0, {"minus"}
    yield ref <= 0, {"minus"} | ZEROS
    yield ref > 0, POSITIVE
    yield ref >= 2**53, EDGES | {"two beyond", "large", "endless"}
    yield ref > 2**53 + 1, {"two beyond", "large", "endless"}
    yield ref <= 10**400, NUMBERS
    yield ref.between(-1, 0.5), {"minus", "half", "tiny"} | ZEROS
    yield ref.between(1, 0), set()
    yield ref < "a", {"empty", "A", "one as text"}
    yield ref >= "", TEXTS
    yield ref > "b", {"true as text", "null as text", "astral", "private"}
    yield ref > "\uffff", {"astral"}
    yield ref >= "\ue000", {"astral", "private"}
    yield ~(ref > 0), EVERY - POSITIVE
    yield ref > True, set()
    yield ref <= [], set()
    yield ~(ref < False), EVERY
    yield ref.contains("a"), {"list", "turned", "mixed"}
    yield ref.contains(1), {"mixed", "numbers"}
    yield ref.contains(0.0), {"numbers"}
    yield ref.contains(2**53), {"numbers"}
    yield ref.contains(True), {"mixed"}
    yield ref.contains("1"), {"texts"}
    yield ref.contains_any([]), set()
    yield ref.contains_all([]), set()
    yield ref.contains_any(["b", "true"]), {"list", "turned", "texts"}
    yield ref.contains_all(["b", "a", "b"]), {"list", "turned"}
    yield ref.contains_all(["a", 1, True]), {"mixed"}
    yield ~ref.contains("a"), EVERY - {"list", "turned", "mixed"}
    yield from list_text_cases(ref)


def spread(value: object) -> Mapping[str, Any]:
    """Return metadata with a value under every key and path of the table."""
    found: dict[str, Any] = {}
    for path in SUBJECTS:
        if path[0] not in found:
            found |= wrap(path, value)
    return found


class UndeclaredKeyTests(Places):
    """Any key and any path into objects is filtered on, in a store with ``Schema(dynamic=True)``."""

    @pytest.fixture(scope="class")
    @classmethod
    def table(cls, library: Database) -> VectorStore:
        """Return a store with each value under every key and path."""
        store = library.create("any_key", SCHEMA)
        store.insert(Record(name, VECTOR, metadata=spread(value)) for name, value in VALUES.items())
        store.insert([Record("absent", VECTOR)])
        return store

    @pytest.mark.parametrize("path", SUBJECTS, ids=lambda path: "-".join(ascii(key[:12]) for key in path))
    def test_the_table(self, table: VectorStore, path: tuple[str, ...]) -> None:
        for where, expected in list_cases(refer(path)):
            assert {record.id for record in table.scan(where)} == expected, where
            assert table.count(~where) == len(EVERY - expected), where
            spelled = json.loads(json.dumps(to_dict(where)))
            assert from_dict(json.loads(json.dumps(to_dict(from_dict(spelled))))) == from_dict(spelled)
            assert {hit.id for hit in table.search(VECTOR, 100, where=spelled, include=())} == expected, spelled

    def test_spellings(self, table: VectorStore) -> None:
        assert table.count({"Page Number": 1}) == table.count({"$key": ["Page Number", {"$eq": 1.0}]}) == len(ONES)
        assert table.count({"$key": ["Page Number", 1]}) == table.count({"$path": [["Page Number"], 1]}) == len(ONES)
        assert table.count({"$path": [["author", "name"], {"$gte": 0, "$lt": 1}]}) == 2 + len(ZEROS)
        assert table.count(F.author.exists()) == table.count(F["author"].exists()) == len(EVERY) - 1
        assert table.count(F.path == 1) == table.count(F.path("path") == 1) == table.count(F["path"] == 1) == len(ONES)
        assert table.count(F.plain == 1) == len(ONES)
        assert table.count(F.text == "a") == 1
        assert table.count(F.id == "a") == table.count({"id": "a"}) == 1
        assert {record.id for record in table.scan(F["id"] == 1)} == ONES
        assert table.count({"$key": ["id", 1]}) == len(ONES)

    def test_a_path_ends_where_there_is_no_object(self, table: VectorStore) -> None:
        for path in (("plain", "x"), ("plain", "0"), ("author", "name", "a"), ("author",) * 32):
            where = F.path(*path)
            expected = {"object"} if path[-1] == "a" else set()
            assert {record.id for record in table.scan(where.exists())} == expected, path
            assert table.count(where.is_missing()) == len(EVERY - expected)
        assert table.count(F.path("plain", "a") == 1) == 1

    def test_update_and_delete(self, db: Database) -> None:
        store = db.create("changing", SCHEMA)
        store.insert(Record(name, VECTOR, metadata={"k": value}) for name, value in VALUES.items())
        assert store.update(where=F["k"] > 0, metadata={"k": "positive", "new key": [1]}) == len(POSITIVE)
        assert {record.id for record in store.scan(F["k"] == "positive")} == POSITIVE
        assert store.count(F["new key"].contains(1)) == len(POSITIVE)
        assert store.update(where=F["new key"].exists(), unset=["k"]) == len(POSITIVE)
        assert store.count(F["k"].is_missing()) == len(POSITIVE) + 1
        assert store.delete(where=F["k"] == "a") == 1
        assert store.delete(where={"$key": ["k", {"$exists": False}]}) == len(POSITIVE) + 1
        assert {record.id for record in store.scan()} == PRESENT - POSITIVE - {"a"}

    def test_metadata_comes_back_as_it_was_written(self, table: VectorStore) -> None:
        for name, value in VALUES.items():
            [record] = table.get([name])
            expected = {key: each for key, each in spread(value).items() if each is not None}
            assert record is not None
            assert json.dumps(record.metadata, sort_keys=True) == json.dumps(expected, sort_keys=True)

    def test_declared_fields_stay_strict(self, table: VectorStore) -> None:
        for where in (F.year == "2024", F["year"].contains(1), F.word < "a", F["word"] == 1, F.path("word") == True):  # noqa: E712
            with pytest.raises(InvalidFilter):
                table.count(where)
        with pytest.raises(InvalidFilter, match="declared as keyword"):
            table.count(F.path("word", "x") == 1)

    def test_operands_that_nothing_can_equal(self, table: VectorStore) -> None:
        key = F["any"]
        wrong = [None, {"a": 1}, {"a"}, b"a", 1j, float("nan"), float("inf"), np.array([1]), [None], [{"a": 1}], "a\0"]
        for value in [*wrong, "\ud800", object(), [["\0"]], np.datetime64("2024-01-01")]:
            for where in (
                key == value,
                key != value,
                key.in_(["a", value]),
                key.contains(value),
                F.path("a", "b") > value,
            ):
                with pytest.raises(InvalidFilter):
                    table.count(where)
        for where in (key.starts_with(""), key.contains_text(""), ~key.starts_with("")):
            with pytest.raises(InvalidFilter, match="is empty"):
                table.count(where)
        for operand in (1, True, ["a"], ("a", "b"), None, "a\0"):
            for op in ("$starts_with", "$contains_text"):
                with pytest.raises(InvalidFilter, match=re.escape(op)):
                    table.count({"$key": ["any", {op: operand}]})
        for where in (key.contains(["a"]), key.contains_any(["a", ["b"]]), key.contains_all([[]])):
            with pytest.raises(InvalidFilter, match="contains_any"):
                table.count(where)

    def test_limits(self, table: VectorStore) -> None:
        assert table.count(F["k" * 512].exists()) == len(PRESENT)
        assert table.count(F["é" * 256] == 1) == 0
        many = [f"{number}" for number in range(10_000)]
        assert table.count(F.plain.in_(many)) == 1
        assert table.count(F.plain == many) == 0
        assert table.count(F.plain == "x" * (1 << 19)) == 0
        deep: list[Any] = []
        for _ in range(31):
            deep = [deep]
        assert table.count(F.plain == deep) == 0
        refused = [
            F["k" * 513].exists(), F["é" * 257] == 1, F.path("a", "k" * 513) == 1, F.path(*"a" * 33) == 1,
            F.plain.in_([*many, "x"]), F.plain == [*many, "x"], F.plain.in_([many, ["x"]]), F.plain == [deep],
        ]  # fmt: skip
        for where in refused:
            with pytest.raises(InvalidFilter):
                table.count(where)

    def test_malformed_spellings(self, table: VectorStore) -> None:
        wrong: list[Any] = [
            {"$key": "a"}, {"$key": ["a"]}, {"$key": ["a", {}]}, {"$key": [1, 1]}, {"$key": {"a": 1}}, {"$path": 1},
            {"$path": [[], 1]}, {"$path": ["a", 1]}, {"$path": [["a", 1], 1]}, {"$path": [["a"]]},
            {"$keys": ["a", 1]}, {"$key": ["a", 1, 2]},
            {"$key": ["a", {"b": 1}]}, {"$key": ["a", {"$regex": "b"}]}, {"$path": [["a", "b"], {"$eq": {"c": 1}}]},
        ]  # fmt: skip
        for where in wrong:
            with pytest.raises(InvalidFilter):
                table.delete(where=where)
        for path in ((), (1,), ("a", None)):
            with pytest.raises(InvalidFilter):
                F.path(*path)
