"""Locks between processes: ``flock`` on files that also record their holder and the last commit.

A writer marks each commit in the lock file. The mark shows later whether the database beside it is an older copy
of itself. It is not synced: a lost or torn mark proves nothing and does no harm.

Threads of one process queue before they poll the lock. Polling alone favours the thread that asks at the right moment,
so another one could wait for long. Processes are not ordered in this way.
"""

from __future__ import annotations

import contextlib
import os
import random
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecstore.errors import StoreCorrupt, StoreLocked

from . import os_calls
from .failures import translate_errors

_HOLDER = struct.Struct("<Q")
_MARK = struct.Struct("<QI")
_MARK_AT = 16
_MESSAGE = "{path} is locked: {holder} {purpose}. Try again later."

_held: set[int] = set()
"""Descriptors of this process's locks. A forked child closes its copies, which would outlive the parent's lock."""


class HeldLock:
    """A held lock."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    def read_mark(self) -> int:
        """Return the last marked commit, 0 if none can be read."""
        with translate_errors(self._path):
            return _read_mark(self._descriptor)

    def set_mark(self, seq: int) -> None:
        """Mark a durable commit."""
        data = seq.to_bytes(8, "little")
        with contextlib.suppress(OSError):
            os_calls.write_at(self._descriptor, _MARK.pack(seq, zlib.crc32(data)), _MARK_AT)


@contextmanager
def hold_lock(path: Path, timeout: float, purpose: str) -> Iterator[HeldLock]:
    """Hold a lock while the context lasts.

    Parameters
    ----------
    path : Path
        The lock file; created if missing.
    timeout : float
        Seconds to wait.
    purpose : str
        What a holder does, for the error message, such as ``"is writing to it"``.

    Raises
    ------
    StoreLocked
    """
    deadline = time.monotonic() + timeout
    with wait_turn(str(path), deadline) as is_ours:
        if not is_ours:
            raise StoreLocked(_MESSAGE.format(path=path, holder="another thread of this process", purpose=purpose))
        with translate_errors(path):
            descriptor = _acquire(path, deadline, purpose)
        try:
            with contextlib.suppress(OSError):
                os_calls.write_at(descriptor, _HOLDER.pack(os.getpid()), 0)
            yield HeldLock(descriptor, path)
        finally:
            _release(descriptor)


def read_last_mark(path: Path) -> int:
    """Return the last marked commit without taking the lock, 0 if none can be read."""
    try:
        descriptor = os_calls.open_for_reading(path)
    except FileNotFoundError:
        return 0
    try:
        return _read_mark(descriptor)
    finally:
        os_calls.close(descriptor)


def check_not_older(seq: int, mark: int, database: Path) -> None:
    """Refuse a database that lacks acknowledged commits.

    Raises
    ------
    StoreCorrupt
    """
    if seq < mark:
        raise StoreCorrupt(
            f"{database} is an older copy of itself: it is at commit {seq:,}, but commit {mark:,} was acknowledged. "
            "Restore the whole directory from one backup; to continue with this copy, remove the .lock file beside it."
        )


class _Queues:
    def __init__(self) -> None:
        self.moved = threading.Condition()
        self.waiting: dict[str, deque[object]] = {}


_queues = _Queues()


@contextmanager
def wait_turn(name: str, deadline: float) -> Iterator[bool]:
    """Wait for all threads that came earlier, or until the deadline; give whether it is this thread's turn.

    Parameters
    ----------
    name : str
        What the threads wait for.
    deadline : float
        On the clock of `time.monotonic`.
    """
    queues, ticket = _queues, object()
    try:
        with queues.moved:
            queue = queues.waiting.setdefault(name, deque())
            queue.append(ticket)
            is_ours = queues.moved.wait_for(lambda: queue[0] is ticket, max(0.0, deadline - time.monotonic()))
        yield is_ours
    finally:
        with queues.moved:
            queue = queues.waiting.get(name, deque())
            if ticket in queue:
                queue.remove(ticket)
            if not queue:
                queues.waiting.pop(name, None)
            queues.moved.notify_all()


def _acquire(path: Path, deadline: float, purpose: str) -> int:
    pause = 0.0005
    while True:
        descriptor = os_calls.open_lock(path)
        _held.add(descriptor)
        try:
            while not os_calls.try_lock(descriptor):
                if time.monotonic() >= deadline:
                    raise StoreLocked(_MESSAGE.format(path=path, holder=_read_holder(descriptor), purpose=purpose))
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - waiting writers take turns
                pause = min(pause * 1.5, 0.01)
            if os_calls.is_file_at(descriptor, path):
                return descriptor
        except BaseException:
            _release(descriptor)
            raise
        # The file was removed during the wait, so the next process would lock a new one.
        _release(descriptor)


def _release(descriptor: int) -> None:
    # The write has already happened, so errors do not matter; closing the descriptor also frees the lock.
    try:
        with contextlib.suppress(OSError):
            os_calls.unlock(descriptor)
    finally:
        _held.discard(descriptor)
        with contextlib.suppress(OSError):
            os_calls.close(descriptor)


def _read_holder(descriptor: int) -> str:
    data = os_calls.read_at(descriptor, _HOLDER.size, 0)
    return f"process {_HOLDER.unpack(data)[0]}" if len(data) == _HOLDER.size else "another process"


def _read_mark(descriptor: int) -> int:
    data = os_calls.read_at(descriptor, _MARK.size, _MARK_AT)
    if len(data) < _MARK.size:
        return 0
    seq, check = _MARK.unpack(data)
    return int(seq) if check == zlib.crc32(data[:8]) else 0


def _forget_in_child() -> None:
    """Close the parent's locks and forget its waiting threads, which do not exist in the child."""
    global _queues  # one of those threads may hold its lock
    _queues = _Queues()
    for descriptor in list(_held):
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
