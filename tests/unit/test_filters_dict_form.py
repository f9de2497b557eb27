from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from vecstore import ALL, F, Filter, InvalidFilter
from vecstore.filters.dict_form import as_filter, from_dict, to_dict
from vecstore.filters.limits import MAX_DEPTH
from vecstore.filters.nodes import And, Or

PAIRS: list[tuple[dict[str, Any], Filter]] = [
    ({"lang": "en"}, F.lang == "en"),
    ({"lang": {"$eq": "en"}}, F.lang == "en"),
    ({"lang": {"$ne": "en"}}, F.lang != "en"),
    ({"year": {"$lt": 1}}, F.year < 1),
    ({"year": {"$lte": 1}}, F.year <= 1),
    ({"year": {"$gt": 1}}, F.year > 1),
    ({"year": {"$gte": 1}}, F.year >= 1),
    ({"year": {"$gte": 1, "$lt": 9}}, (F.year >= 1) & (F.year < 9)),
    ({"year": {"$between": [1, 2]}}, F.year.between(1, 2)),
    ({"year": {"$in": [1, 2]}}, F.year.in_([1, 2])),
    ({"year": {"$in": []}}, F.year.in_([])),
    ({"year": {"$nin": [1]}}, F.year.not_in([1])),
    ({"year": {"$exists": True}}, F.year.exists()),
    ({"year": {"$exists": False}}, F.year.is_missing()),
    ({"tags": {"$contains": "a"}}, F.tags.contains("a")),
    ({"tags": {"$contains_any": ["a", "b"]}}, F.tags.contains_any(["a", "b"])),
    ({"tags": {"$contains_all": ["a", "b"]}}, F.tags.contains_all(["a", "b"])),
    ({"a": 1, "b": 2}, (F.a == 1) & (F.b == 2)),
    ({"a": 1, "$or": [{"b": 2}, {"c": 3}]}, (F.a == 1) & ((F.b == 2) | (F.c == 3))),
    ({"$and": [{"a": 1}, {"b": 2}, {"c": 3}]}, (F.a == 1) & (F.b == 2) & (F.c == 3)),
    ({"$not": {"a": 1, "b": 2}}, ~((F.a == 1) & (F.b == 2))),
    ({"$and": [{"a": 1}]}, And((F.a == 1,))),
    ({"$or": [{"a": 1}]}, Or((F.a == 1,))),
    ({"$all": True}, ALL),
    ({"Page Number": 3}, F["Page Number"] == 3),
    ({"$key": ["Page Number", 3]}, F["Page Number"] == 3),
    ({"$key": ["id", {"$eq": "x"}]}, F["id"] == "x"),
    ({"$key": ["$eq", {"$gte": 1, "$lt": 2}]}, (F["$eq"] >= 1) & (F["$eq"] < 2)),
    ({"$path": [["a", "b"], {"$in": [1, ["x", 2]]}]}, F.path("a", "b").in_([1, ["x", 2]])),
    ({"$path": [["a", "b"], ["x"]]}, F.path("a", "b") == ["x"]),
    ({"$path": [["id"], {"$exists": False}]}, F["id"].is_missing()),
    ({"$path": [["year"], {"$lt": 1}]}, F.year < 1),
]


@pytest.mark.parametrize("data, expected", PAIRS, ids=lambda value: str(value)[:60])
def test_both_spellings_are_one(data: dict[str, Any], expected: Filter) -> None:
    assert from_dict(data) == expected
    assert from_dict(json.loads(json.dumps(to_dict(expected)))) == expected
    assert as_filter(data) == as_filter(expected) == expected


def test_values_become_json() -> None:
    noon = datetime(2024, 1, 1, 12, 30, 0, 5, UTC)
    where = (F.at > noon) & F.x.in_([np.int64(1), np.float32(0.5), np.True_])
    assert json.loads(json.dumps(to_dict(where))) == {
        "$and": [{"at": {"$gt": "2024-01-01T12:30:00.000005+00:00"}}, {"x": {"$in": [1, 0.5, True]}}]
    }


def test_an_empty_value_never_widens() -> None:
    empty: list[dict[str, Any]] = [
        {}, {"$and": []}, {"$or": []}, {"$not": {}}, {"lang": {}}, {"$and": [{}]}, {"$all": False},
    ]  # fmt: skip
    for data in empty:
        with pytest.raises(InvalidFilter):
            from_dict(data)


@pytest.mark.parametrize(
    "data", [[], "lang = 'en'", 1, None, {1: 2}, {"$nor": []}, {"a": {"$gtt": 1}}, {"a": {"b": 1}}]
)
def test_what_is_no_filter(data: Any) -> None:
    with pytest.raises(InvalidFilter):
        from_dict(data)


def test_a_typing_error_gets_a_hint() -> None:
    with pytest.raises(InvalidFilter, match=r"Did you mean '\$gt' or '\$gte'"):
        from_dict({"year": {"$get": 1}})
    with pytest.raises(InvalidFilter, match=r"Did you mean '\$and'"):
        from_dict({"$nad": [{"a": 1}]})


def test_depth_is_limited_while_it_is_read() -> None:
    data: dict[str, Any] = {"a": 1}
    for _ in range(MAX_DEPTH - 1):
        data = {"$not": data}
    from_dict(data)
    for _ in range(10_000):
        data = {"$or": [data]}
    with pytest.raises(InvalidFilter, match="deeper"):
        from_dict(data)


def test_only_filters_have_a_dict_form() -> None:
    with pytest.raises(InvalidFilter):
        to_dict(Filter())
