"""Keys of rows: as an outbox has them, as the values of columns, and as ids of records."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import CHAR, NCHAR, Column, Enum, String, TypeDecorator, Uuid
from sqlalchemy.types import TypeEngine

from ..errors import InvalidArgument

Key = tuple[Any, ...]
"""The values of a row's key columns."""


class RowKeys:
    """Converts the keys of one table.

    In the outbox a key is a JSON array without spaces, made by triggers. As an id it is the text of its only value, or
    a JSON array where there are several columns.

    Parameters
    ----------
    columns : sequence of Column
        The primary key: integers, texts and UUIDs.
    owner : str
        What messages call the table.

    Raises
    ------
    InvalidArgument
    """

    def __init__(self, columns: Sequence[Column[Any]], owner: str) -> None:
        if not columns:
            raise InvalidArgument(f"{owner} has no primary key, so no record could be told from another.")
        self.columns = tuple(columns)
        self.kinds = tuple(_find_kind(column, owner) for column in columns)

    def parse(self, text: str) -> Key:
        """Return the values of a key of the outbox."""
        values = json.loads(text)
        if not isinstance(values, list) or len(values) != len(self.kinds):
            raise ValueError("the key has another number of columns")
        if not all(type(value) in (int, str) for value in values):
            raise ValueError("the key has a value that no key column has")
        return tuple(self._convert(place, value) for place, value in enumerate(values))

    def format(self, key: Key) -> str:
        """Return a key as the outbox has it."""
        return json.dumps([value if type(value) is int else str(value) for value in key], separators=(",", ":"))

    def format_id(self, key: Key) -> str:
        """Return the id of a row's record."""
        if len(key) == 1:
            return str(key[0])
        return json.dumps([value if type(value) is int else str(value) for value in key], ensure_ascii=False)

    def parse_id(self, id_: str) -> Key:
        """Return the values behind an id that `format_id` made."""
        if len(self.kinds) == 1:
            return (self._convert(0, id_),)
        return self.parse(id_)

    def _convert(self, place: int, value: Any) -> Any:
        kind, type_ = self.kinds[place], self.columns[place].type
        if kind is uuid.UUID:
            found = uuid.UUID(str(value))
            return found if type_.as_uuid else str(found)  # type: ignore[attr-defined]
        return kind(value)


def _find_kind(column: Column[Any], owner: str) -> type[Any]:
    type_: TypeEngine[Any] = column.type
    if isinstance(type_, Uuid):
        return uuid.UUID
    if isinstance(type_, String) and not isinstance(type_, Enum):
        _check_letters(column.name, type_, owner)
        return str
    if not isinstance(type_, TypeDecorator) and find_python_type(type_) is int:
        return int
    raise InvalidArgument(
        f"The key column {column.name!r} of {owner} has the type {type_!r}. Keys are integers, texts and UUIDs."
    )


def _check_letters(name: str, type_: String, owner: str) -> None:
    """Refuse texts that the database changes, or compares otherwise than letter by letter."""
    if isinstance(type_, (CHAR, NCHAR)):
        raise InvalidArgument(
            f"The key column {name!r} of {owner} has the type {type_!r}, which PostgreSQL pads with spaces, so that a "
            f"row could not be told by its key. Use String({type_.length or ''})."
        )
    collation = (type_.collation or "").lower()
    if collation in {"nocase", "rtrim"} or collation.endswith("_ci") or "_ci_" in collation:
        raise InvalidArgument(
            f"The key column {name!r} of {owner} has the collation {type_.collation!r}, by which different keys are "
            "equal, while records with these keys are not. Use a key without a collation, and a unique index that "
            "has it."
        )


def find_python_type(type_: TypeEngine[Any]) -> type[Any] | None:
    """Return the Python type of a column's values, if the type of the column says so."""
    if isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    try:
        return type_.python_type
    except NotImplementedError:
        return None
