from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import numpy as np
import pytest

from vecstore import InvalidArgument, fields
from vecstore.fields import MAX_INT, Field, NewerSchema, describe_field, make_field, unwrap

ALL_FIELDS = [fields.Keyword(), fields.Keywords(), fields.Int(), fields.Float(), fields.Bool(), fields.DateTime()]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Colour(str, Enum):  # noqa: UP042 - str() of it is not what it holds
    RED = "red"


def test_kinds_name_fields() -> None:
    assert [each.kind for each in ALL_FIELDS] == ["keyword", "keywords", "int", "float", "bool", "datetime"]
    assert [make_field(each.kind) for each in ALL_FIELDS] == ALL_FIELDS
    with pytest.raises(KeyError):
        make_field("text")


@pytest.mark.parametrize(
    "field, value, stored",
    [
        (fields.Keyword(), "é", "é"),
        (fields.Keyword(), Colour.RED, "red"),
        (fields.Keywords(), ["b", "a", "b"], ("b", "a", "b")),
        (fields.Keywords(), (), ()),
        (fields.Int(), -MAX_INT, -MAX_INT),
        (fields.Int(), np.int8(-3), -3),
        (fields.Float(), 3, 3.0),
        (fields.Float(), np.float16(0.5), 0.5),
        (fields.Bool(), np.False_, False),
        (fields.DateTime(), EPOCH + timedelta(seconds=1, microseconds=2), 1_000_002),
        (fields.DateTime(), EPOCH - timedelta(microseconds=1), -1),
        (fields.DateTime(), datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 0),
    ],
)
def test_the_stored_form(field: Field, value: Any, stored: Any) -> None:
    assert repr(field.encode(value)) == repr(stored)
    assert repr(field.encode(field.decode(stored))) == repr(stored)


def test_the_users_form() -> None:
    assert fields.Keywords().decode(("a", "b")) == ["a", "b"]
    assert fields.DateTime().decode(1_000_002) == EPOCH + timedelta(seconds=1, microseconds=2)
    assert fields.Float().decode(3.0) == 3.0


def test_minus_zero_is_zero() -> None:
    assert repr(fields.Float().encode(-0.0)) == "0.0"


def reason_of(field: Field, value: object) -> str:
    """Return what a log would show, causes included; nothing for a value that is accepted."""
    try:
        field.encode(value)
    except ValueError as error:
        return f"{error} {error.__cause__} {error.__context__ and error.__context__.args}"
    return ""


@pytest.mark.parametrize("field", ALL_FIELDS, ids=lambda field: str(field.kind))
def test_the_reason_holds_no_value(field: Field) -> None:
    for value in ("secret" * 1000, b"secret", ["secret", 7.77], 7.77e400, 7777 * 10**500, {"secret": 7777}, "secret\0"):
        reason = reason_of(field, value)
        assert "secret" not in reason
        assert "77" not in reason


TEXTUAL, IN_UTC = fields.DateTime(text=True), fields.DateTime(text=True, naive="utc")


@pytest.mark.parametrize(
    "field, value, stored",
    [
        (TEXTUAL, "1970-01-01T00:00:01Z", 1_000_000),
        (TEXTUAL, "1970-01-01T02:00:01.000002+02:00", 1_000_002),
        (TEXTUAL, np.str_("1970-01-01T00:00:01Z"), 1_000_000),
        (TEXTUAL, EPOCH, 0),
        (IN_UTC, "1970-01-01T00:00:01", 1_000_000),
        (IN_UTC, "1970-01-02", 86_400_000_000),
        (IN_UTC, datetime(1970, 1, 1, 0, 0, 1), 1_000_000),
        (IN_UTC, "1970-01-01T02:00:01+02:00", 1_000_000),
        (fields.DateTime(naive="utc"), datetime(1970, 1, 1, 0, 0, 1), 1_000_000),
    ],
)
def test_dates_as_text(field: fields.DateTime, value: Any, stored: int) -> None:
    assert field.encode(value) == stored
    assert field.operand(value) == stored
    found = field.decode(stored)
    assert type(found) is (str if field.text else datetime)
    assert field.encode(found) == stored


def test_a_text_comes_back_in_utc() -> None:
    assert TEXTUAL.decode(1_000_002) == "1970-01-01T00:00:01.000002+00:00"
    assert TEXTUAL.decode(TEXTUAL.encode("1970-01-01T02:00:01+02:00")) == "1970-01-01T00:00:01+00:00"


@pytest.mark.parametrize("value", ["1970-01-01T00:00:01", "1970-01-01", "soon", "", 3, None, datetime(1970, 1, 1)])
def test_texts_that_are_no_dates(value: Any) -> None:
    with pytest.raises(ValueError, match=r"time zone|ISO 8601|missing value"):
        TEXTUAL.encode(value)


def test_options_of_dates_are_checked() -> None:
    for options in ({"text": 1}, {"text": None}, {"naive": "local"}, {"naive": True}):
        with pytest.raises(InvalidArgument):
            fields.DateTime(**options)


def test_a_field_as_json() -> None:
    assert describe_field(fields.DateTime()) == "datetime"
    assert describe_field(TEXTUAL) == {"kind": "datetime", "text": True}
    assert describe_field(IN_UTC) == {"kind": "datetime", "text": True, "naive": "utc"}
    for field in (*ALL_FIELDS, TEXTUAL, IN_UTC):
        assert make_field(describe_field(field)) == field
    with pytest.raises(NewerSchema, match="'zone'"):
        make_field({"kind": "datetime", "zone": "x"})
    assert [f"{field}" for field in (fields.Int(), TEXTUAL)] == ["int", "datetime with text=True"]


def test_dates_as_text_are_for_filters_only() -> None:
    assert fields.DateTime().operand("1970-01-01T00:00:01Z") == 1_000_000
    with pytest.raises(ValueError, match="datetime"):
        fields.DateTime().encode("1970-01-01T00:00:01Z")
    with pytest.raises(ValueError, match="ISO 8601") as caught:
        fields.DateTime().operand("a secret")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_numpy_numbers_become_plain_ones_and_dates_stay() -> None:
    given = [np.int64(1), np.float32(0.5), np.True_, np.str_("a"), np.longdouble(0.5), 1, "a", None]
    assert repr([unwrap(value) for value in given]) == repr([1, 0.5, True, "a", 0.5, 1, "a", None])
    for kept in (np.datetime64("2024-01-01", "ns"), np.timedelta64(5, "ns"), np.complex64(1), np.bytes_(b"a")):
        assert unwrap(kept) is kept
