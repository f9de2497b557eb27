"""The truth table of filters: every operator, every kind of field, records with this value, another, or none."""

# Longer than 300 lines because the table is read in one go.

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from .. import fields
from ..database import Database
from ..filters.dict_form import from_dict, to_dict
from ..filters.field_ref import F
from ..filters.nodes import ALL, NOTHING, Filter
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

VECTOR = [1.0, 0.0]
SCHEMA = Schema(
    dim=2,
    index=Flat(),
    fields={
        "lang": fields.Keyword(),
        "tags": fields.Keywords(),
        "year": fields.Int(),
        "price": fields.Float(),
        "draft": fields.Bool(),
        "at": fields.DateTime(),
    },
)
LOW, MID, HIGH, NONE = "low", "mid", "high", "none"
EDGE = 2**53
NOON = datetime(2024, 5, 1, 12, 0, 0, 1, UTC)
TICK = timedelta(microseconds=1)
ABROAD = timezone(timedelta(hours=-7))

# Three values for each ordered field, their order the order of the names; "none" has no value.
ORDERED: dict[str, tuple[Any, Any, Any]] = {
    "year": (-EDGE, 0, EDGE),
    "price": (-0.1, 0.1, 1e300),
    "at": (NOON - TICK, NOON, NOON + TICK),
}
WORDS = {"lang": ("", "de", "DE")}
TAGS: dict[str, list[str] | None] = {LOW: [], MID: ["a", "b"], HIGH: ["b", "B", "b"], NONE: None}
DRAFTS = {LOW: False, MID: True, HIGH: True, NONE: None}
NAMES = (LOW, MID, HIGH)
EVERY = {LOW, MID, HIGH, NONE}


@dataclass(frozen=True)
class Case:
    """One filter in both spellings, and the records that it is true of."""

    where: Filter
    spelled: Mapping[str, Any]
    expected: set[str]


def ordered(name: str) -> Iterable[Case]:
    """Compare with the middle value and with both ends; a missing value is true of `!=` and `not in` only."""
    ref, values = F[name], ORDERED[name]
    low, mid, high = values
    text = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    yield Case(ref == mid, {name: text[1]}, {MID})
    yield Case(ref == mid, {name: {"$eq": text[1]}}, {MID})
    yield Case(ref != mid, {name: {"$ne": text[1]}}, {LOW, HIGH, NONE})
    yield Case(ref < mid, {name: {"$lt": text[1]}}, {LOW})
    yield Case(ref <= mid, {name: {"$lte": text[1]}}, {LOW, MID})
    yield Case(ref > mid, {name: {"$gt": text[1]}}, {HIGH})
    yield Case(ref >= mid, {name: {"$gte": text[1]}}, {MID, HIGH})
    yield Case(ref < low, {name: {"$lt": text[0]}}, set())
    yield Case(ref <= low, {name: {"$lte": text[0]}}, {LOW})
    yield Case(ref > high, {name: {"$gt": text[2]}}, set())
    yield Case(ref >= high, {name: {"$gte": text[2]}}, {HIGH})
    yield Case(ref >= low, {name: {"$gte": text[0]}}, {LOW, MID, HIGH})
    yield Case(ref.between(low, mid), {name: {"$between": text[:2]}}, {LOW, MID})
    yield Case(ref.between(mid, mid), {name: {"$between": [text[1], text[1]]}}, {MID})
    yield Case(ref.between(high, low), {name: {"$between": [text[2], text[0]]}}, set())
    yield Case((ref > low) & (ref < high), {name: {"$gt": text[0], "$lt": text[2]}}, {MID})
    yield from equality(name, values, text)


