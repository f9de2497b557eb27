"""The metadata of a record in another schema: a field may become declared, or be declared no longer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..errors import InvalidMetadata
from ..fields import DateTime
from ..schema import Schema


def convert_metadata(values: Mapping[str, Any], schema: Schema, id_: str) -> dict[str, Any]:
    """Return metadata for a schema; a date without a declared field becomes ISO 8601 text.

    Raises
    ------
    InvalidMetadata
        A text is no date, and its field is one now.
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
    return result
