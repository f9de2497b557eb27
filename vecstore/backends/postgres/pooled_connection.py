"""A pooled connection, which keeps its cursor from one call to the next."""

from __future__ import annotations

import select
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from sqlalchemy.pool import PoolProxiedConnection

from ..shared.deadlines import Socket
from .cursors import open_cursor
from .statements import Answer, Statement

_SMALL = 100
"""Answers of at most this many rows keep their cursor, which holds them until the next call."""


@dataclass(slots=True, eq=False)
class PooledConnection:
    """A connection: SQLAlchemy's proxy of it, psycopg's object, and its socket."""

    fairy: PoolProxiedConnection
    connection: psycopg.Connection[Any]
    socket: Socket
    _poll: select.poll
    _cursor: psycopg.Cursor[Any] | None = None

    @property
    def is_stale(self) -> bool:
        """See `stale_connections.is_stale`."""
        return self.connection.closed or bool(self._poll.poll(0))

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement, prepared, and return its rows; a driver's error passes.

        The cursor is reused after a small answer: it has cached how to send the values of the statement.
        """
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            cursor = open_cursor(self.connection)
        cursor.execute(statement.encoded, {**statement.constants, **values})
        # As `fetch_rows`, without a call: cursor.description would make an object of each column.
        result = cursor.pgresult
        rows = cursor.fetchall() if result and result.status == ExecStatus.TUPLES_OK else []
        if len(rows) <= _SMALL:
            self._cursor = cursor
        return rows
