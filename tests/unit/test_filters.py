from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from vecstore import ALL, F, Filter, InvalidFilter, Schema, UnknownField, fields
from vecstore.filters.binding import bind
from vecstore.filters.field_ref import FieldRef
from vecstore.filters.key_values import KeyValue, to_double
from vecstore.filters.matching import matches
from vecstore.filters.nodes import And, Compare, CompareKey, Not, Or

SCHEMA = Schema(dim=1, fields={"x": fields.Int(), "tags": fields.Keywords(), "at": fields.DateTime()})
DYNAMIC = replace(SCHEMA, dynamic=True)
MOST = sys.float_info.max

A, B, C = F.x == 1, F.x == 2, F.x == 3


def bound(where: Any) -> Filter:
    found = bind(where, SCHEMA)
    assert found is not None
    return found


def test_fields_are_named_in_two_ways() -> None:
    assert (F.year == 1) == (F["year"] == 1) == Compare("year", "eq", 1)
    assert isinstance(F.year, FieldRef)
    with pytest.raises(AttributeError):
        F.__wrapped__  # noqa: B018
    for name in (1, None, ["x"]):
        with pytest.raises(InvalidFilter):
            F[name]  # type: ignore[index]


def test_chains_are_flattened() -> None:
    assert (A & B & C) == (A & (B & C)) == And((A, B, C))
    assert (A | B | C) == (A | (B | C)) == Or((A, B, C))
    assert And((Or((A, B)), C)) == (A | B) & C
    assert Not(And((A, B))) == ~(A & B)
    assert A == ~~A


def test_all_is_no_neutral_element_that_disappears() -> None:
    assert And((ALL, A)) == ALL & A
    assert Or((ALL, A)) == ALL | A


@pytest.mark.parametrize(
    "written, meant",
    [
        (F.x != 1, Not(Compare("x", "eq", 1))),
        (F.x.not_in([1]), Not(Compare("x", "in", (1,)))),
        (F.x.between(1, 2), And((Compare("x", "gte", 1), Compare("x", "lte", 2)))),
        (F.x.is_missing(), Not(Compare("x", "exists", True))),
        (F.tags.contains("a"), Compare("tags", "contains_all", ("a",))),
        (F.tags.contains_any(iter("ab")), Compare("tags", "contains_any", ("a", "b"))),
    ],
)
def test_few_nodes_say_everything(written: Filter, meant: Filter) -> None:
    assert written == meant


@pytest.mark.parametrize(
    "where, stored, expected",
    [
        (F.x == 1, {"x": 1}, True),
        (F.x == 1, {"x": None}, False),
        (F.x == 1, {}, False),
        (F.x != 1, {}, True),
        (F.x < 1, {}, False),
        (~(F.x < 1), {}, True),
        (F.x.in_([]), {"x": 1}, False),
        (F.x.not_in([]), {}, True),
        (F.x.exists(), {"x": 0}, True),
        (F.tags.exists(), {"tags": ()}, True),
        (F.tags.contains_all([]), {"tags": ("a",)}, False),
        (F.tags.contains_any([]), {"tags": ("a",)}, False),
        (F.tags.contains_all(["a", "b"]), {"tags": ("b", "c", "a")}, True),
        (F.tags.contains_all(["a", "b"]), {"tags": ("a",)}, False),
        (F.id == "me", {}, True),
        (F.id == "Me", {}, False),
        (ALL, {}, True),
        (~ALL, {}, False),
    ],
)
def test_what_a_filter_means(where: Filter, stored: Mapping[str, Any], expected: bool) -> None:  # noqa: FBT001
    assert matches(bound(where), "me", stored) is expected


def test_only_a_bound_filter_has_a_meaning() -> None:
    with pytest.raises(TypeError):
        matches(Filter(), "me", {})
    with pytest.raises(InvalidFilter):
        bind(Filter(), SCHEMA)


def test_binding_brings_values_into_stored_form() -> None:
    assert bind(None, SCHEMA) is None
    assert bound(F.at == "1970-01-01T00:00:01Z") == Compare("at", "eq", 1_000_000)
    assert bound({"x": {"$in": [1, 2]}}) == Compare("x", "in", (1, 2))
    assert bound(F.x.exists()) == Compare("x", "exists", True)


def test_unknown_fields_come_with_close_matches() -> None:
    with pytest.raises(UnknownField, match="Did you mean 'tags'"):
        bind(F.tag.contains("a"), SCHEMA)
    with pytest.raises(UnknownField, match="declares no fields"):
        bind(F.tag.contains("a"), Schema(dim=1))
    assert issubclass(UnknownField, LookupError)


def test_messages_show_no_values() -> None:
    for where in (F.x == "secret", F.tags.contains("secret\0"), F.at == "secret", F.x.in_(["secret"])):
        with pytest.raises(InvalidFilter) as caught:
            bind(where, SCHEMA)
        assert "secret" not in f"{caught.value} {caught.value.__cause__}"


def test_names_that_only_a_key_can_have() -> None:
    assert (F.id == 1) == Compare("id", "eq", 1)
    assert (F["id"] == 1) == CompareKey(("id",), "eq", 1)
    assert (F["Page Number"] == 1) == Compare("Page Number", "eq", 1)
    assert (F.path("a") == 1) == (F["a"] == 1)
    assert (F.path("a", "b") >= 1) == CompareKey(("a", "b"), "gte", 1)
    assert (F.path == 1) == (F["path"] == 1) == Compare("path", "eq", 1)


def test_binding_keeps_classes_apart() -> None:
    found = [bind(F["k"] == value, DYNAMIC) for value in (True, 1, 1.0, "1", [1], [True])]
    assert found[1] == found[2]
    assert len(set(found)) == 5
    assert bind(F["k"] == -0.0, DYNAMIC) == bind({"k": 0}, DYNAMIC) == CompareKey(("k",), "eq", KeyValue("number", 0.0))
    assert bind(F["k"].in_(["a", 1, 1.0]), DYNAMIC) == CompareKey(
        ("k",), "in", (KeyValue("str", "a"), KeyValue("number", 1.0))
    )
    assert bind(F["x"] == 1, DYNAMIC) == Compare("x", "eq", 1)


def test_what_no_value_fulfils_binds_to_nothing() -> None:
    for where in (F["k"] < True, F["k"] >= [], F["k"].in_([]), F["k"].contains_any([]), F["k"].contains_all([])):
        assert bind(where, DYNAMIC) == Or(())


def test_messages_about_keys_show_no_values() -> None:
    for where in (
        F["k"] == "secret\0",
        F["k"].in_(["secret", None]),
        F["k"] == {"secret": 1},
        F["k"].contains(["secret"]),
    ):
        with pytest.raises(InvalidFilter) as caught:
            bind(where, DYNAMIC)
        assert "secret" not in f"{caught.value} {caught.value.__cause__}"
    long = F.path("long " * 200, *"abcdef") == 1
    with pytest.raises(InvalidFilter) as caught:
        bind(long, DYNAMIC)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "number, double",
    [
        (2**53 + 1, 2.0**53),
        (2**53 + 3, 2.0**53 + 4),
        (-0.0, 0.0),
        (10**400, MOST),
        (-(10**400), -MOST),
        (5e-324, 5e-324),
    ],
)
def test_a_number_is_its_nearest_finite_double(number: float, double: float) -> None:
    assert repr(to_double(number)) == repr(double)
