"""What makes SQLite safe in a process that forks.

SQLite keeps in memory which locks its process holds on a file. A child inherits that memory but not the locks. If
another thread was in a transaction during the fork, a new connection in the child would assume that the file is
already locked, take no lock, and read half of a commit. So a fork waits until all threads have left SQLite. If one
does not leave in time, the child refuses to open the file that the thread was using. `pool.ForkGuard` passes the gate.

A child never closes the connections of its parent.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
from typing import NoReturn
from weakref import WeakSet

from vecstore.errors import Unsupported

_PATIENCE = 5.0
"""Seconds that a fork waits for threads inside SQLite."""

_connections: WeakSet[sqlite3.Connection] = WeakSet()


class _Gate:
    """Counts the threads inside SQLite, and is closed during a fork."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.moved = threading.Condition(self.lock)
        # Keyed by string: a Path computes its hash in Python, several times in each search.
        self.users: dict[str, int] = {}
        self.is_open = True


class _Own(threading.local):
    depth = 0
    """How many database files this thread is using."""


gate = _Gate()
own = _Own()
unsafe: frozenset[str] = frozenset()
"""Files that another thread was using when this process was forked."""


def refuse_unsafe() -> NoReturn:
    """Refuse a file that another thread was using during the fork.

    Raises
    ------
    Unsupported
    """
    raise Unsupported(
        "connecting in a process that was forked while another thread used the same directory",
        "file",
        "Start such processes with the spawn method of multiprocessing.",
    )


def leak_in_child(connection: sqlite3.Connection) -> None:
    """Prevent a forked child from ever closing its copy of a connection.

    Closing would roll back the parent's transaction in its files: "do not even call
    sqlite3_close() from a child process" (sqlite.org/howtocorrupt.html, 2.6).
    """
    _connections.add(connection)


def _close() -> None:
    with gate.moved:
        gate.is_open = False
        # This thread cannot wait for itself.
        gate.moved.wait_for(lambda: not gate.users, 0 if own.depth else _PATIENCE)


def _open() -> None:
    with gate.moved:
        gate.is_open = True
        gate.moved.notify_all()


def _start_over_in_child() -> None:
    global gate, own, unsafe
    for connection in list(_connections):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    unsafe |= frozenset(gate.users)
    gate, own = _Gate(), _Own()


os.register_at_fork(before=_close, after_in_parent=_open, after_in_child=_start_over_in_child)
