"""Statements inside the caller's open transaction.

Each runs under a SAVEPOINT, so that one that fails leaves the transaction usable, and what it sets is set back. All
that is sent at once, as a pipeline: a search is one round trip here too. A rollback to the SAVEPOINT would set
everything back by itself, and psycopg would forget the statements that it has prepared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from types import MappingProxyType
from typing import Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from vecstore.errors import InvalidArgument

from ..shared.deadlines import Limit, Watch
from ..shared.guards import check_process
from .column_types import Oids
from .connections import teach_types
from .engine import get_driver, get_socket
from .failures import is_lost, translate, translating
from .statements import Answer, Statement, fetch_rows, open_cursor, send_statement

_GUARD = b"SAVEPOINT vecstore_call"
_RELEASE = b"RELEASE SAVEPOINT vecstore_call"
_UNDO = b"ROLLBACK TO SAVEPOINT vecstore_call; RELEASE SAVEPOINT vecstore_call"
_USUAL: Mapping[str, str] = MappingProxyType(
    {"lock_timeout": "0", "hnsw.iterative_scan": "off", "hnsw.ef_search": "40"}
)


class CallerTransaction:
    """The caller's transaction, which is neither committed nor rolled back here.

    Parameters
    ----------
    caller : sqlalchemy.Connection or sqlalchemy.orm.Session
    oids : Oids
    watch : Watch
        Gives a connection up whose server says nothing.
    """

    def __init__(self, caller: object, oids: Oids, watch: Watch) -> None:
        if not isinstance(caller, Connection | Session):
            kind = type(caller).__name__
            raise InvalidArgument(f"using() takes a SQLAlchemy Connection or Session, not {kind}.")
        self._caller = caller
        self._oids = oids
        self._watch = watch
        self._process = os.getpid()
        self._were: dict[str, str | None] = dict(_USUAL)

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement under a SAVEPOINT."""
        check_process(self._process)
        with Limit(self._watch) as limit:
            with translating(limit=limit):
                connection, driver = self._connection()
                limit.guard(get_socket(driver, connection.info))
            try:
                return self._guarded(driver, statement, values)
            except psycopg.Error as error:
                if is_lost(error):
                    connection.invalidate(error)  # the caller's transaction is lost as well, and SQLAlchemy says so
                else:
                    _undo(driver)
                raise translate(error, limit=limit) from error
            except BaseException:
                _undo(driver)
                raise

    def _connection(self) -> tuple[Connection, psycopg.Connection[Any]]:
        caller = self._caller
        connection = caller.connection() if isinstance(caller, Session) else caller
        if not connection.in_transaction():
            connection.begin()
        driver = get_driver(connection.connection)
        teach_types(driver, connection.info, self._oids)
        return connection, driver

    def _guarded(self, driver: psycopg.Connection[Any], statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run a statement and set back what it sets to what that was the last time, and rightly where it was not."""
        settings, prepare = statement.settings, driver.prepare_threshold is not None
        guess = {name: self._were[name] for name in settings}
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
            were = dict(zip(settings, found, strict=True))
            if were != guess:
                self._were |= were
                driver.execute(_compile_setting(settings), list(found))
        return fetch_rows(cursor)


def _undo(driver: psycopg.Connection[Any]) -> None:
    with suppress(psycopg.Error):
        driver.execute(_UNDO, prepare=False)


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
