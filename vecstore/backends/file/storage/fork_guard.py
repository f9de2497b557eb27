"""Forks happen while no thread is within SQLite.

SQLite keeps in memory which locks its process holds on a file. A child inherits that memory but not the
locks: had another thread been in a transaction, a new connection in the child would think the file locked
already, take no lock itself, and read half of a commit. So a fork waits until all threads are out. Where
one does not come out in time, the child refuses to open what that thread was using.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from vecstore.errors import Unsupported

_PATIENCE = 5.0


class _Gate:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.moved = threading.Condition(self.lock)
        # By name: a Path computes its hash in Python, several times in each search.
        self.users: dict[str, int] = {}
        self.is_open = True


class _Own(threading.local):
    depth = 0


_gate = _Gate()
_own = _Own()
_unsafe: frozenset[str] = frozenset()


class using:
    """Keep forks away from a database file while the context lasts.

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


def _close() -> None:
    with _gate.moved:
        _gate.is_open = False
        # Waiting for this very thread would be in vain.
        _gate.moved.wait_for(lambda: not _gate.users, 0 if _own.depth else _PATIENCE)


def _open() -> None:
    with _gate.moved:
        _gate.is_open = True
        _gate.moved.notify_all()


def _start_anew_in_child() -> None:
    global _gate, _own, _unsafe
    _unsafe |= frozenset(_gate.users)
    _gate, _own = _Gate(), _Own()


os.register_at_fork(before=_close, after_in_parent=_open, after_in_child=_start_anew_in_child)
