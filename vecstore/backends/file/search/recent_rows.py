"""Rows that searches have read lately, checked already, so that SQLite is not asked for them each time."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ..state.rows import Values

_ROOM = 8 << 20
_LARGEST = 1 << 16
"""A larger row is read each time."""
_FRAME = 600
"""About what a row takes beside its text and undeclared metadata."""


class RecentRows:
    """Whole rows by rid. A row never changes and a rid is given once, so that nothing here grows old.

    The rows that were not asked for during the time in which half of the room was filled are forgotten. Threads
    need no lock: what they may lose for each other are rows that are read again.
    """

    def __init__(self, room: int = _ROOM) -> None:
        self._half = room // 2
        self._new: dict[int, Values] = {}
        self._old: dict[int, Values] = {}
        self._size = 0

    def known(self, rids: Iterable[int]) -> dict[int, Values]:
        """Return those of the rows that are here."""
        found: dict[int, Values] = {}
        for rid in rids:
            row = self._new.get(rid)
            if row is None:
                row = self._old.get(rid)
                if row is None:
                    continue
                self.keep((row,))
            found[rid] = row
        return found

    def keep(self, rows: Iterable[Values]) -> None:
        """Take in whole rows, which end with ``extra`` and ``text``."""
        for row in rows:
            size = _FRAME + sys.getsizeof(row[-2]) + sys.getsizeof(row[-1])
            if size > _LARGEST:
                continue
            if self._size + size > self._half:
                self._old, self._new, self._size = self._new, {}, 0
            self._new[row[0]] = row
            self._size += size
