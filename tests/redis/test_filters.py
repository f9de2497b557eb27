"""Compiled filters. The suite and test_many_matches check that the engine and the scripts match the same records."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecstore import ALL, F, Filter, Schema, fields
from vecstore.backends.redis.filters import EVERYTHING, NOTHING, compile_filter, compile_program
from vecstore.filters.binding import bind
from vecstore.filters.nodes import And, Or

SCHEMA = Schema(dim=2, fields={"lang": fields.Keyword(), "tags": fields.Keywords(), "year": fields.Int()})
PLAIN = re.compile(r"[-a-z0-9_@:{}\[\]()| +.]*")


def compile_queries(where: Filter) -> tuple[str, ...] | None:
    bound = bind(where, SCHEMA)
    assert bound is not None
    return compile_filter(bound, SCHEMA.fields)


@pytest.mark.parametrize(
    "where, expected",
    [
        (ALL, f"({EVERYTHING})"),
        (F.lang == "en", "(@f_lang:{pen})"),
        (F.lang == "a|b}", "(@f_lang:{h617c627d})"),
        (F.lang != "en", f"({EVERYTHING} -@f_lang:{{pen}})"),
        (F.lang.in_([]), NOTHING),
        (F.lang.not_in([]), f"({EVERYTHING})"),
        (F.year >= 2020, "(@f_year:[2020 +inf])"),
        (F.year < -5, "(@f_year:[-inf (-5])"),
        (F.year.is_missing(), f"({EVERYTHING} -@has:{{f2}})"),
        (F.id == "a b", "(@id:{h612062})"),
        (F.tags.contains_all(["x", "y"]), "(@f_tags:{px} @f_tags:{py})"),
        ((F.year == 1) | (F.year == 2), "(@f_year:[1 1])|(@f_year:[2 2])"),
        (~((F.year == 1) & (F.lang == "en")), f"({EVERYTHING} -@f_year:[1 1])|({EVERYTHING} -@f_lang:{{pen}})"),
        (
            (F.lang == "en") & ((F.year == 1) | ~(F.year == 2)),
            "(@f_lang:{pen} @f_year:[1 1])|(@f_lang:{pen} -@f_year:[2 2])",
        ),
        ((F.year == 1) & ~(F.year == 1), NOTHING),
    ],
)
def test_a_query_is_flat(where: Filter, expected: str) -> None:
    assert compile_queries(where) == (expected,)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_query_contains_no_raw_value(value: str) -> None:
    where = (F.lang == value) | ~F.tags.contains_any([value, "x"]) | (F.id == value)
    [text] = compile_queries(where) or ()
    assert PLAIN.fullmatch(text)


def test_more_than_twenty_alternatives_become_several_queries() -> None:
    found = compile_queries(Or(tuple((F.year == number) & (F.lang == "en") for number in range(45))))
    assert found is not None
    assert [text.count("(@f_year") for text in found] == [20, 20, 5]


def test_a_filter_of_exponentially_many_queries_has_none() -> None:
    assert compile_queries(And(tuple((F.year == number) | (F.lang == str(number)) for number in range(40)))) is None


@pytest.mark.parametrize("where", [F.lang.starts_with("e"), F.lang.contains_text("e"), ~F.lang.starts_with("*")])
def test_a_part_of_a_string_has_no_query(where: Filter) -> None:
    assert compile_queries(where) is None
    assert compile_queries(where & (F.year == 1)) is None


def test_a_part_of_a_string_in_a_program() -> None:
    where = bind(F.lang.starts_with("e*") & ~F.lang.contains_text("}"), SCHEMA)
    assert where is not None
    assert compile_program(where, SCHEMA.fields) == [
        "texts", "f_lang", "starts_with", 1, "e*", "texts", "f_lang", "contains_text", 1, "}", "not", "and", 2,
    ]  # fmt: skip


def test_many_values_of_one_field_become_one_condition() -> None:
    assert len(compile_queries(F.year.in_(range(10_000))) or ()) == 1
    assert len(compile_queries(F.lang.not_in(map(str, range(10_000)))) or ()) == 1


def test_an_undeclared_key_is_a_token_whatever_it_is_called() -> None:
    dynamic = Schema(dim=2, dynamic=True)
    for key in ("plain", "a b|c}", "$eq", ""):
        where = bind(F[key].contains_all(["x", 'y"}']) & ~(F[key] == "*"), dynamic)
        assert where is not None
        [text] = compile_filter(where, {}) or ()
        assert re.fullmatch(r"\(@keys:\{[0-9a-f]{32}\} @keys:\{[0-9a-f]{32}\} -@keys:\{[0-9a-f]{32}\}\)", text)


def test_an_order_of_undeclared_values_is_a_program() -> None:
    where = bind((F["a b"] > 3) & (F.path("a", "b") <= "x"), Schema(dim=2, dynamic=True))
    assert where is not None
    assert compile_filter(where, {}) is None
    assert compile_program(where, {}) == [
        "key", "number", "gt", "3.0", 1, "a b", "key", "str", "lte", "x", 2, "a", "b", "and", 2,
    ]  # fmt: skip


def test_a_program_is_postfix() -> None:
    where = bind(((F.lang == "en") & (F.year > 3)) | ~F.tags.exists(), SCHEMA)
    assert where is not None
    assert compile_program(where, SCHEMA.fields) == [
        "tags", "f_lang", "any", 1, "pen", "numbers", "f_year", "gt", 1, "3", "and", 2,
        "tags", "has", "any", 1, "f1", "not", "or", 2,
    ]  # fmt: skip
