"""Reading tombstones: the versions of removed records."""

from __future__ import annotations

from bisect import bisect_right

from .open_generation import OpenGeneration


def read_tombstones(opened: OpenGeneration, after: str | None, limit: int) -> dict[str, int]:
    """Return versions of removed records in the order of ids; see `Backend.tombstones`."""
    with opened.pool.check_out() as connection:
        notes = opened.read_notes(connection, "tombstones")
    start = 0 if after is None else bisect_right(notes.ids, after)
    return {id_: notes.by_id[id_].version for id_ in notes.ids[start : start + limit]}
