"""Filters as expressions of Milvus. What the server makes of them is in test_matching.py."""

from __future__ import annotations

import pytest

from vecstore import ALL, NOTHING, F, Filter, Schema, fields
from vecstore.backends.milvus.fields import MAX_FIELDS, plan_layout
from vecstore.backends.milvus.filters import MAX_BYTES, compile_filter, write_literal
from vecstore.backends.milvus.filters import NOTHING as NEVER
from vecstore.filters.binding import bind

SCHEMA = Schema(
    dim=2,
    fields={
        "word": fields.Keyword(), "tags": fields.Keywords(), "year": fields.Int(), "size": fields.Float(),
        "new": fields.Bool(), "at": fields.DateTime(),
    },
    dynamic=True,
)  # fmt: skip
LAYOUT = plan_layout(SCHEMA)


def compile_text(condition: Filter | None) -> str | None:
    return compile_filter(bind(condition, SCHEMA), LAYOUT)


@pytest.mark.parametrize(
    "condition, expected",
    [
        (None, ""),
        (ALL, ""),
        (~NOTHING, ""),
        (NOTHING, NEVER),
        (~ALL, NEVER),
        (F.word == "a", '(h_word == true and f_word == "a")'),
        (F.word != "a", '(not (h_word == true and f_word == "a"))'),
        (F.year.exists(), "(h_year == true)"),
        (F.year.is_missing(), "(not (h_year == true))"),
        (F.year < -3, "(h_year == true and f_year < -3)"),
        (F.year.in_([3, 1, 3]), "(h_year == true and f_year in [3, 1])"),
        (F.year.in_([]), NEVER),
        (F.size >= 1e300, "(h_size == true and f_size >= 1e+300)"),
        (F.size == -0.0, "(h_size == true and f_size == 0.0)"),
        (F.new == True, "(h_new == true and f_new == true)"),  # noqa: E712
        (F.new.in_([True, False]), "(h_new == true and (f_new == false or f_new == true))"),
        (F.id == "x", '(id == "x")'),
        (F.id.in_(["x", "y"]), '(id in ["x", "y"])'),
        (F.id.exists(), ""),
        (F.word.starts_with("ab"), '(h_word == true and f_word >= "ab" and f_word < "ac")'),
        (F.word.starts_with("\ud7ff"), '(h_word == true and f_word >= "\ud7ff" and f_word < "\ue000")'),
        (F.word.starts_with("a\U0010ffff"), '(h_word == true and f_word >= "a\U0010ffff" and f_word < "b")'),
        (F.word.starts_with("\U0010ffff"), '(h_word == true and f_word >= "\U0010ffff")'),
        (F.tags.contains_any(["a", "b"]), '(h_tags == true and array_contains_any(f_tags, ["a", "b"]))'),
        ((F.year > 1) & (F.word == "a"), '((h_year == true and f_year > 1) and (h_word == true and f_word == "a"))'),
        ((F.year > 1) | ALL, ""),
        ((F.year > 1) & ALL, "(h_year == true and f_year > 1)"),
        ((F.year > 1) & NOTHING, NEVER),
        ((F.year > 1) | NOTHING, "(h_year == true and f_year > 1)"),
    ],
)
def test_expressions(condition: Filter | None, expected: str) -> None:
    assert compile_text(condition) == expected


@pytest.mark.parametrize(
    "condition",
    [
        F.word.contains_text("a"), F["other"] == 1, F.path("a", "b") == 1, ~F.word.contains_text("a"),
        (F.year > 1) & (F["other"] == 1), (F.year > 1) | ~(F["other"] == 1),
        F.word.in_([f"{n:01000}" for n in range(MAX_BYTES // 1_000)]),
    ],
)  # fmt: skip
def test_some_filters_are_answered_elsewhere(condition: Filter) -> None:
    assert compile_text(condition) is None


def test_the_first_fields_are_held_and_the_others_are_answered_elsewhere() -> None:
    many = Schema(dim=2, fields={f"f{n:02}": fields.Int() for n in range(MAX_FIELDS + 1)})
    layout = plan_layout(many)
    assert len(layout.list_columns()) <= 64
    assert compile_filter(bind(F.f00 == 1, many), layout) == "(h_f00 == true and f_f00 == 1)"
    assert compile_filter(bind(F[f"f{MAX_FIELDS}"] == 1, many), layout) is None


@pytest.mark.parametrize(
    "value, expected",
    [
        ('a"b', r'"a\"b"'), ("a\\b", r'"a\\b"'), ("a\nb\r\t", r'"a\nb\r\t"'), ("\0\x1f\x7f", r'"\u0000\u001f\u007f"'),
        ("é☃🙂", '"é☃🙂"'), ("' or 1 == 1", '"\' or 1 == 1"'), (True, "true"), (-5, "-5"), (1e-7, "1e-07"),
    ],
)  # fmt: skip
def test_literals(value: str | float, expected: str) -> None:
    assert write_literal(value) == expected


def test_missing_values_have_a_default_and_a_flag() -> None:
    columns = {column.name: list(values) for column, values in LAYOUT.fill_columns({"year": [1, None]}, 2)}
    assert (columns["f_year"], columns["h_year"]) == ([1, 0], [True, False])
    assert (columns["f_tags"], columns["h_tags"]) == ([(), ()], [False, False])
