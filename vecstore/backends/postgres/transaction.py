"""An open transaction on one connection, also one that stays open for long."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Protocol

import psycopg

from ..shared.deadlines import Limit
from .cursors import open_cursor, run_statement
from .session_settings import RESTING
from .statements import Answer, Statement


class Runner(Protocol):
    """Runs statements: an open transaction, or a pool."""

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer:
        """Run one statement and return its rows."""


class Transaction:
    """An open transaction on one connection.

    Parameters
    ----------
    connection : psycopg.Connection
    prepare : bool
    limit : Limit, optional
        Entered for each statement, unless something else limits them.

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
        with self._limit:
            return run_statement(open_cursor(self._connection), statement, values, prepare=self._prepare)

    def rest(self) -> None:
        """Prepare to stay open for long: release the snapshot, which holds back vacuum, and detect a vanished client.

        A statement with parameters keeps its snapshot until the next statement. The server gives up on a client
        machine that has vanished after a minute.
        """
        with self._limit:
            self._connection.execute(RESTING)
