"""The commit mark: the number of the last commit, in the lock file beside a database.

A writer marks each commit. The mark shows later whether the database is an older copy of itself, for example one that
was restored alone from a backup. It is not synced: a lost or torn mark proves nothing and does no harm.

Before a commit the writer announces its number, in the same file. While both numbers are that of the commit that a
reader knows, no later one can have happened, and the reader need not ask SQLite (`CommitWatch`). A writer that was
killed in between leaves two different numbers, until the next commit.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path
from threading import Lock

from vecstore.errors import StoreCorrupt

from . import os_calls

_MARK = struct.Struct("<QI")
_MARK_AT, _ANNOUNCED_AT = 16, 32
_BETWEEN = bytes(_ANNOUNCED_AT - _MARK_AT - _MARK.size)

FileState = tuple[int, int]
"""When a file was last changed, in nanoseconds, and its size."""


def read_mark(descriptor: int) -> int:
    """Return the last marked commit of an open lock file, 0 if none can be read."""
    data = os_calls.read_at(descriptor, _MARK.size, _MARK_AT)
    if len(data) < _MARK.size:
        return 0
    seq, check = _MARK.unpack(data)
    return int(seq) if check == zlib.crc32(data[:8]) else 0


def write_mark(descriptor: int, seq: int) -> None:
    """Mark a durable commit in an open lock file."""
    with contextlib.suppress(OSError):
        os_calls.write_at(descriptor, _encode(seq), _MARK_AT)


def announce(descriptor: int, seq: int) -> None:
    """Announce a commit in an open lock file; without that there must be none."""
    os_calls.write_at(descriptor, _encode(seq), _ANNOUNCED_AT)


def _encode(seq: int) -> bytes:
    return _MARK.pack(seq, zlib.crc32(seq.to_bytes(8, "little")))


def read_last_mark(path: Path) -> int:
    """Return the last marked commit without taking the lock, 0 if none can be read."""
    try:
        descriptor = os_calls.open_for_reading(path)
    except FileNotFoundError:
        return 0
    try:
        return read_mark(descriptor)
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


class CommitWatch:
    """Says without SQLite whether the commit that was read is still the last one. Threads share it.

    Parameters
    ----------
    path : Path
        The lock file, which the first writer makes and which stays open here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._is_open = True
        self._descriptor: int | None = None
        self._noted: tuple[int, FileState | None] | None = None
        self._marks: bytes | None = None
        """What the lock file has to say as long as the noted commit is the last; None where it does not say that."""

    def is_last(self, seq: int, state: FileState | None) -> bool:
        """Say whether a commit was noted and no later one has begun since. False where that is unknown.

        Parameters
        ----------
        seq : int
        state : FileState or None
            The database file as it is.
        """
        marks, descriptor = self._marks, self._descriptor
        if marks is None or descriptor is None or self._noted != (seq, state):
            return False
        try:
            # Without a name, it is no longer the file that writers use.
            return os_calls.read_at(descriptor, len(marks), _MARK_AT) == marks and os_calls.has_name(descriptor)
        except OSError:  # another thread has closed it
            return False

    def note(self, seq: int, state: FileState | None) -> None:
        """Note the last commit, read from the database after its file was in a state."""
        if self._noted == (seq, state) and (self._marks is not None or self._descriptor is None):
            return
        mark = _encode(seq)
        marks = mark + _BETWEEN + mark
        with self._lock:
            if not self._is_open:  # the read was under way when this was closed
                return
            with contextlib.suppress(OSError):  # there is no lock file yet, or it may not be read
                if self._noted != (seq, state):
                    self._marks, self._noted = None, (seq, state)
                    self._close()
                    self._descriptor = os_calls.open_for_reading(self._path)
                # Also of a commit that is noted: its writer may not have marked it when it was.
                if self._descriptor is not None and os_calls.read_at(self._descriptor, len(marks), _MARK_AT) == marks:
                    self._marks = marks

    def close(self) -> None:
        """Close the lock file for ever."""
        with self._lock:
            self._is_open = False
            self._marks = self._noted = None
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):  # it was only read
                os_calls.close(descriptor)