def equality(name: str, values: tuple[Any, ...], spelled: list[Any]) -> Iterable[Case]:
    """Lists of values; an empty one matches nothing, its complement everything."""
    ref = F[name]
    yield Case(ref.in_([]), {name: {"$in": []}}, set())
    yield Case(ref.not_in([]), {name: {"$nin": []}}, EVERY)
    yield Case(ref.in_([values[1]]), {name: {"$in": [spelled[1]]}}, {MID})
    yield Case(ref.in_([values[0], values[2], values[0]]), {name: {"$in": [spelled[0], spelled[2]]}}, {LOW, HIGH})
    yield Case(ref.in_(iter(values)), {name: {"$in": spelled}}, {LOW, MID, HIGH})
    yield Case(ref.not_in(values), {name: {"$nin": spelled}}, {NONE})
    yield Case(ref.not_in([values[1]]), {name: {"$nin": [spelled[1]]}}, {LOW, HIGH, NONE})
    yield Case(ref.exists(), {name: {"$exists": True}}, {LOW, MID, HIGH})
    yield Case(ref.is_missing(), {name: {"$exists": False}}, {NONE})


def words() -> Iterable[Case]:
    """Strings are compared byte by byte; the empty one is a value."""
    values = WORDS["lang"]
    for value, name in zip(values, NAMES, strict=True):
        yield Case(F.lang == value, {"lang": value}, {name})
        yield Case(F.lang != value, {"lang": {"$ne": value}}, EVERY - {name})
    yield Case(F.lang == "en", {"lang": "en"}, set())
    yield Case(F.lang != "en", {"lang": {"$ne": "en"}}, EVERY)
    yield Case(F.lang.in_(["en", "de "]), {"lang": {"$in": ["en", "de "]}}, set())
    yield from equality("lang", values, list(values))


def texts() -> Iterable[Case]:
    """Parts of strings are compared byte by byte, and no character of them is a sign."""
    ref = F.lang
    yield Case(ref.starts_with("d"), {"lang": {"$starts_with": "d"}}, {MID})
    yield Case(ref.starts_with("D"), {"lang": {"$starts_with": "D"}}, {HIGH})
    yield Case(ref.starts_with("de"), {"lang": {"$starts_with": "de"}}, {MID})
    yield Case(ref.starts_with("dee"), {"lang": {"$starts_with": "dee"}}, set())
    yield Case(ref.starts_with("e"), {"lang": {"$starts_with": "e"}}, set())
    yield Case(~ref.starts_with("d"), {"$not": {"lang": {"$starts_with": "d"}}}, EVERY - {MID})
    yield Case(ref.contains_text("e"), {"lang": {"$contains_text": "e"}}, {MID})
    yield Case(ref.contains_text("E"), {"lang": {"$contains_text": "E"}}, {HIGH})
    yield Case(ref.contains_text("DE"), {"lang": {"$contains_text": "DE"}}, {HIGH})
    yield Case(~ref.contains_text("e"), {"$not": {"lang": {"$contains_text": "e"}}}, EVERY - {MID})
    for sign in ("%", "_", "d%", "_e", "*", "d*", ".", "d.", "^d", "\\", "(", "["):
        yield Case(ref.starts_with(sign), {"lang": {"$starts_with": sign}}, set())
        yield Case(ref.contains_text(sign), {"lang": {"$contains_text": sign}}, set())


def fractions() -> Iterable[Case]:
    """A fraction lies between whole numbers, and equals none; a whole float is the number."""
    ref = F.year
    for value in (0.5, -0.5, np.float64(0.25), 1e-300):
        yield Case(ref == value, {"year": value}, set())
        yield Case(ref != value, {"year": {"$ne": value}}, EVERY)
        yield Case(ref.in_([value]), {"year": {"$in": [value]}}, set())
        yield Case(ref.in_([value, 0, value]), {"year": {"$in": [value, 0]}}, {MID})
        yield Case(ref.not_in([value, 0]), {"year": {"$nin": [value, 0]}}, EVERY - {MID})
        below, above = ({LOW, MID}, {HIGH}) if value > 0 else ({LOW}, {MID, HIGH})
        yield Case(ref < value, {"year": {"$lt": value}}, below)
        yield Case(ref <= value, {"year": {"$lte": value}}, below)
        yield Case(ref > value, {"year": {"$gt": value}}, above)
        yield Case(ref >= value, {"year": {"$gte": value}}, above)
    yield Case(ref.between(-0.5, 0.5), {"year": {"$between": [-0.5, 0.5]}}, {MID})
    yield Case(ref == 0.0, {"year": 0.0}, {MID})
    yield Case(ref == -0.0, {"year": {"$in": [-0.0, 1.0]}}, {MID})
    yield Case(ref >= 2.0**53, {"year": {"$gte": 2.0**53}}, {HIGH})
    yield Case(ref > 2.0**53 - 1, {"year": {"$gt": 2.0**53 - 1}}, {HIGH})


