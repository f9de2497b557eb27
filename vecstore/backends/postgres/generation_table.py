"""One generation as a table: its columns and indexes.

With ``Schema(partitions=n)`` the table is divided by the hash of the id into n tables ``…_p0`` and so on. Statements
about records name the whole table, whose owner, rights and row security count; only upkeep knows the parts.

A tombstone keeps the version of a removed id and has no other value; where vectors are optional, a row with ``extra``
and without an embedding is a record. Declared fields are typed columns, which an application's own SQL can use.
``extra`` keeps undeclared metadata as it was spelled; where filters may use it, ``extra_values`` has its canonical
values (see `vecstore.filters.canonical_json`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Index,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex, CreateTable

from vecstore.backend import Generation, Superseded
from vecstore.schema import Schema

from .column_types import NAMES, VectorType, quote_table
from .fields import BYTEWISE, FIELDS, ID, FieldType
from .statements import compile_statement

MAX_VECTOR_INDEX = 2_000
MAX_HALFVEC_INDEX = 4_000


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A generation's table and its properties. There is one object per generation, by which statements are cached.

    Attributes
    ----------
    id : str
        The generation's.
    table : Table
    schema : Schema
    extension : str
        The schema that pgvector is installed in.
    vector_type : str
        ``vector`` or ``halfvec``.
    indexed_as : str
        The type that a graph is built over: beyond the dimensions of a ``vector`` index, the rounded form.
    has_citus : bool
        Whether the rows may lie on another server, in a table of another name.
    """

    id: str
    table: Table
    schema: Schema
    extension: str
    vector_type: str
    indexed_as: str
    has_citus: bool

    def copy(self) -> Layout:
        """Return the same layout with a separate Table object."""
        return self._copy(str(self.table.name))

    def _copy(self, name: str) -> Layout:
        place = str(self.table.schema)
        return _make_layout(self.id, self.schema, place, self.extension, name, has_citus=self.has_citus)

    @property
    def partitions(self) -> int:
        """The number of tables that hold the rows."""
        return self.schema.partitions

    def list_parts(self) -> list[Layout]:
        """Return the layouts of the tables that hold the rows and have a graph each: the partitions, or the table."""
        if self.partitions == 1:
            return [self]
        return [self._copy(f"{self.table.name}_p{number}") for number in range(self.partitions)]

    @property
    def columns(self) -> Any:
        """The table's columns by name."""
        return self.table.c

    @property
    def mark(self) -> ColumnElement[Any]:
        """The column that is NULL in tombstones alone: where all have one the embedding, which searches read anyway."""
        marking: ColumnElement[Any] = self.table.c.extra if self.schema.has_optional_vectors else self.table.c.embedding
        return marking

    def get_column(self, name: str) -> ColumnElement[Any]:
        """Return the column of a declared field, or of the id."""
        return self.table.c["id" if name == "id" else name_column(name)]

    def get_type(self, name: str) -> FieldType:
        """Return how a declared field, or the id, is stored."""
        return ID if name == "id" else FIELDS[self.schema.fields[name].kind]


_PENDING = 64
"""Kilobytes of entries that wait to be put into the index of undeclared keys, and that each search reads through: with
PostgreSQL's own limit of 4 MB, a search took 1.4 ms instead of 0.3 ms. Loads take as long."""


def name_column(field: str) -> str:
    """Return the column of a declared field; the prefix keeps it apart from other columns."""
    return f"f_{field}"


def make_layout(generation: Generation, namespace: str, extension: str, *, has_citus: bool) -> Layout:
    """Return the layout of a generation's table."""
    name = f"vecstore_g_{generation.id}"
    return _make_layout(generation.id, generation.schema, namespace, extension, name, has_citus=has_citus)


def _make_layout(id_: str, schema: Schema, namespace: str, extension: str, name: str, *, has_citus: bool) -> Layout:
    kinds = [(field, FIELDS[each.kind]) for field, each in schema.fields.items()]
    table = Table(
        name,
        MetaData(schema=namespace),
        Column("id", BYTEWISE, primary_key=True),
        Column("version", BigInteger(), nullable=False),
        Column("embedding", VectorType(NAMES[schema.dtype], extension, schema.width)),
        Column("body", Text()),
        Column("extra", JSON(none_as_null=True)),
        *([Column("extra_values", JSONB())] if schema.dynamic else []),
        *(Column(name_column(field), form.type) for field, form in kinds),
    )
    if schema.dynamic:
        classes = {"extra_values": "jsonb_path_ops"}
        Index(
            f"{name}_keys",
            table.c.extra_values,
            postgresql_using="gin",
            postgresql_ops=classes,
            postgresql_with={"gin_pending_list_limit": _PENDING},
        )
    for number, (field, form) in enumerate(kinds):
        Index(f"{name}_f{number}", table.c[name_column(field)], postgresql_using=form.method)
    vector_type = NAMES[schema.dtype]
    indexed_as = "halfvec" if schema.width > MAX_VECTOR_INDEX else vector_type
    return Layout(id_, table, schema, extension, vector_type, indexed_as, has_citus)


def write_creation(layout: Layout) -> list[str]:
    """Return the statements that make a generation's table and its partitions, and then their indexes.

    An index of a partitioned table is one of each of its partitions.
    """
    table = layout.table
    made = [compile_statement(CreateTable(table)).text.rstrip()]
    if layout.partitions > 1:
        made[0] += " PARTITION BY HASH (id)"
        made += [
            f"CREATE TABLE {quote_table(each.table)} PARTITION OF {quote_table(table)} "
            f"FOR VALUES WITH (MODULUS {layout.partitions:d}, REMAINDER {number:d})"
            for number, each in enumerate(layout.list_parts())
        ]
    indexes = sorted(table.indexes, key=lambda each: str(each.name))
    return made + [compile_statement(CreateIndex(each)).text for each in indexes]


class Layouts:
    """The layouts of the generations of one namespace, each made once."""

    def __init__(self, namespace: str, extension: str, *, has_citus: bool) -> None:
        self._namespace = namespace
        self._extension = extension
        self._has_citus = has_citus
        self._made: dict[str, Layout] = {}

    def get(self, generation: Generation) -> Layout:
        """Return the layout of a generation.

        Raises
        ------
        Superseded
            It is remote, so it has no table.
        """
        found = self._made.get(generation.id)
        if found is None:
            if generation.remote is not None:
                raise Superseded
            made = make_layout(generation, self._namespace, self._extension, has_citus=self._has_citus)
            found = self._made.setdefault(generation.id, made)
        return found
