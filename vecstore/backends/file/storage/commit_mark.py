"""The commit mark: the number of the last commit, in the lock file beside a database.

A writer marks each commit. The mark shows later whether the database is an older copy of itself, for example one that
was restored alone from a backup. It is not synced: a lost or torn mark proves nothing and does no harm.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path

from vecstore.errors import StoreCorrupt

from . import os_calls

_MARK = struct.Struct("<QI")
_MARK_AT = 16


def read_mark(descriptor: int) -> int:
    """Return the last marked commit of an open lock file, 0 if none can be read."""
    data = os_calls.read_at(descriptor, _MARK.size, _MARK_AT)
    if len(data) < _MARK.size:
        return 0
    seq, check = _MARK.unpack(data)
    return int(seq) if check == zlib.crc32(data[:8]) else 0


def write_mark(descriptor: int, seq: int) -> None:
    """Mark a durable commit in an open lock file."""
    data = seq.to_bytes(8, "little")
    with contextlib.suppress(OSError):
        os_calls.write_at(descriptor, _MARK.pack(seq, zlib.crc32(data)), _MARK_AT)


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
