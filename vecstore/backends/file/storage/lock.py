"""Locks between processes: ``flock`` on files that also record their holder and the last commit (`commit_mark`)."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecstore.errors import StoreLocked

from . import commit_mark, os_calls
from .failures import translate_errors
from .lock_queue import wait_turn

_HOLDER = struct.Struct("<Q")
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
            return commit_mark.read_mark(self._descriptor)

    def announce(self, seq: int) -> None:
        """Announce a commit that is about to begin."""
        with translate_errors(self._path):
            commit_mark.announce(self._descriptor, seq)

    def set_mark(self, seq: int) -> None:
        """Mark a durable commit."""
        commit_mark.write_mark(self._descriptor, seq)


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


def _close_in_child() -> None:
    """Close the parent's locks."""
    for descriptor in list(_held):
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
