"""Runs statements on pooled connections, each as one transaction.

SQLAlchemy owns the pool; the statements, compiled once, go to psycopg directly.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine

from ..shared.deadlines import Limit, Watch
from .build_lanes import BuildLanes
from .column_types import Oids
from .connections import Checkout, ConnectionCache
from .cursors import copy_rows, open_cursor, run_statement
from .failures import translate
from .options import Options
from .retries import TRIES, is_worth_trying
from .session_settings import limit_statements
from .statements import Answer, Statement
from .transaction import Transaction

Result = TypeVar("Result")
_READ_COMMITTED = b"SET LOCAL TRANSACTION ISOLATION LEVEL READ COMMITTED"


class Client:
    """Runs statements on connections to one database.

    Parameters
    ----------
    engine : Engine
    options : Options
    owned : bool
        Whether the engine was made here: then its connections commit each statement on their own, have the
        timeouts of the options, and end with `close`.
    """

    def __init__(self, engine: Engine, options: Options, *, owned: bool) -> None:
        self.options, self.owned = options, owned
        self.watch = Watch(options.timeout)
        self.build_lanes = BuildLanes(options.pool_size)
        weakref.finalize(self, self.watch.stop)
        self._connections = ConnectionCache(engine, options, self.watch, owned=owned)

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement as one transaction.

        It is repeated after a deadlock, and, unless it may have been committed, after a lost connection.
        """
        limit = Limit(self.watch)
        for left in reversed(range(TRIES)):
            committing = statement.writes and self.options.prepare
            try:
                with Checkout(self._connections, limit) as pooled:
                    if self.options.prepare:
                        return pooled.run(statement, values)
                    with pooled.connection.transaction():
                        answer = self._unprepared(pooled.connection, statement, values)
                        committing = statement.writes
                    return answer
            except psycopg.Error as error:
                if not left or not is_worth_trying(error, limit, committing=committing):
                    raise translate(error, committing=committing, limit=limit) from error
        raise AssertionError("the last try returns or raises")

    def run_checked(
        self, check: Statement, given: Mapping[str, Any], statement: Statement, values: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Answer]:
        """Run a check, and a statement on the same connection where all of the check's row is true.

        Two calls of `run` may reach two servers behind a load balancer. See `run` for repetitions.

        Returns
        -------
        row : tuple
        answer : list of tuple
            Empty where the statement was not run.
        """
        limit = Limit(self.watch)
        for left in reversed(range(TRIES)):
            try:
                with Checkout(self._connections, limit) as pooled:
                    if self.options.prepare:
                        [row] = pooled.run(check, given)
                        return row, pooled.run(statement, values) if all(row) else []
                    with pooled.connection.transaction():
                        # The snapshot has to be newer than the check.
                        pooled.connection.execute(_READ_COMMITTED, prepare=False)
                        [row] = self._unprepared(pooled.connection, check, given)
                        return row, self._unprepared(pooled.connection, statement, values) if all(row) else []
            except psycopg.Error as error:
                if not left or not is_worth_trying(error, limit, committing=False):
                    raise translate(error, limit=limit) from error
        raise AssertionError("the last try returns or raises")

    def copy(
        self, guard: Statement, values: Mapping[str, Any], target: bytes, parts: Callable[[], Iterable[bytes]]
    ) -> Answer | None:
        """Run a statement and, if its answer is a single false, copy rows in, all in one transaction.

        Returns
        -------
        list of tuple or None
            The statement's answer; None if a key exists already, or if row security applies to the role, for
            which the server copies nothing in. In these cases, or after any answer other than false, nothing was
            written.
        """
        limit = Limit(self.watch)
        for left in reversed(range(TRIES)):
            committing = False
            try:
                with Checkout(self._connections, limit) as pooled, pooled.connection.transaction():
                    if not self.options.prepare:
                        limit_statements(pooled.connection, self.options)
                    answer = run_statement(open_cursor(pooled.connection), guard, values, prepare=self.options.prepare)
                    if answer == [(False,)]:
                        copy_rows(pooled.connection, target, parts())
                        committing = True
                return answer
            except (psycopg.errors.UniqueViolation, psycopg.errors.FeatureNotSupported):
                return None
            except psycopg.Error as error:
                if not left or not is_worth_trying(error, limit, committing=committing):
                    raise translate(error, committing=committing, limit=limit) from error
        raise AssertionError("the last try returns or raises")

    def repeat(self, work: Callable[[Transaction], Result]) -> Result:
        """Do some work in one transaction, and again where that is worth trying; see `run`."""
        limit = Limit(self.watch)
        for left in reversed(range(TRIES)):
            committing = False
            try:
                with Checkout(self._connections, limit) as pooled, pooled.connection.transaction():
                    if not self.options.prepare:
                        limit_statements(pooled.connection, self.options)
                    pooled.connection.execute(_READ_COMMITTED, prepare=False)
                    done = work(Transaction(pooled.connection, prepare=self.options.prepare))
                    committing = True
                return done
            except psycopg.Error as error:
                if not left or not is_worth_trying(error, limit, committing=committing):
                    raise translate(error, committing=committing, limit=limit) from error
        raise AssertionError("the last try returns or raises")

    def _unprepared(
        self, connection: psycopg.Connection[Any], statement: Statement, values: Mapping[str, Any]
    ) -> Answer:
        limit_statements(connection, self.options)
        return run_statement(open_cursor(connection), statement, values, prepare=False)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Hold one transaction over several statements, each with the full timeout; errors are translated."""
        committing = False
        with Limit(self.watch) as limit, Checkout(self._connections, limit) as pooled:
            connection = pooled.connection
            try:
                with connection.transaction():
                    connection.execute(_READ_COMMITTED, prepare=False)
                    transaction = Transaction(connection, prepare=False, limit=limit)
                    with limit.suspended():
                        yield transaction
                    committing = transaction.writes
            except psycopg.Error as error:
                raise translate(error, committing=committing, limit=limit) from error

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Check out a connection that commits each statement, for long work; a driver's error passes."""
        with Limit(self.watch) as limit, Checkout(self._connections, limit) as pooled, limit.suspended():
            yield pooled.connection

    def examine(self) -> AbstractContextManager[Connection]:
        """Check out a SQLAlchemy connection for the checks at connect, within the timeout; errors are translated."""
        return self._connections.examine()

    def use_types(self, oids: Oids) -> None:
        """Register pgvector's types on connections from now on."""
        self._connections.oids = oids

    def set_place_check(self, check: Callable[[], None]) -> None:
        """Set a check to make before each use of a connection; it raises what makes the use impossible."""
        self._connections.check_place = check

    def check_usable(self) -> None:
        """Refuse to work after a fork or after `close`."""
        self._connections.check_usable()

    def close(self) -> None:
        """End the connections where they are ours."""
        self.watch.stop()
        self._connections.close()
