"""Translation of SQLite's and the operating system's errors; the only place that does it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from vecstore.errors import BackendUnavailable, StorageFailed, StoreCorrupt, Timeout, VecstoreError

_SQLITE: Mapping[int, tuple[type[VecstoreError], str]] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: (Timeout, "stayed busy for longer than timeout"),
        sqlite3.SQLITE_LOCKED: (Timeout, "stayed locked for longer than timeout"),
        sqlite3.SQLITE_PROTOCOL: (Timeout, "could not be locked"),
        sqlite3.SQLITE_FULL: (StorageFailed, "could not grow: the disk is full. Free some space, then try again"),
        sqlite3.SQLITE_IOERR: (StorageFailed, "could not be read or written"),
        sqlite3.SQLITE_CANTOPEN: (StorageFailed, "could not be opened"),
        sqlite3.SQLITE_READONLY: (StorageFailed, "is not writable"),
        sqlite3.SQLITE_PERM: (StorageFailed, "is not accessible"),
        sqlite3.SQLITE_AUTH: (StorageFailed, "is not accessible"),
    }
)
"""Every other code means that the file is damaged."""

DriverError = sqlite3.Error | OSError | UnicodeDecodeError
DRIVER_ERRORS = (sqlite3.Error, OSError, UnicodeDecodeError)
"""What a call of SQLite or the operating system may raise. The sqlite3 module raises UnicodeDecodeError where the
message of SQLite quotes a damaged schema."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
_PASSING = _FULL | {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.EROFS}


def translate_error(error: DriverError, what: str) -> VecstoreError:
    """Return the vecstore error for a driver's error.

    Parameters
    ----------
    error : sqlite3.Error, OSError or UnicodeDecodeError
    what : str
        The file, as a message names it.
    """
    if isinstance(error, OSError):
        return _translate_os_error(error, what)
    if isinstance(error, sqlite3.ProgrammingError):
        return BackendUnavailable(f"{what} was closed while it was in use. Call vecstore.connect() again.")
    kind, text = _SQLITE.get(_get_code(error), (StoreCorrupt, "is damaged. Restore it from a backup"))
    return kind(f"{what} {text} ({error}).")


def is_lasting(error: DriverError) -> bool:
    """Say whether a failed write leaves the contents of the disk in doubt, so that only reconnecting is safe.

    After a failed fsync the kernel marks the lost pages as clean, and a second fsync succeeds without them
    (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
    """
    if isinstance(error, OSError):
        return error.errno not in _PASSING
    return _get_code(error) == sqlite3.SQLITE_IOERR


@contextmanager
def translate_errors(path: Path | str) -> Iterator[None]:
    """Raise errors of SQLite and the operating system as vecstore errors.

    Raises
    ------
    StorageFailed, StoreCorrupt, Timeout
    """
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translate_error(error, str(path)) from error


def _get_code(error: sqlite3.Error | UnicodeDecodeError) -> int:
    """Return the primary result code; 0 for an error of the sqlite3 module itself, such as text that is not UTF-8."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _translate_os_error(error: OSError, what: str) -> VecstoreError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return StorageFailed(f"{what} could not be written: {reason}. Free some space, then try again.")
    if error.errno in _MISSING:
        return StoreCorrupt(f"{what} is missing or is not a regular file: {reason}. Restore it from a backup.")
    return StorageFailed(f"{what} could not be read or written: {reason}.")
