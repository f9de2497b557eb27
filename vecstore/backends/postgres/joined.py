"""Statements inside the caller's open transaction.

Each runs under a SAVEPOINT, so that one that fails leaves the transaction usable. Settings of the transaction are
as before afterwards: a read is rolled back to its SAVEPOINT, a write sets back what its gate has set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from ...errors import ForkedStore, InvalidArgument
from .column_types import Oids, register
from .deadlines import Limit, Watch, socket_of
from .engine import driver_of
from .failures import is_lost, meaning, translated
from .pool import Answer, Transaction
from .statements import Statement

_READ_WAIT = "SELECT current_setting('lock_timeout')"
_SET_WAIT = "SELECT set_config('lock_timeout', %s, true)"


class Joined:
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

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement under a SAVEPOINT."""
        if os.getpid() != self._process:
            raise ForkedStore
        with Limit(self._watch) as limit:
            with translated(limit=limit):
                caller = self._caller
                connection = caller.connection() if isinstance(caller, Session) else caller
                driver = driver_of(connection.connection)
                register(driver, self._oids)
                limit.guard(socket_of(driver, connection.info))
                savepoint = connection.begin_nested()
            try:
                answer = self._guarded(driver, statement, values)
            except psycopg.Error as error:
                if is_lost(error):
                    connection.invalidate(error)  # the caller's transaction is lost as well, and SQLAlchemy says so
                with translated(limit=limit):
                    savepoint.rollback()
                raise meaning(error, limit=limit) from error
            except BaseException:
                savepoint.rollback()
                raise
            with translated(limit=limit):
                savepoint.commit() if statement.writes else savepoint.rollback()
        return answer

    def _guarded(self, driver: psycopg.Connection[Any], statement: Statement, values: Mapping[str, Any]) -> Answer:
        transaction = Transaction(driver, prepare=driver.prepare_threshold is not None)
        if not statement.writes:
            return transaction.run(statement, values)
        [wait] = driver.execute(_READ_WAIT).fetchone() or ("0",)
        answer = transaction.run(statement, values)
        driver.execute(_SET_WAIT, (wait,))
        return answer
