"""From the types of columns to declared fields, and from their values to metadata."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column
from sqlalchemy.types import TypeEngine

from .. import fields
from ..errors import InvalidArgument
from ..fields import Field
from .keys import find_python_type


def _to_utc(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value


def _name_member(value: enum.Enum | str) -> str:
    return value.name if isinstance(value, enum.Enum) else value


def _to_texts(values: list[Any]) -> list[str]:
    return [str(each) for each in values]


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """A column as a declared field.

    Attributes
    ----------
    attribute : str
        Of the model; the name of the field.
    column : Column
    field : Field
    convert : callable
        From a value of the column, which is not None, to the value of the field.
    """

    attribute: str
    column: Column[Any]
    field: Field
    convert: Callable[[Any], Any]


_FIELDS: Mapping[type, tuple[Field, Callable[[Any], Any]]] = MappingProxyType(
    {
        bool: (fields.Bool(), bool),
        int: (fields.Int(), int),
        float: (fields.Float(), float),
        decimal.Decimal: (fields.Float(), float),
        str: (fields.Keyword(), _name_member),
        uuid.UUID: (fields.Keyword(), str),
        dt.datetime: (fields.DateTime(), _to_utc),
        dt.date: (fields.Keyword(), dt.date.isoformat),
    }
)


def make_field(attribute: str, column: Column[Any], owner: str) -> FieldColumn:
    """Return the field that a column becomes.

    Raises
    ------
    InvalidArgument
        Values of its type are no metadata that filters can use.
    """
    kind = find_python_type(column.type)
    if kind is not None and issubclass(kind, enum.Enum):
        return FieldColumn(attribute, column, fields.Keyword(), _name_member)
    if kind is list and find_python_type(_get_item_type(column.type)) in {str, uuid.UUID}:
        return FieldColumn(attribute, column, fields.Keywords(), _to_texts)
    if kind is None or kind not in _FIELDS:
        raise InvalidArgument(
            f"{owner}: the column {column.name!r} of type {column.type!r} cannot be a field. Fields are texts, "
            "numbers, booleans, dates, UUIDs, enumerations and arrays of texts; where= works without it too."
        )
    return FieldColumn(attribute, column, *_FIELDS[kind])


def _get_item_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    return getattr(type_, "item_type", type_)
