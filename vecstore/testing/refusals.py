"""Calls that can never work: refused by a typed error before anything is written, and no message tells a secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import Any

import numpy as np
import pytest

from .. import fields
from ..database import Database
from ..errors import InvalidArgument, InvalidFilter, UnknownField, VecstoreError
from ..filters.dict_form import from_dict, to_dict
from ..filters.field_ref import F, FieldRef
from ..filters.nodes import ALL, And, Compare, Filter, Or
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

VECTOR = [1.0, 0.0]
EDGE = 2**53
NOON = datetime(2024, 5, 1, 12, 0, 0, 1, UTC)
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
CANARY = Record(
    "canary", VECTOR, "the canary sings", {"lang": "de", "year": 0, "tags": ["a"], "draft": True, "at": NOON}
)

# Values that a field never has; None is asked for with is_missing().
WRONG: dict[str, list[Any]] = {
    "lang": [1, 1.5, True, None, b"de", ["de"], {"de"}, "x" * 1025, "a\0", "\ud800", NOON],
    "tags": [1, None, True, ["a"], b"a", "x" * 1025, "a\0", "\udc00"],
    "year": ["0", True, None, [0], EDGE + 1, -EDGE - 1, float("nan"), float("inf"), 1e300, NOON, np.float64(2.0**54)],
    "price": ["0.1", True, None, float("nan"), float("inf"), -float("inf"), 10**400, 1j, [0.1]],
    "draft": [0, 1, "true", None, [], np.int8(1)],
    "at": [0, "yesterday", "2024-05-01", "2024-05-01T12:00:00", None, True, NOON.replace(tzinfo=None), NOON.date(), "",
           NOON + timedelta(days=200_000), np.datetime64("2024-05-01")],
    "id": [1, None, "", "x" * 513, "a\0", "\ud800", b"low", ["low"]],
}  # fmt: skip
EQUAL: list[Callable[[FieldRef, Any], Filter]] = [
    lambda ref, value: ref == value,
    lambda ref, value: ref != value,
    lambda ref, value: ref.in_([value]),
    lambda ref, value: ref.not_in([value, value]),
]
ORDER: list[Callable[[FieldRef, Any], Filter]] = [
    lambda ref, value: ref < value,
    lambda ref, value: ref <= value,
    lambda ref, value: ref > value,
    lambda ref, value: ref >= value,
    lambda ref, value: ref.between(value, value),
]
CONTAIN: list[Callable[[FieldRef, Any], Filter]] = [
    lambda ref, value: ref.contains(value),
    lambda ref, value: ref.contains_any([value]),
    lambda ref, value: ref.contains_all(["a", value]),
]
TEXTS: list[Callable[[FieldRef, Any], Filter]] = [
    lambda ref, value: ref.starts_with(value),
    lambda ref, value: ref.contains_text(value),
]
OPERATORS = {
    "lang": EQUAL + TEXTS, "id": EQUAL, "draft": EQUAL, "tags": CONTAIN,
    "year": EQUAL + ORDER, "price": EQUAL + ORDER, "at": EQUAL + ORDER,
}  # fmt: skip
SUBJECTS = {**{name: F[name] for name in SCHEMA.fields}, "id": F.id}
RIGHT: dict[str, Any] = {"lang": "de", "tags": "a", "year": 0, "price": 0.1, "draft": True, "at": NOON, "id": "canary"}


# What says nothing, and would match everything if it were taken for no filter.
EMPTY: list[Any] = [
    {}, [], (), "", 0, False, {"lang": {}}, {"$and": []}, {"$or": []}, {"$not": {}}, {"$and": [{}]}, {"$or": [{}]},
    {"$and": [{"lang": "de"}, {}]}, {"$all": False}, {"$all": 1}, {"$all": {}},
    {"$nothing": False}, {"$nothing": 1}, {"lang": {"$starts_with": ""}},
]  # fmt: skip
MALFORMED: list[Any] = [
    "lang = 'de'", ["lang", "de"], [("lang", "de")], 1, True, F.draft, {"$and": {"lang": "de"}}, {"$or": "lang"},
    {"$not": [{"lang": "de"}]}, {"$nor": [{"lang": "de"}]}, {"lang": {"$regex": "d.*"}}, {"lang": {"eq": "de"}},
    {"lang": {"$eq": "de", "en": 1}}, {"lang": {"$and": []}}, {"lang": ["de"]}, {"lang": None}, {1: "de"}, {None: "de"},
    {"year": {"$between": [1]}}, {"year": {"$between": [1, 2, 3]}}, {"year": {"$between": 1}}, {"lang": {"$in": "de"}},
    {"lang": {"$in": None}}, {"lang": {"$in": {"de": 1}}}, {"lang": {"$in": 3}}, {"lang": {"$in": [None]}},
    {"lang": {"$exists": 1}}, {"lang": {"$exists": None}}, {"lang": {"$exists": "true"}},
    {"tags": {"$contains": ["a"]}},
    {"tags": {"$contains_any": "a"}}, {"lang": {"$eq": {"$ne": "x"}}}, {"$where": "1 = 1"}, {"$expr": {}}, {"": "de"},
]  # fmt: skip
# Operators that a kind of field does not have.
FOREIGN: list[Filter] = [
    F.lang < "de", F.lang >= "de", F.lang.between("a", "b"), F.lang.contains("d"), F.lang.contains_any(["de"]),
    F.tags == "a", F.tags != "a", F.tags.in_(["a"]), F.tags.not_in(["a"]), F.tags > "a", F.year.contains(0),
    F.draft > False, F.draft.contains_all([True]), F.at.contains_any([NOON]),
    F.id < "z", F.id.between("a", "z"), F.id.contains("a"), F.price.contains_all([0.1]), F.year.contains_any([]),
    F.tags.starts_with("a"), F.tags.contains_text("a"), F.year.starts_with("2"), F.id.starts_with("c"),
    F.at.contains_text("2024"), F.lang.starts_with(""), F.lang.contains_text(""), ~F.lang.starts_with(""),
    from_dict({"lang": {"$starts_with": ["d", "e"]}}), from_dict({"lang": {"$contains_text": ("d",)}}),
    Compare("lang", "like", "%"), Compare("lang", "ne", "de"), Compare("year", "", 0),
]  # fmt: skip
UNKNOWN: list[Any] = [
    F.author == "x", F.author.exists(), F.author.is_missing(), F.author.in_([]), ~(F.author == 1), F["Lang"] == "de",
    F.text == "x", F.vector.exists(), F.score > 0, F.distance < 1, F["lang "] == "de", {"author": {"$exists": False}},
    (F.lang == "de") | (F.author == "x"), {"$or": [{"lang": "de"}, {"$not": {"author": "x"}}]},
]  # fmt: skip


def chain(depth: int) -> Filter:
    """Return a filter of that many levels."""
    where: Filter = F.year == 0
    for level in range(depth - 1):
        where = And((where,)) if level % 2 else Or((where,))
    return where


def nots(depth: int) -> dict[str, Any]:
    """Return the dict form of ``~~~…``, which no parser should follow to its end."""
    where: dict[str, Any] = {"year": 0}
    for _ in range(depth):
        where = {"$not": where}
    return where


class FilterRefusalTests(Places):
    """A filter that says what the schema cannot answer is refused by every method, and nothing happens."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, library: Database) -> VectorStore:
        store = library.create("aviary", SCHEMA)
        store.insert([CANARY])
        return store

    def refuse(self, store: VectorStore, where: Any, error: type[VecstoreError] = InvalidFilter) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.count(where),
            lambda: store.scan(where),
            lambda: store.search(VECTOR, where=where),
            lambda: store.search(VECTOR, 0, where=where),
            lambda: store.search_many([VECTOR], where=where),
            lambda: store.similar_to("canary", where=where),
            lambda: store.update(where=where, metadata={"year": 1}),
            lambda: store.delete(where=where),
            lambda: store.measure_recall(where=where),
        ]
        for call in calls:
            with pytest.raises(error):
                call()
        assert list(store.scan()) == [CANARY], where

    def test_values_of_a_wrong_type(self, store: VectorStore) -> None:
        for name, wrong in WRONG.items():
            for operation in OPERATORS[name]:
                assert store.count(operation(SUBJECTS[name], RIGHT[name])) in {0, 1}
                for value in wrong:
                    self.refuse(store, operation(SUBJECTS[name], value))
                    if not isinstance(value, datetime):  # whose JSON is text, which a Keyword may well be
                        self.refuse(store, to_dict(operation(SUBJECTS[name], value)))

    @pytest.mark.parametrize("kind", ["empty", "malformed", "foreign"])
    def test_what_is_no_filter(self, store: VectorStore, kind: str) -> None:
        for where in {"empty": EMPTY, "malformed": MALFORMED, "foreign": FOREIGN}[kind]:
            self.refuse(store, where)

    def test_fields_that_are_not_declared(self, store: VectorStore) -> None:
        for where in UNKNOWN:
            self.refuse(store, where, UnknownField)
        with pytest.raises(UnknownField, match="Did you mean 'year'"):
            store.count(F.yaer == 1)

    def test_limits(self, store: VectorStore) -> None:
        assert store.count(chain(32)) == 1
        self.refuse(store, chain(33))
        self.refuse(store, to_dict(chain(33)))
        self.refuse(store, nots(10_000))
        several = [F.year == number for number in range(512)]
        assert store.count(reduce(or_, several[:511])) == 1
        self.refuse(store, reduce(or_, several))
        self.refuse(store, to_dict(reduce(and_, several)))
        many = [f"{number}" for number in range(10_001)]
        assert store.count(F.lang.in_(many[:10_000])) == 0
        assert store.count(F.id.not_in(many[:10_000])) == 1
        for where in (F.lang.in_(many), F.lang.not_in(many), F.id.in_(many), F.tags.contains_any(many)):
            self.refuse(store, where)
            self.refuse(store, to_dict(where))

    def test_a_filter_has_no_truth_value(self) -> None:
        year, lang = F.year == 1, F.lang == "de"
        mistakes: list[Callable[[], object]] = [
            lambda: year and lang,
            lambda: year or lang,
            lambda: not year,
            lambda: 1 < F.year < 3,
            lambda: F.year == 1 == F.year,
            lambda: F.year in [1, 2],
            lambda: bool(ALL),
            lambda: [1 for _ in "a" if year],
            lambda: F.draft and lang,
            lambda: not F.draft,
        ]
        for mistake in mistakes:
            with pytest.raises(InvalidFilter):
                mistake()

    def test_filters_combine_with_filters_only(self) -> None:
        for other in (True, None, {"lang": "de"}, 1, "x"):
            with pytest.raises(InvalidFilter):
                (F.year == 1) & other  # type: ignore[operator]
            with pytest.raises(InvalidFilter):
                (F.year == 1) | other  # type: ignore[operator]
        for values in ("de", b"de", 1, None, {"de": 1}):
            for operation in (F.lang.in_, F.lang.not_in, F.tags.contains_any, F.tags.contains_all):
                with pytest.raises(InvalidFilter):
                    operation(values)  # type: ignore[arg-type]

    def test_a_selection_is_said_aloud(self, store: VectorStore) -> None:
        selections: list[dict[str, Any]] = [
            {}, {"ids": None}, {"where": None}, {"ids": ["canary"], "where": ALL}, {"ids": "canary"}, {"ids": 1},
        ]  # fmt: skip
        for wrong in selections:
            with pytest.raises(InvalidArgument):
                store.delete(**wrong)
            with pytest.raises(InvalidArgument):
                store.update(**wrong, metadata={"year": 1})
        assert list(store.scan()) == [CANARY]
