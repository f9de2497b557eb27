"""Connections for reading one file, kept open and shared by threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from vecstore.errors import StoreCorrupt

from . import fork_gate
from .connections import DatabaseKind, SqliteConnection, open_connection
from .failures import DRIVER_ERRORS

_IDLE = 8
"""More connections than these are closed when they are checked in."""


class ForkGuard:
    """Delay forks while the context uses a database file; see `fork_gate`.

    Raises
    ------
    Unsupported
        This process is a child that was forked while another thread used the file.
    """

    __slots__ = ("_gate", "_path")

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._gate = fork_gate.gate

    def __enter__(self) -> None:
        if self._path in fork_gate.unsafe:
            fork_gate.refuse_unsafe()
        gate = self._gate = fork_gate.gate
        with gate.lock:
            if not (fork_gate.own.depth or gate.is_open):
                gate.moved.wait_for(lambda: gate.is_open)
            gate.users[self._path] = gate.users.get(self._path, 0) + 1
        fork_gate.own.depth += 1

    def __exit__(self, *_: object) -> None:
        fork_gate.own.depth -= 1
        gate = self._gate
        with gate.lock:
            gate.users[self._path] -= 1
            if not gate.users[self._path]:
                del gate.users[self._path]
            if not gate.is_open:
                gate.moved.notify_all()


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
