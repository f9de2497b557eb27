"""A table of PostgreSQL as records, read through a cursor of the server in one snapshot.

Names are quoted by the driver, values are always bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidArgument
from ..fields import DateTime, Field
from ..metric import Metric
from .imported import Tally
from .postgres_tables import VECTORS, WIRE, Table, TableColumn
from .source import Contents, Wish
from .source_rows import SourceRows

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composable

_PLAIN = frozenset({"bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "json", "jsonb", "numeric"})
_LISTS = frozenset(
    {
        "_bool",
        "_int2",
        "_int4",
        "_int8",
        "_float4",
        "_float8",
        "_text",
        "_varchar",
        "_numeric",
        "_uuid",
        "_json",
        "_jsonb",
    }
)
_DATES: Mapping[str, str] = MappingProxyType(
    {
        "timestamptz": "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')",
        "timestamp": "to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')",
        "date": "to_char({}, 'YYYY-MM-DD')",
    }
)
"""Types of dates, with their text in ISO 8601."""
_LEFT = frozenset({"bytea", "tsvector", "tsquery", "bit", "varbit", "sparsevec", *WIRE})
"""Types whose columns are not stored."""
_OBJECTS = frozenset({"json", "jsonb"})
_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        f"{kind}_{word}_ops": metric
        for kind in WIRE
        for word, metric in (("cosine", Metric.COSINE), ("ip", Metric.IP), ("l2", Metric.L2))
    }
)
"""pgvector's operator classes."""
_SHOWN = 5

_CLASSES = """
SELECT DISTINCT o.opcname FROM pg_index i JOIN pg_opclass o ON o.oid = i.indclass[0]
WHERE i.indrelid = %(table)s AND o.opcname ~ '^(vector|halfvec|bit|sparsevec)_' AND (
  i.indkey[0] = %(column)s OR i.indkey[0] = 0 AND EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = %(column)s
  )
)
"""


@dataclass(frozen=True, slots=True, eq=False)
class TableReading:
    """What is read from a table as what.

    Attributes
    ----------
    id : str or Composable
        A column or an expression.
    vector : TableColumn
    text, nested : str, optional
        The columns of the text, and of an object with several keys of metadata.
    others : sequence of TableColumn
        Each a key of metadata.
    condition : Composable, optional
        Which rows, with parameters.
    parameters : sequence
    asking : str
        How a person may know the metric.
    """

    id: str | Composable
    vector: TableColumn
    text: str | None
    nested: str | None
    others: Sequence[TableColumn] = ()
    condition: Composable | None = None
    parameters: Sequence[Any] = field(default_factory=tuple)
    asking: str = ""


@contextmanager
def read_table(
    connection: Connection[Any], table: Table, reading: TableReading, wish: Wish, tally: Tally
) -> Iterator[Contents]:
    """Describe a table, and read it through a cursor of the server.

    Raises
    ------
    InvalidArgument
        It has no vectors, or vectors of several lengths.
    """
    from psycopg import sql

    parameters = reading.parameters or None  # without any, a percent sign in a name stands for itself
    others, expressions, dates = _choose_columns(reading.others, wish.fields, tally)
    relation = sql.Identifier(table.schema, table.name)
    _note_dates(connection, relation, dates, tally)
    where = sql.SQL(" WHERE {}").format(reading.condition) if reading.condition is not None else sql.SQL("")
    vector = sql.Identifier(reading.vector.name)
    id_ = sql.Identifier(reading.id) if isinstance(reading.id, str) else reading.id
    dim = _find_dim(connection, table, reading, sql.SQL("FROM {}{}").format(relation, where), wish.dim)
    _note_types(table, reading, tally)
    count = connection.execute(sql.SQL("SELECT count(*) FROM {}{}").format(relation, where), parameters).fetchone()
    register_vectors(connection)

    def quote(name: str | None) -> Composable:
        return sql.SQL("NULL") if name is None else sql.Identifier(name)

    query = sql.SQL("SELECT {} FROM {}{}").format(
        sql.SQL(", ").join([id_, vector, quote(reading.text), quote(reading.nested), *expressions]), relation, where
    )

    def read(rows: int) -> Iterator[SourceRows]:
        with connection.cursor("vecstore_import", binary=True) as cursor:
            cursor.itersize = rows
            cursor.execute(query, parameters)
            while taken := cursor.fetchmany(rows):
                ids, vectors, texts, nested, *columns = zip(*taken, strict=True)
                metadata = dict(zip(others, columns, strict=True))
                yield _split_nested(SourceRows(ids, vectors, _spell_texts(texts), metadata, nested), reading.nested)

    yield Contents(
        dim,
        _find_metric(connection, table, reading.vector),
        count[0] if count else None,
        read,
        VECTORS[reading.vector.type],
        reading.asking,
    )


def register_vectors(connection: Connection[Any]) -> None:
    """Let a connection read pgvector's types as arrays, from the binary form that ``vector_send`` gives."""
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    found = connection.execute("SELECT typname, oid FROM pg_type WHERE typname = ANY(%s)", (list(WIRE),)).fetchall()
    for name, oid in found:

        class VectorLoader(Loader):
            format = Format.BINARY
            wire = np.dtype(WIRE[name])

            def load(self, data: Any) -> Any:
                # Two numbers of 16 bits come first: the dimension, and one that is unused.
                return np.frombuffer(data, self.wire, offset=4).astype(self.wire.newbyteorder("="))

        connection.adapters.register_loader(oid, VectorLoader)


