"""Connections for reading one file, kept open and shared by threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from vecstore.errors import StoreCorrupt

from .connections import DatabaseKind, SqliteConnection, open_connection
from .failures import DRIVER_ERRORS
from .fork_guard import ForkGuard

_IDLE = 8
"""More connections than these are closed when they are checked in."""


class SqlitePool:
    """A pool of connections for reading one file; any thread may check one out."""

    def __init__(self, path: Path, kind: DatabaseKind, timeout: float) -> None:
        self.path = path
        self._kind = kind
        self._timeout = timeout
        self._idle: list[SqliteConnection] = []
        self._lock = Lock()
        self._open = True

    @contextmanager
    def check_out(self) -> Iterator[SqliteConnection]:
        """Check out a connection while the context lasts."""
        with ForkGuard(self.path):
            connection = self._check_out()
            try:
                yield connection
            except (*DRIVER_ERRORS, StoreCorrupt):
                connection.close()
                raise
            except BaseException:
                self._check_in(connection)
                raise
            self._check_in(connection)

    def close(self) -> None:
        """Close every connection; one in use is closed when it is checked in."""
        with self._lock:
            idle, self._idle, self._open = self._idle, [], False
        for connection in idle:
            connection.close()

    def _check_out(self) -> SqliteConnection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return open_connection(self.path, self._kind, self._timeout)

    def _check_in(self, connection: SqliteConnection) -> None:
        with self._lock:
            if self._open and len(self._idle) < _IDLE and not connection.in_transaction:
                self._idle.append(connection)
                return
        connection.close()


def read_data_version(connection: SqliteConnection) -> int:
    """Return a number that changes with every commit of another connection."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