def tags() -> Iterable[Case]:
    """An empty list is a value that holds nothing."""
    ref = F.tags
    yield Case(ref.contains("b"), {"tags": {"$contains": "b"}}, {MID, HIGH})
    yield Case(ref.contains("B"), {"tags": {"$contains": "B"}}, {HIGH})
    yield Case(ref.contains("a,b"), {"tags": {"$contains": "a,b"}}, set())
    yield Case(ref.contains(""), {"tags": {"$contains": ""}}, set())
    yield Case(~ref.contains("a"), {"$not": {"tags": {"$contains": "a"}}}, {LOW, HIGH, NONE})
    yield Case(ref.contains_any([]), {"tags": {"$contains_any": []}}, set())
    yield Case(ref.contains_any(["a", "B"]), {"tags": {"$contains_any": ["a", "B"]}}, {MID, HIGH})
    yield Case(ref.contains_any(["x", "a"]), {"tags": {"$contains_any": ["x", "a"]}}, {MID})
    yield Case(ref.contains_any(["x"]), {"tags": {"$contains_any": ["x"]}}, set())
    yield Case(ref.contains_all([]), {"tags": {"$contains_all": []}}, set())
    yield Case(ref.contains_all(["b"]), {"tags": {"$contains_all": ["b"]}}, {MID, HIGH})
    yield Case(ref.contains_all(["b", "a", "b"]), {"tags": {"$contains_all": ["b", "a", "b"]}}, {MID})
    yield Case(ref.contains_all(["a", "B"]), {"tags": {"$contains_all": ["a", "B"]}}, set())
    yield Case(~ref.contains_any([]), {"$not": {"tags": {"$contains_any": []}}}, EVERY)
    yield Case(~ref.contains_all([]), {"$not": {"tags": {"$contains_all": []}}}, EVERY)
    yield Case(ref.exists(), {"tags": {"$exists": True}}, {LOW, MID, HIGH})
    yield Case(ref.is_missing(), {"tags": {"$exists": False}}, {NONE})


def drafts_and_ids() -> Iterable[Case]:
    """False is a value; an id is never missing."""
    yield Case(F.draft == True, {"draft": True}, {MID, HIGH})  # noqa: E712 - a filter, no truth value
    yield Case(F.draft == False, {"draft": False}, {LOW})  # noqa: E712
    yield Case(F.draft != True, {"draft": {"$ne": True}}, {LOW, NONE})  # noqa: E712
    yield Case(F.draft != False, {"draft": {"$ne": False}}, {MID, HIGH, NONE})  # noqa: E712
    yield Case(F.draft.in_([True]), {"draft": {"$in": [True]}}, {MID, HIGH})
    yield Case(F.draft.in_([False, True]), {"draft": {"$in": [True, False]}}, {LOW, MID, HIGH})
    yield Case(F.draft.not_in([True]), {"draft": {"$nin": [True]}}, {LOW, NONE})
    yield Case(F.draft.in_([]), {"draft": {"$in": []}}, set())
    yield Case(F.draft.not_in([]), {"draft": {"$nin": []}}, EVERY)
    yield Case(F.draft.exists(), {"draft": {"$exists": True}}, {LOW, MID, HIGH})
    yield Case(F.draft.is_missing(), {"draft": {"$exists": False}}, {NONE})
    yield Case(F.id == MID, {"id": MID}, {MID})
    yield Case(F.id != MID, {"id": {"$ne": MID}}, EVERY - {MID})
    yield Case(F.id == "MID", {"id": "MID"}, set())
    yield Case(F.id.in_([LOW, "nobody"]), {"id": {"$in": [LOW, "nobody"]}}, {LOW})
    yield Case(F.id.in_([]), {"id": {"$in": []}}, set())
    yield Case(F.id.not_in([LOW]), {"id": {"$nin": [LOW]}}, EVERY - {LOW})
    yield Case(F.id.not_in([]), {"id": {"$nin": []}}, EVERY)
    yield Case(F.id.exists(), {"id": {"$exists": True}}, EVERY)
    yield Case(F.id.is_missing(), {"id": {"$exists": False}}, set())