def _choose_columns(
    columns: Sequence[TableColumn], fields: Mapping[str, Field], tally: Tally
) -> tuple[list[str], list[Composable], list[str]]:
    """Return the keys of metadata, the expression that reads each, and those that are dates."""
    from psycopg import sql

    names: list[str] = []
    dates: list[str] = []
    expressions: list[Composable] = []
    for column in columns:
        name = sql.Identifier(column.name)
        if column.type in _LEFT:
            tally.note(f"The column {column.name!a} is left out: it is of type {column.type}.")
            continue
        names.append(column.name)
        declared = fields.get(column.name)
        if column.type in _DATES and isinstance(declared, DateTime) and not declared.text:
            # Dates beyond those of Python, and infinity, would end the reading.
            dates.append(column.name)
            expressions.append(sql.SQL("CASE WHEN {0} BETWEEN '0001-01-02' AND '9999-12-30' THEN {0} END").format(name))
        elif column.type in _DATES:
            tally.note(
                f"The column {column.name!a} of dates is stored as ISO 8601 texts. Declare it as a datetime to store "
                "dates."
            )
            spelled = sql.SQL(_DATES[column.type]).format(name)
            # to_char() gives a year before the first one without a sign.
            within = sql.SQL("CASE WHEN isfinite({0}) AND {0} >= '0001-01-02' THEN {1} ELSE {0}::text END")
            expressions.append(within.format(name, spelled))
        elif column.type in _PLAIN or column.type in _LISTS:
            expressions.append(name)
        else:
            if column.type not in {"uuid", "bpchar", "name"}:
                tally.note(f"The column {column.name!a} of type {column.type} is stored as its text.")
            expressions.append(sql.SQL("{}::text").format(name))
    return names, expressions, dates


def _note_dates(connection: Connection[Any], relation: Composable, dates: Sequence[str], tally: Tally) -> None:
    """Say where dates are stored as missing."""
    from psycopg import sql

    beyond = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} NOT BETWEEN '0001-01-02' AND '9999-12-30')")
    for name in dates:
        found = connection.execute(beyond.format(relation, sql.Identifier(name))).fetchone()
        if found is not None and found[0]:
            tally.note(f"The column {name!a} has infinity, or dates outside of the years 1 to 9999: they are left out.")


def _find_dim(
    connection: Connection[Any], table: Table, reading: TableReading, origin: Composable, wanted: int | None
) -> int:
    """Return the length of the vectors; the wanted one, if the column has vectors of it among others."""
    from psycopg import sql

    column = reading.vector
    if column.modifier > 0 and column.type in WIRE:
        return column.modifier
    # A cast and no function of pgvector's, which may be in a schema that is not on the search path.
    length = sql.SQL("array_length({}::real[], 1)").format(sql.Identifier(column.name))
    query = sql.SQL("SELECT {}, count(*) {} GROUP BY 1 ORDER BY 2 DESC, 1").format(length, origin)
    found = connection.execute(query, reading.parameters or None).fetchall()
    lengths: dict[int, int] = {int(dim): count for dim, count in found if dim is not None}
    if not lengths:
        raise InvalidArgument(f"The {table} has no vectors to import.")
    if wanted in lengths:
        return wanted
    if len(lengths) > 1:
        shown = ", ".join(f"{dim} ({count:,} rows)" for dim, count in list(lengths.items())[:_SHOWN])
        raise InvalidArgument(f"The {table} has vectors of several lengths: {shown}. Say which to take: dim=… (--dim).")
    return next(iter(lengths))


def _find_metric(connection: Connection[Any], table: Table, column: TableColumn) -> Metric | None:
    found = connection.execute(_CLASSES, {"table": table.oid, "column": column.number})
    classes = {row[0] for row in found}
    metrics = {_METRICS.get(each) for each in classes}
    return metrics.pop() if len(metrics) == 1 else None


def _note_types(table: Table, reading: TableReading, tally: Tally) -> None:
    if not isinstance(reading.id, str):
        return
    column = table.columns[reading.id]
    if column.type not in {"text", "varchar", "uuid"}:
        tally.note(f"Ids are texts: the column {column.name!a} is of type {column.type}.")
    if column.name not in table.unique:
        tally.note(f"The column {column.name!a} is not unique: of several rows with one id, one is stored.")


def _spell_texts(texts: Sequence[Any]) -> Sequence[Any]:
    return [text if text is None or isinstance(text, str) else str(text) for text in texts]


def _split_nested(rows: SourceRows, name: str | None) -> SourceRows:
    """Return rows whose nested metadata are objects; what is none is the value of a key with the column's name."""
    values = list(rows.nested or ())
    nested = [value if isinstance(value, dict) else None for value in values]
    rest = [None if isinstance(value, dict) else value for value in values]
    metadata = dict(rows.metadata)
    if name is not None and any(value is not None for value in rest):
        metadata.setdefault(name, rest)
    return SourceRows(rows.ids, rows.vectors, rows.texts, metadata, nested)
