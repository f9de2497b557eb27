"""What makes SQLite safe in a process that forks.

SQLite keeps in memory which locks its process holds on a file. A child inherits that memory but not the locks. If
another thread was in a transaction during the fork, a new connection in the child would assume that the file is
already locked, take no lock, and read half of a commit. So a fork waits until all threads have left SQLite. If one
does not leave in time, the child refuses to open the file that the thread was using.

A child never closes the connections of its parent.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
from pathlib import Path
from weakref import WeakSet

from vecstore.errors import Unsupported

_PATIENCE = 5.0
"""Seconds that a fork waits for threads inside SQLite."""

_connections: WeakSet[sqlite3.Connection] = WeakSet()


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


def leak_in_child(connection: sqlite3.Connection) -> None:
    """Prevent a forked child from ever closing its copy of a connection.

    Closing would roll back the parent's transaction in its files: "do not even call
    sqlite3_close() from a child process" (sqlite.org/howtocorrupt.html, 2.6).
    """
    _connections.add(connection)


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
    for connection in list(_connections):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    _unsafe |= frozenset(_gate.users)
    _gate, _own = _Gate(), _Own()


os.register_at_fork(before=_close, after_in_parent=_open, after_in_child=_start_over_in_child)
