"""Statements inside the caller's open transaction.

Each runs under a SAVEPOINT, which keeps the transaction usable after a failure, and its settings are restored
afterwards. All of it is sent as one pipeline, so a search is one round trip here too. A rollback to the SAVEPOINT would
restore the settings as well, but psycopg would then forget its prepared statements. Statements that belong together run
under one more SAVEPOINT, so that a failure undoes all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from vecstore.errors import InvalidArgument

from ..shared.deadlines import Limit, Socket, Watch
from ..shared.guards import check_process
from .column_types import Oids
from .connections import teach_types
from .cursors import fetch_rows, open_cursor, send_statement
from .engine import get_driver, get_socket
from .failures import is_lost, translate, translating
from .inherited_connections import ADVICE, check_caller
from .statements import Answer, Statement

Result = TypeVar("Result")
_GUARD = b"SAVEPOINT vecstore_call"
_RELEASE = b"RELEASE SAVEPOINT vecstore_call"
_UNDO = b"ROLLBACK TO SAVEPOINT vecstore_call; RELEASE SAVEPOINT vecstore_call"
_WORK = b"SAVEPOINT vecstore_work"
_RELEASE_WORK = b"RELEASE SAVEPOINT vecstore_work"
_UNDO_WORK = b"ROLLBACK TO SAVEPOINT vecstore_work; RELEASE SAVEPOINT vecstore_work"
_USUAL: Mapping[str, str] = MappingProxyType(
    {"lock_timeout": "0", "hnsw.iterative_scan": "off", "hnsw.ef_search": "40"}
)


class CallerTransaction:
    """Runs statements in the caller's transaction, and neither commits nor rolls it back.

    Parameters
    ----------
    caller : sqlalchemy.Connection or sqlalchemy.orm.Session
    oids : Oids
    watch : Watch
        Closes a connection whose server does not answer.
    """

    def __init__(self, caller: object, oids: Oids, watch: Watch) -> None:
        if not isinstance(caller, Connection | Session):
            kind = type(caller).__name__
            raise InvalidArgument(f"using() takes a SQLAlchemy Connection or Session, not {kind}.")
        check_caller(caller)
        self._caller = caller
        self._oids = oids
        self._watch = watch
        self._process = os.getpid()
        self._known: dict[str, str | None] = dict(_USUAL)

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement under a SAVEPOINT."""
        check_process(self._process, ADVICE)
        with Limit(self._watch) as limit:
            with translating(limit=limit):
                connection, driver = self._connection(limit)
            try:
                return self._run_guarded(driver, statement, values)
            except psycopg.Error as error:
                if is_lost(error):
                    connection.invalidate(error)  # the caller's transaction is lost as well, and SQLAlchemy says so
                else:
                    _undo(driver)
                raise translate(error, limit=limit) from error
            except BaseException:
                _undo(driver)
                raise

    def repeat(self, work: Callable[[CallerTransaction], Result]) -> Result:
        """Do some work of several statements, all or nothing. It is not repeated: the transaction is the caller's."""
        driver = self._execute(_WORK)
        try:
            done = work(self)
            self._execute(_RELEASE_WORK)
        except BaseException:
            if not driver.closed:
                with Limit(self._watch) as limit:
                    limit.guard(Socket(driver.fileno(), owned=False))
                    _undo(driver, _UNDO_WORK)
            raise
        return done

    def _execute(self, command: bytes) -> psycopg.Connection[Any]:
        check_process(self._process, ADVICE)
        with Limit(self._watch) as limit, translating(limit=limit):
            _, driver = self._connection(limit)
            driver.execute(command, prepare=False)
        return driver

    def _connection(self, limit: Limit) -> tuple[Connection, psycopg.Connection[Any]]:
        """Return the caller's connection, which is closed when the limit is reached."""
        caller = self._caller
        check_caller(caller)
        connection = caller.connection() if isinstance(caller, Session) else caller
        if not connection.in_transaction():
            connection.begin()
        driver = get_driver(connection.connection)
        teach_types(driver, connection.info, self._oids)
        limit.guard(get_socket(driver, connection.info, owned=False))
        return connection, driver

    def _run_guarded(self, driver: psycopg.Connection[Any], statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run a statement and restore the settings that it changes: to the last known values, or else once more."""
        settings, prepare = statement.settings, driver.prepare_threshold is not None
        guess = {name: self._known[name] for name in settings}
        cursors = [open_cursor(driver) for _ in range(5)]
        guarding, reading, cursor, setting, releasing = cursors

        def send() -> None:
            guarding.execute(_GUARD, prepare=False)
            if settings:
                reading.execute(_compile_reading(settings))
            send_statement(cursor, statement, values, prepare=prepare)
            if settings:
                setting.execute(_compile_setting(settings), list(guess.values()))
            releasing.execute(_RELEASE, prepare=False)

        _send_pipeline(driver, send)
        if settings:
            [found] = reading.fetchall()
            present = dict(zip(settings, found, strict=True))
            if present != guess:
                self._known |= present
                driver.execute(_compile_setting(settings), list(found))
        return fetch_rows(cursor)


def _undo(driver: psycopg.Connection[Any], command: bytes = _UNDO) -> None:
    with suppress(psycopg.Error):
        driver.execute(command, prepare=False)


def _send_pipeline(driver: psycopg.Connection[Any], send: Callable[[], None]) -> None:
    """Send statements as one pipeline. The first error is raised; psycopg would log those that follow from it."""
    failed: psycopg.Error | None = None
    try:
        with _open_pipeline(driver):
            try:
                send()
            except psycopg.Error as error:
                failed = error
    except psycopg.Error as error:
        failed = failed or error
    if failed is not None:
        raise failed


def _open_pipeline(driver: psycopg.Connection[Any]) -> AbstractContextManager[object]:
    return driver.pipeline() if psycopg.Pipeline.is_supported() else nullcontext()


@cache
def _compile_reading(settings: tuple[str, ...]) -> bytes:
    return ("SELECT " + ", ".join(f"current_setting('{name}', true)" for name in settings)).encode()


@cache
def _compile_setting(settings: tuple[str, ...]) -> bytes:
    return ("SELECT " + ", ".join(f"set_config('{name}', %s, true)" for name in settings)).encode()
