"""The kinds of fields: how each is stored as a column, sent, read back, compared and copied in.

The layouts in a binary COPY are those of each type's ``recv`` function in PostgreSQL.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    Text,
    cast,
    extract,
    literal_column,
)
from sqlalchemy.types import TypeEngine

from vecstore.fields import DateTime, Stored

Pack = Callable[[Sequence[Any]], list[bytes]]
"""Returns values in their binary form, each with its length before it."""

_EPOCH = literal_column("TIMESTAMPTZ 'epoch'", TIMESTAMP(timezone=True))
_MICROSECOND: ColumnElement[Any] = literal_column("INTERVAL '1 microsecond'")
_NULL = b"\xff\xff\xff\xff"
_LENGTH = struct.Struct(">i")
_INTEGER = struct.Struct(">iq")
_DOUBLE = struct.Struct(">id")
_TRUE, _FALSE = b"\0\0\0\1\1", b"\0\0\0\1\0"
_LIST = struct.Struct(">iiiii")
_NO_LIST = struct.pack(">iiii", 12, 0, 0, 25)
_TEXT_OID = 25
_SINCE_2000 = 946_684_800_000_000
"""Microseconds from 1970 to where PostgreSQL begins to count."""


def convert_from_micros(micros: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return microseconds since 1970 as ``timestamptz``; exact up to 2⁵³, which every stored date is below."""
    return _EPOCH + micros * _MICROSECOND


def _convert_to_micros(column: ColumnElement[Any]) -> ColumnElement[Any]:
    # A numeric since PostgreSQL 14: exact.
    return cast(extract("epoch", column) * literal_column("1000000"), BigInteger)


@dataclass(frozen=True, slots=True)
class FieldType:
    """How the values of one kind of field are stored and sent.

    Attributes
    ----------
    type : SQLAlchemy type
        Of the column.
    sent : SQLAlchemy type
        Of one value on its way to the server.
    pack : callable
        Python from stored forms to the values of a binary COPY.
    into, out_of : callable
        SQL from what was sent to the column, and from the column to what is returned.
    encode, decode : callable
        Python from the stored form to what is sent, and back from what is returned; None: they are the same.
    operand : SQLAlchemy type, optional
        Of a value that a filter compares with.
    compared : callable
        Python from the stored form of such a value to what is sent.
    method : str
        Of the index.
    """

    type: TypeEngine[Any]
    sent: TypeEngine[Any]
    pack: Pack
    into: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda value: value
    out_of: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda column: column
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Stored] | None = None
    operand: TypeEngine[Any] | None = None
    compared: Callable[[Any], Any] = lambda value: value
    method: str = "btree"

    @property
    def operand_type(self) -> TypeEngine[Any]:
        """The type of a value that a filter compares with; as sent unless said otherwise."""
        return self.sent if self.operand is None else self.operand


def encode_array(values: Sequence[str]) -> str:
    """Return strings as the text of a ``text[]``: an array of arrays of different lengths cannot be sent."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def pack_texts(values: Sequence[str | None]) -> list[bytes]:
    """Return strings in their binary form, each with its length before it."""
    return [_NULL if value is None else _LENGTH.pack(len(data := value.encode())) + data for value in values]


def _pack_lists(values: Sequence[Any]) -> list[bytes]:
    return [_NULL if value is None else _pack_list(value) for value in values]


def _pack_list(value: Sequence[str]) -> bytes:
    if not value:
        return _NO_LIST
    items = b"".join(pack_texts(value))
    return _LENGTH.pack(_LIST.size + len(items)) + _LIST.pack(1, 0, _TEXT_OID, len(value), 1) + items


def _pack_integers(values: Sequence[Any]) -> list[bytes]:
    return [_NULL if value is None else _INTEGER.pack(8, value) for value in values]


def _pack_dates(values: Sequence[Any]) -> list[bytes]:
    return [_NULL if value is None else _INTEGER.pack(8, value - _SINCE_2000) for value in values]


def _pack_doubles(values: Sequence[Any]) -> list[bytes]:
    return [_NULL if value is None else _DOUBLE.pack(8, value) for value in values]


def _pack_truths(values: Sequence[Any]) -> list[bytes]:
    return [_NULL if value is None else _TRUE if value else _FALSE for value in values]


BYTEWISE = Text(collation="C")
ID = FieldType(BYTEWISE, Text(), pack_texts)
_STRINGS: TypeEngine[Any] = ARRAY(BYTEWISE)

FIELDS: Mapping[str, FieldType] = MappingProxyType(
    {
        "keyword": FieldType(BYTEWISE, Text(), pack_texts),
        "keywords": FieldType(
            _STRINGS,
            Text(),
            _pack_lists,
            into=lambda text: cast(text, ARRAY(Text())),
            encode=encode_array,
            decode=tuple,
            method="gin",
        ),
        "int": FieldType(BigInteger(), BigInteger(), _pack_integers),
        "float": FieldType(Double(), Double(), _pack_doubles),
        "bool": FieldType(Boolean(), Boolean(), _pack_truths),
        "datetime": FieldType(
            TIMESTAMP(timezone=True),
            BigInteger(),
            _pack_dates,
            into=convert_from_micros,
            out_of=_convert_to_micros,
            operand=TIMESTAMP(timezone=True),
            compared=DateTime().decode,
        ),
    }
)
"""By the kind of a declared field."""
