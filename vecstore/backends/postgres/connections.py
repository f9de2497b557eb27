"""Connections of SQLAlchemy's pool, lent for one call each.

What a call gives back is kept at hand, without a way through SQLAlchemy: beside a search of a millisecond, the code of
its pool is cold each time, and took a tenth of that.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection

from vecstore.errors import BackendUnavailable, VecstoreError

from ..shared.deadlines import Limit, Socket, Watch
from ..shared.guards import check_usable
from .column_types import Oids, register_types
from .engine import Connecting, discard, get_driver, get_socket, is_stale, make_poll
from .failures import is_lost, make_timeout, translating
from .options import Options
from .statements import Answer, Statement, open_cursor

_TAUGHT = "vecstore.oids"
_SMALL = 100
"""Rows of an answer that may stay in memory until the next one."""


@dataclass(slots=True, eq=False)
class PooledConnection:
    """A connection, as SQLAlchemy lends it and as it is."""

    fairy: PoolProxiedConnection
    connection: psycopg.Connection[Any]
    socket: Socket
    _poll: select.poll
    _cursor: psycopg.Cursor[Any] | None = None

    @property
    def is_stale(self) -> bool:
        """See `engine.is_stale`."""
        return self.connection.closed or bool(self._poll.poll(0))

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement, prepared, and return its rows; a driver's error passes.

        The cursor is kept while its last answer is small: it knows how the values of the statement travel.
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


def teach_types(connection: psycopg.Connection[Any], info: MutableMapping[Any, Any], oids: Oids) -> None:
    """Have a connection know pgvector's types, which is noted where the pool keeps what belongs to the connection."""
    if info.get(_TAUGHT) != oids:
        register_types(connection, oids)
        info[_TAUGHT] = oids


class ConnectionCache:
    """Connections to one database.

    Parameters
    ----------
    engine : Engine
    options : Options
    watch : Watch
    owned : bool
        Whether the engine was made here. An application's own gets each connection back at once, and so does one
        behind PgBouncer, where calls are slower than that.
    """

    def __init__(self, engine: Engine, options: Options, watch: Watch, *, owned: bool) -> None:
        self.watch = watch
        self.oids: Oids | None = None
        self._engine = engine
        self._options = options
        self._owned = owned
        self._keeps = owned and options.prepare
        self._process = os.getpid()
        self._closed = False
        self._connecting = Connecting()
        self._idle: list[PooledConnection] = []
        self._asking = 0
        self._lock = threading.Lock()
        if owned:
            event.listen(engine, "do_connect", self._connecting.connect)

    @contextmanager
    def examined(self) -> Iterator[Connection]:
        """Lend a connection of SQLAlchemy for a first look, which is over within the timeout; errors are translated."""
        with (
            Limit(self.watch) as limit,
            translating(limit=limit),
            self._connecting.within(limit),
            self._engine.connect() as connection,
        ):
            limit.guard(get_socket(get_driver(connection.connection), connection.info))
            yield connection

    def check_usable(self) -> None:
        """Refuse to work after a fork or after `close`."""
        check_usable(self._process, closed=self._closed)

    def lend(self, limit: Limit) -> PooledConnection:
        """Take out a live connection."""
        self.check_usable()
        for _ in range(self._options.pool_size + 1):
            lent = self._next(limit)
            if lent is not None:
                return lent
            if limit.passed:
                raise make_timeout()
        raise BackendUnavailable("The server ended every connection of the pool. Try again.")

    def take_back(self, lent: PooledConnection) -> None:
        """Keep a connection for the next call, unless somebody waits for SQLAlchemy to have one."""
        if self._keeps and lent.fairy.dbapi_connection is not None:
            with self._lock:
                if not self._asking and not self._closed:
                    self._idle.append(lent)
                    return
        if not self._owned and not lent.connection.closed:
            lent.connection.autocommit = False
        lent.fairy.close()

    def close(self) -> None:
        """End the connections where they are ours."""
        with self._lock:
            self._closed = True
            kept, self._idle = self._idle, []
        if self._owned:
            if os.getpid() == self._process:
                for lent in kept:
                    lent.fairy.close()
            self._engine.dispose(close=os.getpid() == self._process)

    def _next(self, limit: Limit) -> PooledConnection | None:
        """Return the connection that was used last, or one of SQLAlchemy's; None where that turns out to be gone."""
        with self._lock:
            lent = self._idle.pop() if self._idle else None
            self._asking += lent is None
        if lent is None:
            lent = self._checked_out(limit)
        elif lent.is_stale:
            discard(lent.fairy)
            return None
        if lent is None:
            return None
        limit.guard(lent.socket)
        if limit.passed:
            discard(lent.fairy)
            return None
        return lent

    def _checked_out(self, limit: Limit) -> PooledConnection | None:
        self._connecting.limit = limit
        try:
            fairy = self._engine.raw_connection()
        except (psycopg.Error, SQLAlchemyError):
            with translating(limit=limit):
                raise
        finally:
            self._connecting.limit = None
            with self._lock:
                self._asking -= 1
        connection = get_driver(fairy)
        # The bytes that wait on a new connection may be TLS session tickets.
        is_new = self._owned and _TAUGHT not in fairy.info
        if not is_new and is_stale(connection):
            discard(fairy)
            return None
        if not self._owned:
            connection.autocommit = True
        if self.oids:
            teach_types(connection, fairy.info, self.oids)
        return PooledConnection(fairy, connection, get_socket(connection, fairy.info), make_poll(connection))


class Checkout:
    """A connection for a while, thrown away where it is lost or what it does is unknown.

    A class and no generator, because every call goes through it.
    """

    __slots__ = ("_connections", "_lent", "_limit")

    def __init__(self, lender: ConnectionCache, limit: Limit) -> None:
        self._connections = lender
        self._limit = limit

    def __enter__(self) -> PooledConnection:
        self._connections.watch.add(self._limit)
        try:
            self._lent = self._connections.lend(self._limit)
        except BaseException:
            self._connections.watch.remove(self._limit)
            raise
        return self._lent

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lent = self._lent
        if isinstance(error, psycopg.Error):
            if lent.connection.closed or is_lost(error):
                discard(lent.fairy)
        elif error is not None and not isinstance(error, VecstoreError):
            # An interrupt: what the connection still does is unknown.
            discard(lent.fairy)
        # From here on the socket is not shut down any more, so that the next call may have it.
        self._connections.watch.remove(self._limit)
        if self._limit.passed:
            discard(lent.fairy)
        self._connections.take_back(lent)
