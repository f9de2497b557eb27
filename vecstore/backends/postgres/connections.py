"""Connections of SQLAlchemy's pool, checked out for one call each.

Connections that calls give back are cached outside SQLAlchemy's pool, whose checkout takes 0.05 to 0.1 ms: 10 to 30 %
of a short call (``benchmarks/postgres_caches.py``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError

from vecstore.errors import BackendUnavailable, VecstoreError
from vecstore.inherited_sockets import sever

from ..shared.deadlines import Limit, Watch
from ..shared.guards import check_usable
from .column_types import Oids, register_types
from .engine import Connecting, get_driver, get_socket
from .failures import is_lost, make_timeout, translating
from .inherited_connections import ADVICE, check_pool, is_parents
from .options import Options
from .pooled_connection import PooledConnection
from .stale_connections import discard, is_stale, make_poll

_TAUGHT = "vecstore.oids"


def teach_types(connection: psycopg.Connection[Any], info: MutableMapping[Any, Any], oids: Oids) -> None:
    """Register pgvector's types on a connection, once; ``info`` belongs to the connection and remembers it."""
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
        Whether the engine was made here. Connections of an application's engine, and those behind PgBouncer, are
        given back to SQLAlchemy after each call.
    """

    def __init__(self, engine: Engine, options: Options, watch: Watch, *, owned: bool) -> None:
        self.watch = watch
        self.oids: Oids | None = None
        self.check_place: Callable[[], None] | None = None
        self._engine = engine
        self._options = options
        self._owned = owned
        self._keeps = owned and options.prepare
        self._process = os.getpid()
        self._closed = False
        self._connecting = Connecting()
        self._idle: list[PooledConnection] = []
        self._waiting = 0
        self._lock = threading.Lock()
        if owned:
            event.listen(engine, "do_connect", self._connecting.connect)

    @contextmanager
    def examine(self) -> Iterator[Connection]:
        """Check out a SQLAlchemy connection for the checks at connect, within the timeout; errors are translated."""
        self._check_pool()
        with (
            Limit(self.watch) as limit,
            translating(limit=limit),
            self._connecting.within(limit),
            self._engine.connect() as connection,
        ):
            limit.guard(get_socket(get_driver(connection.connection), connection.info, owned=self._owned))
            yield connection

    def check_usable(self) -> None:
        """Refuse to work after a fork or after `close`."""
        check_usable(self._process, closed=self._closed, advice="" if self._owned else ADVICE)

    def check_out(self, limit: Limit) -> PooledConnection:
        """Return a live connection."""
        self.check_usable()
        if self.check_place is not None:
            self.check_place()
        for _ in range(self._options.pool_size + 1):
            pooled = self._find(limit)
            if pooled is not None:
                return pooled
            if limit.passed:
                raise make_timeout()
        raise BackendUnavailable("The server ended every connection of the pool. Try again.")

    def check_in(self, pooled: PooledConnection) -> None:
        """Cache a connection for the next call, unless another thread waits for one from SQLAlchemy's pool."""
        if self._keeps and pooled.fairy.dbapi_connection is not None:
            with self._lock:
                if not self._waiting and not self._closed:
                    self._idle.append(pooled)
                    return
        if self._owned and self._closed and os.getpid() == self._process:
            discard(pooled.fairy)  # its pool was closed while it was used, and would keep it open
            return
        if not self._owned and not pooled.connection.closed:
            pooled.connection.autocommit = False
        pooled.fairy.close()

    def close(self) -> None:
        """End the connections where they are ours; a forked child only forgets them."""
        if os.getpid() != self._process:
            self._closed = True  # without the lock, which a thread of the parent may have held at the fork
            if self._owned:
                self._engine.dispose(close=False)
            return
        with self._lock:
            self._closed = True
            kept, self._idle = self._idle, []
        if self._owned:
            for pooled in kept:
                pooled.fairy.close()
            self._engine.dispose()

    def _check_pool(self) -> None:
        if not self._owned:
            check_pool(self._engine.pool)

    def _find(self, limit: Limit) -> PooledConnection | None:
        """Return the connection that was used last, or one from SQLAlchemy's pool; None where it has been closed."""
        with self._lock:
            pooled = self._idle.pop() if self._idle else None
            self._waiting += pooled is None
        if pooled is None:
            pooled = self._check_out(limit)
        elif pooled.is_stale:
            discard(pooled.fairy)
            return None
        if pooled is None:
            return None
        limit.guard(pooled.socket)
        if limit.passed:
            discard(pooled.fairy)
            return None
        return pooled

    def _check_out(self, limit: Limit) -> PooledConnection | None:
        self._connecting.limit = limit
        try:
            self._check_pool()
            fairy = self._engine.raw_connection()
        except (psycopg.Error, SQLAlchemyError):
            with translating(limit=limit):
                raise
        finally:
            self._connecting.limit = None
            with self._lock:
                self._waiting -= 1
        connection = get_driver(fairy)
        if not self._owned and is_parents(connection):
            sever([connection.fileno()])  # a thread gave it back after the check: closing it must not end the parent's
            discard(fairy)
            return None
        # Bytes that wait on a new connection may be TLS session tickets, not the server's farewell.
        is_new = self._owned and _TAUGHT not in fairy.info
        if not is_new and is_stale(connection):
            discard(fairy)
            return None
        if not self._owned:
            connection.autocommit = True
        if self.oids:
            teach_types(connection, fairy.info, self.oids)
        link = get_socket(connection, fairy.info, owned=self._owned)
        return PooledConnection(fairy, connection, link, make_poll(connection))


class Checkout:
    """A connection for one call. It is discarded if it was lost, or if its state is unknown after an interrupt.

    A class rather than a generator, because every call pays for it.
    """

    __slots__ = ("_connections", "_limit", "_pooled")

    def __init__(self, connections: ConnectionCache, limit: Limit) -> None:
        self._connections = connections
        self._limit = limit

    def __enter__(self) -> PooledConnection:
        self._connections.watch.add(self._limit)
        try:
            self._pooled = self._connections.check_out(self._limit)
        except BaseException:
            self._connections.watch.remove(self._limit)
            raise
        return self._pooled

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pooled = self._pooled
        if isinstance(error, psycopg.Error):
            if pooled.connection.closed or is_lost(error):
                discard(pooled.fairy)
        elif error is not None and not isinstance(error, VecstoreError):
            # After an interrupt the connection may still be busy.
            discard(pooled.fairy)
        # After this the watch no longer shuts the socket down, and the next call may use it.
        self._connections.watch.remove(self._limit)
        if self._limit.passed:
            discard(pooled.fairy)
        self._connections.check_in(pooled)