def combined() -> Iterable[Case]:
    """Both values of both sides of each connective."""
    true, false, spelled_true, spelled_false = F.year == 0, F.year < -EDGE, {"year": 0}, {"year": {"$lt": -EDGE}}
    yield Case(true & true, {"$and": [spelled_true, spelled_true]}, {MID})
    yield Case(true & false, {"$and": [spelled_true, spelled_false]}, set())
    yield Case(true | false, {"$or": [spelled_true, spelled_false]}, {MID})
    yield Case(false | false, {"$or": [spelled_false, spelled_false]}, set())
    yield Case(~(true | false), {"$not": {"$or": [spelled_true, spelled_false]}}, EVERY - {MID})
    yield Case(~true & ~false, {"$and": [{"$not": spelled_true}, {"$not": spelled_false}]}, EVERY - {MID})
    yield Case(
        (F.year == 0) & (F.lang == "de") | F.lang.is_missing(),
        {"$or": [{"year": 0, "lang": "de"}, {"lang": {"$exists": False}}]},
        {MID, NONE},
    )
    yield Case((F.year != 0) & (F.lang != "DE"), {"year": {"$ne": 0}, "lang": {"$ne": "DE"}}, {LOW, NONE})
    yield Case(ALL, {"$all": True}, EVERY)
    yield Case(~ALL, {"$not": {"$all": True}}, set())
    yield Case(NOTHING, {"$nothing": True}, set())
    yield Case(~NOTHING, {"$not": {"$nothing": True}}, EVERY)
    yield Case(NOTHING | (F.year == 0), {"$or": [{"$nothing": True}, {"year": 0}]}, {MID})
    yield Case(NOTHING & (F.year == 0), {"$nothing": True, "year": 0}, set())
    yield Case(ALL & (F.year == 0), {"$all": True, "year": 0}, {MID})
    yield Case(ALL | (F.year == 0), {"$or": [{"$all": True}, {"year": 0}]}, EVERY)


def converted() -> Iterable[Case]:
    """Values of other types that stand for the same one."""
    yield Case(F.year == np.int64(0), {"year": {"$in": [np.int32(0)]}}, {MID})
    yield Case(F.year.in_(np.array([0, EDGE])), {"year": {"$in": (0, EDGE)}}, {MID, HIGH})
    yield Case(F.price >= 0, {"price": {"$gt": -0.0}}, {MID, HIGH})
    yield Case(F.price == np.float64(0.1), {"price": np.float64(0.1)}, {MID})
    yield Case(F.price.between(-1, np.int8(1)), {"price": {"$between": (-1, 1)}}, {LOW, MID})
    yield Case(F.price == np.float32(0.1), {"price": 0.10000000149011612}, set())
    yield Case(F.at == NOON.astimezone(ABROAD), {"at": NOON.astimezone(ABROAD).isoformat()}, {MID})
    yield Case(F.at > NOON.astimezone(ABROAD), {"at": {"$gt": "2024-05-01T12:00:00.000001Z"}}, {HIGH})
    yield Case(F.draft == np.True_, {"draft": {"$eq": np.True_}}, {MID, HIGH})
    yield Case(F.lang == np.str_("de"), {"lang": np.str_("de")}, {MID})
    yield Case(F.lang.in_({"de"}), {"lang": {"$in": ("de",)}}, {MID})


