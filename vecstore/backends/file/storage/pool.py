"""Connections for reading, shared by threads, and a guard that delays forks until no thread is inside SQLite.

SQLite keeps in memory which locks its process holds on a file. A child inherits that memory but not the locks. If
another thread was in a transaction during the fork, a new connection in the child would assume that the file is
already locked, take no lock, and read half of a commit. So a fork waits until all threads have left SQLite. If one
does not leave in time, the child refuses to open the file that the thread was using.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from vecstore.errors import StoreCorrupt, Unsupported

from .connections import DatabaseKind, SqliteConnection, open_connection
from .failures import DRIVER_ERRORS

_IDLE = 8

_PATIENCE = 5.0


class _Gate:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.moved = threading.Condition(self.lock)
        # Keyed by string: a Path computes its hash in Python, several times in each search.
        self.users: dict[str, int] = {}
        self.is_open = True


class _Own(threading.local):
    depth = 0


_gate = _Gate()
_own = _Own()
_unsafe: frozenset[str] = frozenset()


class ForkGuard:
    """Delay forks while the context uses a database file.

    Raises
    ------
    Unsupported
        This process is a child that was forked while another thread used the file.
    """

    __slots__ = ("_gate", "_path")

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._gate = _gate

    def __enter__(self) -> None:
        if self._path in _unsafe:
            raise Unsupported(
                "connecting in a process that was forked while another thread used the same directory",
                "file",
                "Start such processes with the spawn method of multiprocessing.",
            )
        gate = self._gate = _gate
        with gate.lock:
            if not (_own.depth or gate.is_open):
                gate.moved.wait_for(lambda: gate.is_open)
            gate.users[self._path] = gate.users.get(self._path, 0) + 1
        _own.depth += 1

    def __exit__(self, *_: object) -> None:
        _own.depth -= 1
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


def read_data_version(connection: SqliteConnection) -> int:
    """Return a number that changes with every commit of another connection."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _close() -> None:
    with _gate.moved:
        _gate.is_open = False
        # This thread cannot wait for itself.
        _gate.moved.wait_for(lambda: not _gate.users, 0 if _own.depth else _PATIENCE)


def _open() -> None:
    with _gate.moved:
        _gate.is_open = True
        _gate.moved.notify_all()


def _start_over_in_child() -> None:
    global _gate, _own, _unsafe
    _unsafe |= frozenset(_gate.users)
    _gate, _own = _Gate(), _Own()


os.register_at_fork(before=_close, after_in_parent=_open, after_in_child=_start_over_in_child)
