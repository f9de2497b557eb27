"""Columns of metadata as a backend stores them: declared fields in stored form, the rest as JSON texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from json.encoder import encode_basestring as _quote
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import InvalidMetadata
from ..fields import (
    MAX_INT,
    MAX_KEYWORD_BYTES,
    MAX_KEYWORDS,
    Bool,
    DateTime,
    Field,
    Float,
    Int,
    Keyword,
    Keywords,
    Stored,
    unwrap,
)
from ..rows import metadata
from ..rows.strings import WIDEST, are_storable
from .batch import Column, Instants

_NO_ZONE = (
    "must have a time zone; give a column of dates with one, such as frame[name].dt.tz_localize('UTC') in pandas, "
    "replace_time_zone('UTC') in polars, or cast(pyarrow.timestamp('us', 'UTC'))"
)
_UNDECLARED_DATE = "is a date, which JSON cannot represent; declare the field with fields.DateTime(), or give text"
_FALSE_TRUE = ("false", "true")
_LONG = 1 << 64


def encode_field(name: str, column: Column, field: Field, owners: Sequence[str]) -> Sequence[Stored | None]:
    """Return a column in the stored form of a declared field.

    Raises
    ------
    InvalidMetadata
    """
    if isinstance(column, Instants):
        if isinstance(field, DateTime):
            return _encode_instants(name, column, field, owners)
        column = _make_dates(column)
    present = [value for value in column if value is not None] if None in column else column
    quick = _QUICK.get(type(field))
    if not present:
        return column
    encoded = quick(present) if quick else None
    if encoded is None:
        return _encode_each(name, column, field, owners)
    if len(present) == len(column):
        return encoded
    rest = iter(encoded)
    return [None if value is None else next(rest) for value in column]


def encode_rest(columns: Mapping[str, Column], owners: Sequence[str]) -> list[str]:
    """Return the undeclared keys of each row as JSON text.

    Raises
    ------
    InvalidMetadata
    """
    members = {f"{_quote(_check_key(name))}:": _encode_json(name, column, owners) for name, column in columns.items()}
    if not members:
        return [metadata.NO_EXTRA] * len(owners)
    if any(None in texts for texts in members.values()):
        parts = [[None if text is None else key + text for text in texts] for key, texts in members.items()]
        found = ["{" + ",".join(filter(None, row)) + "}" for row in zip(*parts, strict=True)]
    else:
        form = "{" + ",".join(f"{key.replace('%', '%%')}%s" for key in members) + "}"
        found = [form % row for row in zip(*members.values(), strict=True)]
    _check_sizes(found, owners)
    return found


def merge_rest(first: Sequence[str], second: Sequence[str], owners: Sequence[str]) -> list[str]:
    """Return two JSON objects for each row, which have no key in common, as one.

    Raises
    ------
    InvalidMetadata
    """
    merged = [
        a if b == metadata.NO_EXTRA else b if a == metadata.NO_EXTRA else f"{a[:-1]},{b[1:]}"
        for a, b in zip(first, second, strict=True)
    ]
    _check_sizes(merged, owners)
    return merged


def _encode_instants(name: str, column: Instants, field: DateTime, owners: Sequence[str]) -> Sequence[int | None]:
    present = [value for value in column.micros if value is not None]
    if present and not column.has_zone and field.naive is None:
        row = next(row for row, value in enumerate(column.micros) if value is not None)
        raise _make_error(name, _NO_ZONE, owners[row])
    if present and not (min(present) >= -MAX_INT and max(present) <= MAX_INT):
        row = next(row for row, value in enumerate(column.micros) if value is not None and abs(value) > MAX_INT)
        raise _make_error(name, "is more than 2**53 microseconds away from 1970", owners[row])
    return column.micros


def _make_dates(column: Instants) -> list[Any]:
    """Return stand-ins from which a field that takes no dates makes its own error."""
    example = datetime.fromtimestamp(0, UTC)
    return [None if value is None else example for value in column.micros]


def _take_keywords(values: Sequence[Any]) -> Sequence[Stored] | None:
    return values if are_storable(values, 0, MAX_KEYWORD_BYTES) else None


def _take_ints(values: Sequence[Any]) -> Sequence[Stored] | None:
    kinds = set(map(type, values))
    if kinds == {float}:
        # A column of integers with gaps is one of floats; whether a stream has a gap is known only at its end.
        numbers = np.array(values)
        if not (np.abs(numbers) <= MAX_INT).all() or (numbers != np.floor(numbers)).any():
            return None
        whole: list[Stored] = numbers.astype(np.int64).tolist()
        return whole
    return values if kinds == {int} and min(values) >= -MAX_INT and max(values) <= MAX_INT else None


def _take_floats(values: Sequence[Any]) -> Sequence[Stored] | None:
    kinds = set(map(type, values))
    if kinds == {int} and (min(values) < -MAX_INT or max(values) > MAX_INT):
        return None
    if kinds not in ({float}, {int}):
        return None
    numbers = np.array(values, np.float64) + 0.0  # −0.0 is stored as 0.0
    finite: list[Stored] | None = numbers.tolist() if np.isfinite(numbers).all() else None
    return finite


def _take_bools(values: Sequence[Any]) -> Sequence[Stored] | None:
    return values if set(map(type, values)) == {bool} else None


def _take_lists(values: Sequence[Any]) -> Sequence[Stored] | None:
    if not set(map(type, values)) <= {list, tuple} or max(map(len, values)) > MAX_KEYWORDS:
        return None
    items = [item for value in values for item in value]
    return list(map(tuple, values)) if are_storable(items, 0, MAX_KEYWORD_BYTES) else None


_QUICK: Mapping[type[Field], Callable[[Sequence[Any]], Sequence[Stored] | None]] = MappingProxyType(
    {Keyword: _take_keywords, Keywords: _take_lists, Int: _take_ints, Float: _take_floats, Bool: _take_bools}
)
"""By field: all values in stored form at once, or None where each value has to be looked at."""


def _encode_each(name: str, column: Sequence[Any], field: Field, owners: Sequence[str]) -> list[Stored | None]:
    found: list[Stored | None] = []
    for row, value in enumerate(column):
        try:
            found.append(None if value is None else field.encode(_loosen(value, field)))
        except ValueError as error:
            raise _make_error(name, str(error), owners[row]) from error
    return found


def _loosen(value: Any, field: Field) -> Any:
    """Return a value of a column that the field takes although it would refuse it in a record."""
    value = unwrap(value)
    if isinstance(field, Int) and isinstance(value, float | Decimal) and value == value // 1:
        return int(value)
    if isinstance(field, Float) and isinstance(value, Decimal):
        return float(value)
    return value


def _encode_json(name: str, column: Column, owners: Sequence[str]) -> Sequence[str | None]:
    """Return the JSON text of each value."""
    if isinstance(column, Instants):
        for row, value in enumerate(column.micros):
            if value is not None:
                raise _make_error(name, _UNDECLARED_DATE, owners[row])
        return [None] * len(column.micros)
    present = [value for value in column if value is not None] if None in column else column
    kinds = set(map(type, present))
    texts: Sequence[str] | None = None
    if kinds == {str} and are_storable(present, 0, metadata.MAX_BYTES):
        texts = list(map(_quote, present))
    elif kinds == {int} and min(present) > -_LONG and max(present) < _LONG:
        texts = list(map(str, present))
    elif kinds == {bool}:
        texts = [_FALSE_TRUE[value] for value in present]
    elif kinds == {float} and np.isfinite(np.array(present)).all():
        texts = list(map(repr, present))
    if texts is None:
        return _encode_json_each(name, column, owners)
    if len(present) == len(column):
        return texts
    rest = iter(texts)
    return [None if value is None else next(rest) for value in column]


def _encode_json_each(name: str, column: Sequence[Any], owners: Sequence[str]) -> list[str | None]:
    found: list[str | None] = []
    for row, value in enumerate(column):
        try:
            found.append(None if value is None else metadata.dump_value(value))
        except ValueError as error:
            raise _make_error(name, str(error), owners[row]) from error
    return found


def _check_key(name: object) -> str:
    try:
        return metadata.check_key(name)
    except ValueError as error:
        raise InvalidMetadata(f"The metadata {error}.") from error


def _check_sizes(texts: Sequence[str], owners: Sequence[str]) -> None:
    if texts and max(map(len, texts)) * WIDEST > metadata.MAX_BYTES:
        for text, owner in zip(texts, owners, strict=True):
            metadata.check_size(text, owner)


def _make_error(name: str, reason: str, owner: str) -> InvalidMetadata:
    return InvalidMetadata(f"{owner}: metadata {name[:60]!a} {reason}.")
