from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vecstore import ALL, F, Filter, InvalidFilter, Schema, UnknownField, fields
from vecstore.filters.binding import bind
from vecstore.filters.field_ref import FieldRef
from vecstore.filters.matching import matches
from vecstore.filters.nodes import And, Compare, Not, Or

SCHEMA = Schema(dim=1, fields={"x": fields.Int(), "tags": fields.Keywords(), "at": fields.DateTime()})

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
