"""The metadata of a record in another schema: a field may become declared, or be declared no longer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..errors import InvalidMetadata
from ..fields import MAX_INT, DateTime, Float
from ..schema import Schema


def convert_metadata(values: Mapping[str, Any], schema: Schema, id_: str) -> dict[str, Any]:
    """Return metadata for a schema; a date without a declared field becomes ISO 8601 text.

    Raises
    ------
    InvalidMetadata
        A text is no date, and its field is one now; or an integer is to become a float, and no double equals it.
    """
    result = dict(values)
    for name, value in values.items():
        declared = schema.fields.get(name)
        if isinstance(value, datetime) and declared is None:
            result[name] = value.isoformat()
        if isinstance(value, str | datetime) and isinstance(declared, DateTime):
            try:
                result[name] = declared.decode(declared.operand(value))
            except ValueError as error:
                raise InvalidMetadata(f"Record {id_!a}: metadata {name!a} {error}.") from error
        if isinstance(declared, Float) and isinstance(value, int) and abs(value) > MAX_INT and not _is_double(value):
            raise InvalidMetadata(
                f"Record {id_!a}: metadata {name!a} is an integer beyond 2**53 that a float would change."
            )
    return result


def _is_double(value: int) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False
