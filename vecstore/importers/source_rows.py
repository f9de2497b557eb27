"""Some records of a source, and their conversion to the columns that a store takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from ..columns.given import Columns
from ..fields import DateTime, Field, unwrap
from .imported import Tally

_PLAIN = frozenset({str, int, bool, float, type(None)})
_DATES_ARE_TEXT = (
    "Dates under keys that are not declared are stored as ISO 8601 texts. Declare a key as datetime for dates."
)
_NAIVE = "Dates without a time zone are taken for UTC where a datetime is declared."
_BYTES = "Values of bytes are left out: metadata holds JSON values only."


@dataclass(frozen=True, slots=True, eq=False)
class SourceRows:
    """Some records of a source, by column.

    Attributes
    ----------
    ids : sequence
        Texts, whole numbers or UUIDs; None for a record without one.
    vectors : sequence
        An array or a list of numbers for each record; None for one without.
    texts : sequence, optional
    metadata : mapping of str to sequence
        A column for each key; None for a missing value.
    nested : sequence of mapping, optional
        Further metadata of each record, with keys of its own.
    """

    ids: Sequence[Any]
    vectors: Sequence[Any]
    texts: Sequence[Any] | None = None
    metadata: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    nested: Sequence[Mapping[str, Any] | None] | None = None


def make_columns(rows: SourceRows, fields: Mapping[str, Field], tally: Tally) -> Columns:
    """Return records as columns whose values are those of JSON, or dates where a date is declared."""
    found = {key: list(column) for key, column in rows.metadata.items()}
    for row, values in enumerate(rows.nested or ()):
        for key, value in (values or {}).items():
            if key in rows.metadata:
                tally.note(f"The key {key[:60]!a} is both a column and within the metadata: the column is stored.")
            else:
                found.setdefault(key, [None] * len(rows.ids))[row] = value
    metadata = {key: _convert_column(column, fields.get(key), tally) for key, column in found.items()}
    return Columns(list(map(_spell_id, rows.ids)), list(rows.vectors), _list_texts(rows.texts), metadata)


def take_rows(columns: Columns, places: Sequence[int]) -> Columns:
    """Return some rows of columns that `make_columns` made."""

    def take(column: Any) -> Any:
        return None if column is None else [column[place] for place in places]

    metadata = {key: take(column) for key, column in columns.metadata.items()}
    return Columns(take(columns.ids), take(columns.vectors), take(columns.texts), metadata)


def _spell_id(value: Any) -> Any:
    value = unwrap(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, UUID) else value


def _list_texts(texts: Sequence[Any] | None) -> list[Any] | None:
    return None if texts is None or all(text is None for text in texts) else list(texts)


def _convert_column(column: list[Any], field: Field | None, tally: Tally) -> list[Any]:
    if isinstance(field, DateTime) and not field.text:
        return [_read_date(value, tally) for value in column]
    if set(map(type, column)) <= _PLAIN:
        return column
    return [_make_plain(value, tally) for value in column]


def _read_date(value: Any, tally: Tally) -> Any:
    """Return a date of a declared field; what is none stays, so that it is refused."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime) and value.tzinfo is None:
        tally.note(_NAIVE)
        return value.replace(tzinfo=UTC)
    return value


def _make_plain(value: Any, tally: Tally) -> Any:
    """Return a value as JSON has it; what JSON has nothing for stays, so that it is refused by name."""
    value = unwrap(value)
    if type(value) in _PLAIN:
        return value
    if isinstance(value, datetime | date | time):
        tally.note(_DATES_ARE_TEXT)
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(UTC)
        return value.isoformat()
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        tally.note(_BYTES)
        return None
    if isinstance(value, UUID | timedelta):
        return str(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: _make_plain(item, tally) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_make_plain(item, tally) for item in value]
    return value
