"""Whether a collection has lost records: counts, which are compared only where nobody fed it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vecstore.errors import StoreCorrupt

from .follower import Follower

if TYPE_CHECKING:
    from vecstore.backends.milvus.collection import Collection

BETWEEN_COUNTS = 30.0
"""Seconds from one count of a collection to the next."""
Read = Callable[[], Follower | None]
"""Reads the follower again."""


def is_counted_now(follower: Follower) -> bool:
    """Say whether the catalogue has the number of records in the collection as it is now."""
    return follower.counted is not None and follower.counted_at == follower.applied


def check_count(collection: Collection, follower: Follower, read: Read) -> bool:
    """Say whether a collection has as many records as the catalogue kept, which has to be a number of now.

    Raises
    ------
    StoreCorrupt
    """
    if follower.counted is None or not is_counted_now(follower):
        return False
    found = collection.count(after=follower.applied)
    if found < follower.counted and _is_unfed(follower, read):
        raise StoreCorrupt(
            f"Milvus has {found:,} of {follower.counted:,} records that it had. reindex() makes the collection anew."
        )
    return found >= follower.counted


def check_all(
    collection: Collection,
    follower: Follower,
    read: Read,
    count_rows: Callable[[], int],
    count_notes: Callable[[], int],
) -> int:
    """Compare the number of records in a collection with PostgreSQL's, and return it.

    Raises
    ------
    StoreCorrupt
    """
    # Rows before notes: of what is written in between there would be a row without a note.
    rows = count_rows()
    found = collection.count(after=follower.applied)
    if found + count_notes() < rows and _is_unfed(follower, read):
        raise StoreCorrupt(f"Milvus has {found:,} of {rows:,} records. reindex() makes the collection anew.")
    return found


def _is_unfed(follower: Follower, read: Read) -> bool:
    """Say whether no round was under way since the follower was read: one may have deleted what was counted before."""
    return follower.unfinished is None and read() == follower
