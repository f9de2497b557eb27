"""All vectors of a generation: segments, and the rows that no segment covers yet.

A rid alone says where its vector is: in the segment whose range it is in, or in the memtable.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt

from ..state.fields import Mask
from ..state.ledger import Ledger, Total
from ..storage import os_calls
from ..storage.checksums import checksum_row
from ..storage.connections import SqliteConnection
from ..storage.layout import GenerationLayout
from .memtable import Memtable
from .part import Part
from .segment import Segment, SegmentRow, Shape, find_places

_NO_RIDS = np.empty(0, np.int64)
_FEW = 64
SOME = 400
"""Up to this many vectors are read one by one where that saves memory; more are gathered by several threads."""
_MAPPED = 32 << 20
"""Up to this many bytes of vectors are read through the map and stay in memory; beyond, single ones are read."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of one commit; later commits do not change it.

    Attributes
    ----------
    segments : tuple of Segment
        In the order of their rids.
    alive : tuple of ndarray of bool
        For each segment, which of its rows are stored.
    memtable : Memtable
    """

    paths: GenerationLayout
    shape: Shape
    segments: tuple[Segment, ...]
    alive: tuple[Mask, ...]
    memtable: Memtable
    _totals: dict[str, Total]
    _last_dead: int = 0
    _compacted: tuple[int, int] = (0, 0)

    @classmethod
    def make_empty(cls, paths: GenerationLayout, shape: Shape) -> Vectors:
        """Return a state without rows."""
        totals = {name: Total() for name in ("segments", "hot", "dead")}
        return cls(paths, shape, (), (), Memtable.make_empty(shape), totals)

    @property
    def parts(self) -> list[Part]:
        """The segments and the memtable, as a search scans them."""
        parts = [
            Part(segment.vectors, segment.read_norms, segment.rids, alive, partial(self._look, number), segment.row.uid)
            for number, (segment, alive) in enumerate(zip(self.segments, self.alive, strict=True))
        ]
        memtable = self.memtable
        if memtable.size:
            norms = memtable.norms
            parts.append(Part(memtable.matrix, lambda: norms, memtable.rids, memtable.alive, lambda _start, _end: None))
        return parts

    def list_after(self, rid: int) -> list[Part]:
        """Return the rows beyond a rid."""
        return [part for each in self.parts if (part := each.slice_after(rid)) is not None]

    def count_after(self, rid: int) -> int:
        """Return how many stored rows are beyond a rid."""
        return sum(int(np.count_nonzero(part.alive)) for part in self.list_after(rid))

    @property
    def segment_uids(self) -> list[str]:
        """The uids of all segments."""
        return [segment.row.uid for segment in self.segments]

    def _look(self, number: int, start: int, end: int) -> None:
        """Check rows of a segment; at its start, release the previous one, which the reader has finished."""
        if start == 0 and len(self.segments) > 1 and self.is_large:
            self.segments[number - 1].release()
        self.segments[number].touch(start, end)

    @cached_property
    def is_large(self) -> bool:
        """Whether there are too many vectors to keep all of them in the memory of this process."""
        return sum(segment.row.size for segment in self.segments) > _MAPPED

    @property
    def live(self) -> int:
        """How many vectors belong to stored rows."""
        return sum(int(np.count_nonzero(alive)) for alive in (*self.alive, self.memtable.alive))

    def find_in_memtable(self, rids: NDArray[np.int64]) -> tuple[list[int], list[int]]:
        """Return the rids whose vectors are in the memtable, and the checksums of these vectors."""
        chosen = self.memtable.find_living(rids)
        return self.memtable.rids[chosen].tolist(), self.memtable.crcs[chosen].tolist()

    def gather(self, rids: NDArray[np.int64]) -> NDArray[Any]:
        """Return copies of the vectors of stored rows, in the order of ``rids``.

        Raises
        ------
        StoreCorrupt
        """
        if len(rids) <= (SOME if self.is_large else _FEW):
            return self._gather_few(rids.tolist())
        result = np.empty((len(rids), self.shape.dim), self.shape.dtype)
        covering = np.searchsorted(self._bases, rids, side="right") - 1
        missing = np.ones(len(rids), np.bool_)
        for number in np.unique(covering[covering >= 0]).tolist():
            segment = self.segments[number]
            places, inside = find_places(segment.rids, segment.row.n, rids)
            inside &= covering == number
            result[inside] = segment.gather(places[inside])
            missing &= ~inside
        places, inside = find_places(self.memtable.rids, self.memtable.size, rids)
        inside &= missing
        result[inside] = self.memtable.matrix[places[inside]]
        missing &= ~inside
        if missing.any():
            raise StoreCorrupt(f"{self.paths.root}: {int(missing.sum())} stored rows have no vector.")
        return result

    def _gather_few(self, rids: Sequence[int]) -> NDArray[Any]:
        """Return copies of a few vectors, each by a read of its own, which unlike the map loads no other pages."""
        bases, segments, size = self._bases, self.segments, self.shape.row_bytes
        extents, in_memory = [], []
        for row, rid in enumerate(rids):
            number = bisect_right(bases, rid) - 1
            offset = segments[number].find_offset(rid) if number >= 0 else -1
            if offset < 0:
                in_memory.append(row)
            else:
                extents.append((segments[number].descriptor, offset))
        data = os_calls.read_each(extents, size)
        for row in in_memory:
            data.insert(row, self.memtable.get_vector(rids[row]))
        joined = bytearray().join(data)
        if len(joined) != len(rids) * size:
            raise self._find_fault(next(rid for rid, vector in zip(rids, data, strict=True) if len(vector) != size))
        # An array over a `bytearray` can be written to.
        return np.frombuffer(joined, self.shape.stored).reshape(len(rids), self.shape.dim)

    def _find_fault(self, rid: int) -> StoreCorrupt:
        """Return the error for a stored row whose vector cannot be read in full."""
        number = bisect_right(self._bases, rid) - 1
        if number >= 0 and self.segments[number].find_offset(rid) >= 0:
            return self.segments[number].make_error("its size")
        return StoreCorrupt(f"{self.paths.root}: stored rows have no vector.")

    @cached_property
    def _bases(self) -> list[int]:
        return [segment.row.base for segment in self.segments]

    def advance(self, connection: SqliteConnection, ledger: Ledger) -> tuple[Vectors, NDArray[np.int64]]:
        """Return the state that a connection sees, and the rids that were removed since this one, rising.

        The rids may include some that were removed earlier.

        Raises
        ------
        StoreCorrupt
        """
        removed, dead, last_dead = self._read_dead(connection, ledger)
        segments, alive = self._read_segments(connection, ledger)
        alive = [_remove_rows(mask, segment, removed) for segment, mask in zip(segments, alive, strict=True)]
        covering = [] if segments is self.segments else [segment.row for segment in segments]
        memtable, memtable_total = self.memtable.advance(
            connection, self._totals["hot"], ledger.tables["hot"], removed, covering, self.paths.rows
        )
        totals = {"segments": ledger.tables["segments"], "dead": dead, "hot": memtable_total}
        for name, total in totals.items():
            if total != ledger.tables[name]:
                raise StoreCorrupt(
                    f"{self.paths.rows}: rows of {name} are missing, duplicated or damaged. "
                    "Restore the directory from a backup."
                )
        new = Vectors(
            self.paths, self.shape, tuple(segments), tuple(alive), memtable, totals, last_dead, ledger.compacted
        )
        if new.live != ledger.vectors:
            raise StoreCorrupt(f"{self.paths.rows}: {ledger.vectors} rows have {new.live} vectors.")
        return new, removed

    def _read_dead(self, connection: SqliteConnection, ledger: Ledger) -> tuple[NDArray[np.int64], Total, int]:
        total, last = self._totals["dead"].copy(), self._last_dead
        if self._compacted != ledger.compacted:
            # Some removals were forgotten, and a new segment holds rows whose removal is already known here.
            total, last = Total(), 0
        if total == ledger.tables["dead"]:
            return _NO_RIDS, total, last
        rows = connection.execute("SELECT seq, rid FROM dead WHERE seq > ? ORDER BY seq", (last,)).fetchall()
        total.add(map(checksum_row, rows))
        if not rows or total != ledger.tables["dead"]:
            return _NO_RIDS, total, last
        return np.sort(np.array([row[1] for row in rows], np.int64)), total, rows[-1][0]

    def _read_segments(self, connection: SqliteConnection, ledger: Ledger) -> tuple[Sequence[Segment], list[Mask]]:
        if self._totals["segments"] == ledger.tables["segments"]:
            return self.segments, list(self.alive)
        rows = connection.execute("SELECT base, last, n, uid, size, crc FROM segments ORDER BY base").fetchall()
        total = Total()
        total.add(map(checksum_row, rows))
        if total != ledger.tables["segments"]:
            raise StoreCorrupt(f"{self.paths.rows}: the list of segments is damaged. Restore it from a backup.")
        known = {segment.row: (segment, mask) for segment, mask in zip(self.segments, self.alive, strict=True)}
        segments, alive = [], []
        for row in (SegmentRow(*row) for row in rows):
            segment, mask = known.get(row) or (
                Segment(self.paths.locate_segment(row.uid), self.shape, row),
                np.ones(row.n, np.bool_),
            )
            segments.append(segment)
            alive.append(mask)
        return segments, alive


def _remove_rows(alive: Mask, segment: Segment, removed: NDArray[np.int64]) -> Mask:
    """Return a mask of a segment without the removed rows; the same mask if none of them is in it."""
    if not len(removed) or removed[-1] < segment.row.base or removed[0] > segment.row.last:
        return alive
    first, end = np.searchsorted(removed, (segment.row.base, segment.row.last + 1))
    places, inside = find_places(segment.rids, segment.row.n, removed[first:end])
    removed_places = places[inside]
    if not alive[removed_places].any():
        return alive
    mask = alive.copy()
    mask[removed_places] = False
    return mask
