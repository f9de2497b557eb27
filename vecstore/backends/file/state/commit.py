"""The commit of a transaction, and how its outcome is found out when it failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from vecstore.errors import StorageError, UnknownOutcome, Unsupported

from ..storage.connections import SqliteConnection, abandon, begin_reading
from ..storage.failures import DRIVER_ERRORS
from .ledger import Ledger


def commit(connection: SqliteConnection, before: Ledger, after: Ledger, reopen: Callable[[], SqliteConnection]) -> bool:
    """Commit; after an error, read the file to find out whether the commit happened.

    Parameters
    ----------
    connection : SqliteConnection
        Has the transaction open.
    before, after : Ledger
        The states before and after the transaction.
    reopen : callable
        Opens a new connection to the same file.

    Returns
    -------
    bool
        False if the commit happened but the connection can no longer be used.

    Raises
    ------
    UnknownOutcome
    sqlite3.Error, MemoryError
        The commit did not happen.
    """
    try:
        after.write(connection)
        connection.execute("COMMIT")
    except (sqlite3.Error, MemoryError) as error:
        token = _read_token_after_failure(connection, after, reopen)
        if token == after.token:
            return False
        if token == before.token:
            raise
        raise UnknownOutcome(
            "A commit failed, and whether it took effect could not be determined. Repeat the write with upsert(), "
            "or read the records first."
        ) from error
    return True


def _read_token_after_failure(
    connection: SqliteConnection, after: Ledger, reopen: Callable[[], SqliteConnection]
) -> str | None:
    abandon(connection)
    try:
        fresh = reopen()
        try:
            with begin_reading(fresh):
                return Ledger.read(fresh, after.owner, "the database").token
        finally:
            fresh.close()
    except (*DRIVER_ERRORS, StorageError, Unsupported):
        return None
