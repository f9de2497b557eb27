"""The end of a transaction, and what to believe when it fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from vecstore.errors import StorageError, UnknownOutcome, Unsupported

from ..storage.connections import Link, abandon, reading
from .ledger import Ledger


def commit(link: Link, before: Ledger, after: Ledger, reopen: Callable[[], Link]) -> bool:
    """Commit, or learn from the file itself whether a commit that failed has happened.

    Parameters
    ----------
    link : Link
        A writer in a transaction.
    before, after : Ledger
        The state that the transaction began with, and the one that it makes.
    reopen : callable
        Opens a fresh connection to the same file.

    Returns
    -------
    bool
        False where the connection is used up, although the commit has happened.

    Raises
    ------
    UnknownOutcome
    sqlite3.Error, MemoryError
        It has not happened.
    """
    try:
        after.write(link)
        link.execute("COMMIT")
    except (sqlite3.Error, MemoryError) as error:
        token = _token_after_failure(link, after, reopen)
        if token == after.token:
            return False
        if token == before.token:
            raise
        raise UnknownOutcome(
            "A commit failed, and whether it has happened cannot be read. Repeat the write with upsert(), "
            "or look at the records first."
        ) from error
    return True


def _token_after_failure(link: Link, after: Ledger, reopen: Callable[[], Link]) -> str | None:
    abandon(link)
    try:
        fresh = reopen()
        try:
            with reading(fresh):
                return Ledger.read(fresh, after.owner, "the database").token
        finally:
            fresh.close()
    except (sqlite3.Error, OSError, StorageError, Unsupported):
        return None
