"""Cursors: running a compiled statement on a connection and reading its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg.rows import tuple_row

from .statements import Answer, Statement

_ROWS = ExecStatus.TUPLES_OK


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
