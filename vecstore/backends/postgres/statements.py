"""SQL as text and parameters, compiled once by SQLAlchemy for each table and shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg.rows import tuple_row
from sqlalchemy import ClauseElement, ColumnElement, TableValuedAlias, bindparam, column, func
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeEngine

Answer = list[tuple[Any, ...]]
_ROWS = ExecStatus.TUPLES_OK
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement for psycopg.

    Attributes
    ----------
    text : str
        With placeholders such as ``%(k)s``.
    constants : mapping
        Parameters that do not change from call to call.
    writes : bool
        Whether its outcome is unknown after a lost connection.
    settings : tuple of str
        Settings that it changes for the rest of a transaction.
    encoded : bytes
        The text, always the same object, by which psycopg finds what it has cached of the query.
    """

    text: str
    constants: Mapping[str, Any]
    writes: bool = False
    settings: tuple[str, ...] = ()
    encoded: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoded", self.text.encode())


def compile_statement(statement: ClauseElement, *, writes: bool = False, settings: tuple[str, ...] = ()) -> Statement:
    """Return a statement as psycopg takes it."""
    found = statement.compile(dialect=_DIALECT)
    constants = {name: value for name, value in (found.params or {}).items() if value is not None}
    return Statement(str(found), MappingProxyType(constants), writes, settings)


def open_cursor(connection: psycopg.Connection[Any]) -> psycopg.Cursor[tuple[Any, ...]]:
    """Return a cursor that sends and receives values in binary."""
    return connection.cursor(binary=True, row_factory=tuple_row)


def run_statement(
    cursor: psycopg.Cursor[tuple[Any, ...]], statement: Statement, values: Mapping[str, Any], *, prepare: bool
) -> Answer:
    """Run one statement and return its rows; a driver's error passes."""
    send_statement(cursor, statement, values, prepare=prepare)
    return fetch_rows(cursor)


def send_statement(
    cursor: psycopg.Cursor[tuple[Any, ...]], statement: Statement, values: Mapping[str, Any], *, prepare: bool
) -> None:
    """Send one statement."""
    given = {**statement.constants, **values} if statement.constants else values
    cursor.execute(statement.encoded, given, prepare=None if prepare else False)


def fetch_rows(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Answer:
    """Return the rows of a statement, none if it returns none."""
    # cursor.description would tell as well, but makes an object of each column.
    result = cursor.pgresult
    return cursor.fetchall() if result and result.status == _ROWS else []


def copy_rows(connection: psycopg.Connection[Any], target: bytes, parts: Iterable[bytes]) -> None:
    """Send rows to a COPY; a driver's error passes."""
    with connection.cursor() as cursor, cursor.copy(target) as copy:
        for part in parts:
            copy.write(part)


def make_parameter(name: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a parameter; its value comes with each call."""
    return bindparam(name, type_=type_)


def unnest_arrays(
    name: str, columns: Mapping[str, TypeEngine[Any]], arrays: Mapping[str, ColumnElement[Any]]
) -> TableValuedAlias:
    """Return arrays of one length as a table of that name."""
    table = func.unnest(*(arrays[each] for each in columns))
    return table.table_valued(*(column(each, type_) for each, type_ in columns.items())).render_derived(name=name)
