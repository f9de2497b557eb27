"""Statements on connections of a pool, each a transaction of its own.

SQLAlchemy keeps the pool; the statements, compiled once, go to psycopg directly.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import psycopg
from psycopg.pq import ExecStatus
from psycopg.rows import tuple_row
from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import PoolProxiedConnection

from ...errors import BackendUnavailable, ForkedStore, InvalidArgument, VecstoreError
from .column_types import Oids, register
from .deadlines import Limit, Watch, socket_of
from .engine import Connecting, discard, driver_of, is_stale
from .failures import REPEATABLE, is_lost, late, meaning, state_of, translated
from .location import Options
from .statements import Statement

Answer = list[tuple[Any, ...]]
_TRIES = 4
_WORTH_TRYING = 1.0
"""Seconds left below which a lost statement is not repeated: connecting may take two."""
_RESTING = (
    "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL tcp_keepalives_idle = 30; "
    "SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3"
)
_TAUGHT = "vecstore.oids"


class Runner(Protocol):
    """What runs statements: a connection inside a transaction, or a pool."""

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement and return its rows."""


class Transaction:
    """An open transaction on one connection.

    Parameters
    ----------
    connection : psycopg.Connection
    prepare : bool
    limit : Limit, optional
        Entered for each statement, where nothing else limits them.

    Attributes
    ----------
    writes : bool
        Whether there is something to commit.
    """

    def __init__(self, connection: psycopg.Connection[Any], *, prepare: bool, limit: Limit | None = None) -> None:
        self._connection = connection
        self._prepare = prepare
        self._limit = limit or nullcontext()
        self.writes = False

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement; a driver's error passes."""
        self.writes |= statement.writes
        with self._limit, self._connection.cursor(binary=True, row_factory=tuple_row) as cursor:
            cursor.execute(statement.text, {**statement.constants, **values}, prepare=None if self._prepare else False)
            # cursor.description would tell too, and make an object of each column.
            result = cursor.pgresult
            return cursor.fetchall() if result and result.status == ExecStatus.TUPLES_OK else []

    def rest(self) -> None:
        """Hold the transaction open for long: without a snapshot, for which others would wait, and for a live client.

        An answer that came through parameters keeps its snapshot until the next statement. A machine that
        vanished is given up after a minute.
        """
        with self._limit:
            self._connection.execute(_RESTING)


