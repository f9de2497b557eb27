"""Calls that are made again where the application's database was busy with somebody else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import OperationalError, SQLAlchemyError

_REPETITIONS = 5
_SQLITE_BUSY = frozenset({5, 6})
"""SQLITE_BUSY, another process or connection has the lock of the file, and SQLITE_LOCKED, one with the same cache."""
_Result = TypeVar("_Result")
LOCKED = "Another process holds the lock of the application's SQLite database. Try again; docs/orm.md says what helps."


def is_locked(error: SQLAlchemyError) -> bool:
    """Say whether a file of SQLite was locked by somebody else for longer than a connection waits."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _SQLITE_BUSY


def repeat(call: Callable[[], _Result], *, times: int = _REPETITIONS, longest: float = 1.0) -> _Result:
    """Call again where the database was busy or chose this transaction as the victim of a deadlock.

    Parameters
    ----------
    call : callable
        One transaction.
    times : int
        Calls, after which the error is raised.
    longest : float
        Seconds between two calls; they begin at 0.05 and double.
    """
    for repetition in range(times):
        try:
            return call()
        except OperationalError as error:
            # SQLite tells why it failed, and only a lock goes away by itself.
            is_final = hasattr(error.orig, "sqlite_errorcode") and not is_locked(error)
            if is_final or repetition == times - 1:
                raise
            time.sleep(min(0.05 * 2**repetition, longest) * random.uniform(0.5, 1.5))  # noqa: S311 - spreads attempts
    raise AssertionError
