"""Rows that searches have read recently and checked, so that SQLite need not be asked again.

Rows of an index that has copies beside it are not kept here: those are read as quickly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sys import getsizeof
from typing import TYPE_CHECKING

from ..state.rows import Values

if TYPE_CHECKING:
    from ..state.reader import Reader

_BUDGET = 8 << 20
_LARGEST = 1 << 16
"""Bytes; a larger row is read each time."""
_OFTEN = 1_000
"""More rows than these, read at once, are not kept: they would displace rows that are asked for often."""
_FRAME = 600
"""About the bytes of a row beside its text and undeclared metadata."""


class RowCache:
    """Whole rows by rid. A row never changes and a rid is used once, so nothing here becomes stale.

    Rows are kept in two halves of the budget. When the new half is full it becomes the old one, and rows of the
    old half that were not asked for in the meantime are forgotten. Threads need no lock: a row that one thread
    loses for another is only read again.
    """

    def __init__(self, budget: int = _BUDGET) -> None:
        self._half = budget // 2
        self._new: dict[int, Values] = {}
        self._old: dict[int, Values] = {}
        self._size = 0

    def find(self, rids: Iterable[int]) -> dict[int, Values]:
        """Return the rows that are known."""
        new, old = self._new, self._old
        found = {rid: row for rid in rids if (row := new.get(rid) or old.get(rid)) is not None}
        self.keep([row for rid, row in found.items() if rid not in new])
        return found

    def read(self, reader: Reader, rids: Sequence[int], *, whole: bool) -> list[Values]:
        """Return rows in the order of rids.

        Those that are neither beside the index nor known are read and, where they are whole, kept.
        """
        copies = reader.opened.index_cache.find_copies(reader.snapshot.ledger.index)
        rows = copies.find(rids) if copies else {}
        if len(rows) < len(rids):
            rows.update(self.find(rids if not rows else [rid for rid in rids if rid not in rows]))
        if len(rows) < len(rids):
            missing = reader.read_rows([rid for rid in rids if rid not in rows], whole=whole)
            rows.update((row[0], row) for row in missing)
            if whole and len(missing) <= _OFTEN:
                self.keep(missing)
        return [rows[rid] for rid in rids]

    def keep(self, rows: Iterable[Values]) -> None:
        """Keep whole rows, which end with ``extra`` and ``text``."""
        for row in rows:
            size = _FRAME + getsizeof(row[-2]) + getsizeof(row[-1])
            if size > _LARGEST:
                continue
            if self._size + size > self._half:
                self._old, self._new, self._size = self._new, {}, 0
            self._new[row[0]] = row
            self._size += size