class Pool:
    """Connections to one database.

    Parameters
    ----------
    engine : Engine
    options : Options
    owned : bool
        Whether the engine was made here: then its connections commit each statement on their own, have the
        timeouts of the options, and end with `close`.
    """

    def __init__(self, engine: Engine, options: Options, *, owned: bool) -> None:
        self.options = options
        self._engine = engine
        self._owned = owned
        self._process = os.getpid()
        self._closed = False
        self.oids: Oids | None = None
        self.watch = Watch(options.timeout)
        weakref.finalize(self, self.watch.stop)
        self._connecting = Connecting()
        if owned:
            event.listen(engine, "do_connect", self._connecting.connect)

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement in a transaction of its own.

        What was not sent to be committed is repeated where the connection turns out to be lost, and any statement
        after a deadlock.
        """
        with Limit(self.watch) as limit:
            for left in reversed(range(_TRIES)):
                committing = statement.writes and self.options.prepare
                try:
                    with self._lending(limit) as connection:
                        if self.options.prepare:
                            return Transaction(connection, prepare=True).run(statement, values)
                        with connection.transaction():
                            answer = self._unprepared(connection, statement, values)
                            committing = statement.writes
                        return answer
                except psycopg.Error as error:
                    again = state_of(error) in REPEATABLE or (is_lost(error) and not committing)
                    if not again or not left or limit.remaining < _WORTH_TRYING:
                        raise meaning(error, committing=committing, limit=limit) from error
        raise AssertionError("the last try returns or raises")

    def _unprepared(
        self, connection: psycopg.Connection[Any], statement: Statement, values: Mapping[str, Any]
    ) -> Answer:
        # Behind PgBouncer, what is set for a session would stay with other clients.
        limit = str(int(self.options.timeout * 1000))
        connection.execute("SELECT set_config('statement_timeout', %s, true)", (limit,), prepare=False)
        return Transaction(connection, prepare=False).run(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Hold one transaction over several statements, each with its own time; errors are translated."""
        committing = False
        with Limit(self.watch) as limit, self._lending(limit) as connection:
            try:
                with connection.transaction():
                    connection.execute("SET LOCAL TRANSACTION ISOLATION LEVEL READ COMMITTED", prepare=False)
                    transaction = Transaction(connection, prepare=False, limit=limit)
                    with limit.suspended():
                        yield transaction
                    committing = transaction.writes
            except psycopg.Error as error:
                raise meaning(error, committing=committing, limit=limit) from error

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection that commits each statement, for what takes long; a driver's error passes."""
        with Limit(self.watch) as limit, self._lending(limit) as connection, limit.suspended():
            yield connection

    @contextmanager
    def examined(self) -> Iterator[Connection]:
        """Lend a connection of SQLAlchemy for a first look, which is over within the timeout; errors are translated."""
        with (
            Limit(self.watch) as limit,
            translated(limit=limit),
            self._connecting.within(limit),
            self._engine.connect() as connection,
        ):
            limit.guard(socket_of(driver_of(connection.connection), connection.info))
            yield connection

    @contextmanager
    def _lending(self, limit: Limit) -> Iterator[psycopg.Connection[Any]]:
        self.watch.add(limit)
        fairy, connection = self._lent(limit)
        try:
            yield connection
        except psycopg.Error as error:
            if connection.closed or is_lost(error):
                discard(fairy)
            raise
        except VecstoreError:
            raise
        except BaseException:  # an interrupt: what the connection still does is unknown
            discard(fairy)
            raise
        finally:
            # From here on the socket is not shut down any more, so that the next call may have it.
            self.watch.remove(limit)
            if limit.passed:
                discard(fairy)
            self._give_back(fairy, connection)

    def close(self) -> None:
        """End the pool's connections where they are ours."""
        self._closed = True
        self.watch.stop()
        if self._owned:
            self._engine.dispose(close=os.getpid() == self._process)

    def check_usable(self) -> None:
        """Refuse to work after a fork or after `close`."""
        if os.getpid() != self._process:
            raise ForkedStore
        if self._closed:
            raise InvalidArgument("This Database is closed. Call vecstore.connect() again.")

    def _lent(self, limit: Limit) -> tuple[PoolProxiedConnection, psycopg.Connection[Any]]:
        self.check_usable()
        for _ in range(self.options.pool_size + 1):
            with translated(limit=limit), self._connecting.within(limit):
                fairy = self._engine.raw_connection()
            connection = driver_of(fairy)
            # The bytes that wait on a new connection may be TLS session tickets.
            is_new = self._owned and _TAUGHT not in fairy.info
            usable = is_new or not is_stale(connection)
            if usable:
                limit.guard(socket_of(connection, fairy.info))
            if usable and not limit.passed:
                self._teach(fairy, connection)
                return fairy, connection
            discard(fairy)
            if limit.passed:
                raise late()
        raise BackendUnavailable("The server ended every connection of the pool. Try again.")

    def _teach(self, fairy: PoolProxiedConnection, connection: psycopg.Connection[Any]) -> None:
        if not self._owned:
            connection.autocommit = True
        if self.oids and fairy.info.get(_TAUGHT) != self.oids:
            register(connection, self.oids)
            fairy.info[_TAUGHT] = self.oids

    def _give_back(self, fairy: PoolProxiedConnection, connection: psycopg.Connection[Any]) -> None:
        if not self._owned and not connection.closed:
            connection.autocommit = False
        fairy.close()
