"""One generation as a table: its columns, its indexes, and how each value travels.

A row without an embedding is a tombstone: it keeps the version of a removed id. Declared fields are typed
columns, so that an application's own SQL can use them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    TIMESTAMP,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    Index,
    MetaData,
    Table,
    Text,
    cast,
    extract,
    literal_column,
)
from sqlalchemy.types import TypeEngine

from vecstore.backend import Generation
from vecstore.fields import DateTime, Stored
from vecstore.schema import Schema

from .column_types import NAMES, VectorType

_EPOCH = literal_column("TIMESTAMPTZ 'epoch'", TIMESTAMP(timezone=True))
_MICROSECOND: ColumnElement[Any] = literal_column("INTERVAL '1 microsecond'")


MAX_VECTOR_INDEX = 2_000
MAX_HALFVEC_INDEX = 4_000


def convert_from_micros(micros: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return microseconds since 1970 as ``timestamptz``; exact up to 2⁵³, beyond which no stored date lies."""
    return _EPOCH + micros * _MICROSECOND


def _convert_to_micros(column: ColumnElement[Any]) -> ColumnElement[Any]:
    # A numeric since PostgreSQL 14: exact.
    return cast(extract("epoch", column) * literal_column("1000000"), BigInteger)


@dataclass(frozen=True, slots=True)
class FieldType:
    """How the values of one kind of field are stored and travel.

    Attributes
    ----------
    type : SQLAlchemy type
        Of the column.
    sent : SQLAlchemy type
        Of one value on its way to the server.
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


_BYTEWISE = Text(collation="C")
ID = FieldType(_BYTEWISE, Text())
_STRINGS: TypeEngine[Any] = ARRAY(_BYTEWISE)

FIELDS: Mapping[str, FieldType] = MappingProxyType(
    {
        "keyword": FieldType(_BYTEWISE, Text()),
        "keywords": FieldType(
            _STRINGS,
            Text(),
            into=lambda text: cast(text, ARRAY(Text())),
            encode=encode_array,
            decode=tuple,
            method="gin",
        ),
        "int": FieldType(BigInteger(), BigInteger()),
        "float": FieldType(Double(), Double()),
        "bool": FieldType(Boolean(), Boolean()),
        "datetime": FieldType(
            TIMESTAMP(timezone=True),
            BigInteger(),
            into=convert_from_micros,
            out_of=_convert_to_micros,
            operand=TIMESTAMP(timezone=True),
            compared=DateTime().decode,
        ),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A generation's table and what is known of it. One object for each, so that statements are kept by it.

    Attributes
    ----------
    id : str
        The generation's.
    table : Table
    schema : Schema
    extension : str
        The schema that pgvector lives in.
    """

    id: str
    table: Table
    schema: Schema
    extension: str

    def alone(self) -> Layout:
        """Return the same layout with a table of its own."""
        return make_layout(Generation(self.id, self.schema), str(self.table.schema), self.extension)

    @property
    def vector_type(self) -> str:
        """``vector`` or ``halfvec``."""
        return NAMES[self.schema.dtype]

    @property
    def indexed_as(self) -> str:
        """The type that a graph is built over: beyond the dimensions of a ``vector`` index, the rounded form."""
        return "halfvec" if self.schema.width > MAX_VECTOR_INDEX else self.vector_type

    @property
    def columns(self) -> Any:
        """The table's columns by name."""
        return self.table.c

    def field(self, name: str) -> ColumnElement[Any]:
        """Return the column of a declared field, or of the id."""
        return self.table.c["id" if name == "id" else name_column(name)]

    def form(self, name: str) -> FieldType:
        """Return how a declared field, or the id, is stored."""
        return ID if name == "id" else FIELDS[self.schema.fields[name].kind]


def name_column(field: str) -> str:
    """Return the column of a declared field; no name of a field is a name of another column."""
    return f"f_{field}"


def make_layout(generation: Generation, namespace: str, extension: str) -> Layout:
    """Return how a generation lies in PostgreSQL."""
    schema, name = generation.schema, f"vecstore_g_{generation.id}"
    kinds = [(field, FIELDS[each.kind]) for field, each in schema.fields.items()]
    table = Table(
        name,
        MetaData(schema=namespace),
        Column("id", _BYTEWISE, primary_key=True),
        Column("version", BigInteger(), nullable=False),
        Column("embedding", VectorType(NAMES[schema.dtype], extension, schema.width)),
        Column("body", Text()),
        Column("extra", JSON(none_as_null=True)),
        *(Column(name_column(field), form.type) for field, form in kinds),
    )
    for number, (field, form) in enumerate(kinds):
        Index(f"{name}_f{number}", table.c[name_column(field)], postgresql_using=form.method)
    return Layout(generation.id, table, schema, extension)


class Layouts:
    """The layouts of the generations of one namespace, each made once."""

    def __init__(self, namespace: str, extension: str) -> None:
        self._namespace = namespace
        self._extension = extension
        self._made: dict[str, Layout] = {}

    def get(self, generation: Generation) -> Layout:
        """Return the layout of a generation."""
        found = self._made.get(generation.id)
        if found is None:
            made = make_layout(generation, self._namespace, self._extension)
            found = self._made.setdefault(generation.id, made)
        return found
