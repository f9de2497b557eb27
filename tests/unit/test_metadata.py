from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecstore import InvalidMetadata, fields
from vecstore.rows import metadata, texts
from vecstore.rows.strings import are_storable

FIELDS = {"lang": fields.Keyword(), "tags": fields.Keywords(), "year": fields.Int()}

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def joined(declared: Mapping[str, Any], extra: str, of: Mapping[str, fields.Field]) -> dict[str, Any]:
    [values] = metadata.join({name: [declared.get(name)] for name in of}, [extra], of)
    return values


@given(st.dictionaries(TEXTS, JSON, max_size=6))
def test_any_json_comes_back_unchanged(values: dict[str, Any]) -> None:
    declared, extra = metadata.split(values, {}, "a")
    present = {key: value for key, value in values.items() if value is not None}
    assert declared == {}
    assert repr(joined(declared, metadata.dump(extra, "a"), {})) == repr(present)


def test_declared_fields_and_the_rest_part_and_meet() -> None:
    given = {"note": [1], "tags": ["b", "a"], "lang": "en", "gone": None, "year": None}
    declared, extra = metadata.split(given, FIELDS, "a")
    assert declared == {"tags": ("b", "a"), "lang": "en", "year": None}
    assert extra == {"note": [1], "gone": None}
    assert joined(declared, metadata.dump(extra, "a"), FIELDS) == {
        "lang": "en", "tags": ["b", "a"], "note": [1]
    }  # fmt: skip


def test_nothing_takes_no_room() -> None:
    assert metadata.dump({}, "a") == metadata.dump({"gone": None}, "a") == metadata.NO_EXTRA


def test_changes_are_laid_over_what_is_there() -> None:
    changes = metadata.dump_each({"b": None, "c": [1.0], "n": None}, "a")
    assert metadata.merge('{"a":1,"b":2}', changes, "a") == '{"a":1,"c":[1.0]}'
    assert metadata.merge('{"a":1}', {}, "a") == '{"a":1}'
    assert metadata.merge('{"a":1}', metadata.dump_each({"a": None}, "a"), "a") == metadata.NO_EXTRA


def test_what_holds_itself_is_refused() -> None:
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(InvalidMetadata, match="deeper than 64"):
        metadata.split({"x": itself}, {}, "a")


def test_a_change_can_make_metadata_too_large() -> None:
    half = metadata.dump({"a": "x" * 600_000}, "a")
    with pytest.raises(InvalidMetadata, match="1,048,576"):
        metadata.merge(half, metadata.dump_each({"b": "x" * 600_000}, "a"), "a")


@pytest.mark.parametrize(
    "value, reason",
    [
        (float("nan"), "NaN"),
        ({"in": [np.float32("inf")]}, "infinity"),
        (b"x", "contains a bytes"),
        ([{1: 2}], "has a key that must be a str"),
        ({"in": {"a\0": 1}}, "NUL"),
        (["\ud800"], "surrogate"),
        (np.datetime64("2024-01-01", "ns"), "contains a datetime64"),
    ],
)
def test_the_reason_is_said(value: Any, reason: str) -> None:
    with pytest.raises(InvalidMetadata, match=f"the owner: metadata 'x' .*{reason}"):
        metadata.split({"x": value}, FIELDS, "the owner")


def test_texts() -> None:
    assert texts.check_text(None, "a") is None
    assert texts.check_text("", "a") == ""
    with pytest.raises(InvalidMetadata, match=r"the owner: the text has 16,777,217 bytes"):
        texts.check_text("x" * ((16 << 20) + 1), "the owner")


MANY = {"lang": fields.Keyword(), "year": fields.Int(), "on": fields.Bool(), "at": fields.Float()}
STRINGS = st.sampled_from(["", "é", "a", "\0", "\ud800", "x" * 1_025])
VALUES = st.dictionaries(
    st.sampled_from([*MANY, "else"]), st.none() | st.booleans() | st.sampled_from([-3, 0, 2**60]) | STRINGS
)


def one_by_one(listed: list[dict[str, Any]], names: list[str]) -> Any:
    parted = [metadata.split(each, MANY, name) for each, name in zip(listed, names, strict=True)]
    extras = [metadata.dump(extra, "a") for _, extra in parted]
    return {name: [declared.get(name) for declared, _ in parted] for name in MANY}, extras


@given(st.lists(VALUES, max_size=4))
def test_columns_are_what_one_record_after_the_other_gives(listed: list[dict[str, Any]]) -> None:
    names = [f"Record {number}" for number in range(len(listed))]
    found: list[Any] = []
    for ask in (one_by_one, lambda *given: metadata.split_columns(given[0], MANY, given[1])):
        try:
            found.append(ask(listed, names))
        except InvalidMetadata as error:
            found.append(str(error))
    assert repr(found[0]) == repr(found[1])


@pytest.mark.parametrize("values, low, high, fine", [
    ([], 1, 3, True), (["abc", "a"], 1, 3, True), (["", "a"], 1, 3, False), (["abcd"], 1, 3, False),
    (["é"], 1, 4, True), (["a\0"], 0, 9, False), (["\ud83d", "\ude00"], 0, 99, False), (["a", b"a"], 0, 9, False),
])  # fmt: skip
def test_strings_are_looked_at_together(values: list[Any], low: int, high: int, fine: bool) -> None:  # noqa: FBT001
    assert are_storable(values, low, high) is fine