CASES = [
    *(case for name in ORDERED for case in ordered(name)), *words(), *texts(), *fractions(), *tags(), *drafts_and_ids(),
    *combined(),
]  # fmt: skip


def rows() -> list[Record]:
    """Return a record for each of the values, and one without any."""
    records = [Record(NONE, VECTOR, metadata={"undeclared": 1})]
    for number, name in enumerate(NAMES):
        values = {key: each[number] for key, each in {**ORDERED, **WORDS}.items()}
        records.append(Record(name, VECTOR, metadata={**values, "tags": TAGS[name], "draft": DRAFTS[name]}))
    return records


def through_json(spelled: Mapping[str, Any]) -> Any:
    """Return what is left of a dict after a trip through JSON."""
    return json.loads(json.dumps(spelled))


def found(store: VectorStore, where: Filter | Mapping[str, Any]) -> set[str]:
    """Return the ids that a filter finds, by every way to ask."""
    scanned = [record.id for record in store.scan(where)]
    assert [hit.id for hit in store.search(VECTOR, where=where)] == scanned
    assert store.count(where) == len(scanned)
    return set(scanned)


class FilterTruthTests(Places):
    """Filters in all their spellings, through every method that takes one."""

    @pytest.fixture(scope="class")
    @classmethod
    def table(cls, library: Database) -> VectorStore:
        store = library.create("truth", SCHEMA)
        store.insert(rows())
        return store

    def test_the_table(self, table: VectorStore) -> None:
        for case in CASES:
            assert found(table, case.where) == case.expected, case
            assert found(table, ~case.where) == EVERY - case.expected, case
            assert found(table, ~~case.where) == case.expected, case
            assert found(table, case.where | ~case.where) == EVERY, case
            assert found(table, case.where & ~case.where) == set(), case

    def test_the_table_in_the_dict_form(self, table: VectorStore) -> None:
        for case in CASES:
            for spelled in (case.spelled, through_json(case.spelled), through_json(to_dict(case.where))):
                assert found(table, spelled) == case.expected, case
                assert found(table, {"$not": spelled}) == EVERY - case.expected, case
                assert from_dict(through_json(to_dict(from_dict(spelled)))) == from_dict(spelled), case

    def test_the_table_in_similar_to(self, table: VectorStore) -> None:
        for case in CASES:
            for spelling in (case.where, case.spelled):
                assert {hit.id for hit in table.similar_to(MID, where=spelling)} == case.expected - {MID}, case

    def test_other_types_that_stand_for_the_same_value(self, table: VectorStore) -> None:
        for case in converted():
            for spelling in (case.where, case.spelled, through_json(to_dict(case.where))):
                assert found(table, spelling) == case.expected

    def test_no_filter(self, table: VectorStore) -> None:
        assert found(table, ALL) == EVERY
        assert table.count() == table.count(None) == len(EVERY)
        assert {record.id for record in table.scan(None)} == EVERY
        assert {hit.id for hit in table.search(VECTOR, where=None)} == EVERY

    def test_update_and_delete_take_the_same_filters(self, db: Database) -> None:
        store = db.create("changing", SCHEMA)
        for case in CASES[::3]:
            store.upsert(rows())
            assert store.update(where=case.where, metadata={"touched": True}) == len(case.expected)
            assert {record.id for record in store.scan() if "touched" in record.metadata} == case.expected
            assert store.delete(where=case.spelled) == len(case.expected)
            assert {record.id for record in store.scan()} == EVERY - case.expected
