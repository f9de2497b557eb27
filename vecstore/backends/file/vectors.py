"""All vectors of a generation: segments, and the rows that no segment covers yet.

A rid alone says where its vector lies: in the segment that covers it, or among the hot rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import StoreCorrupt
from ...vectors import row_norms
from .connections import Link
from .field_columns import Mask
from .growing import Growing
from .layout import GenerationLayout
from .ledger import Ledger, Total, row_crc
from .rowform import hot_crc
from .segment import Segment, SegmentRow, Shape

_NO_RIDS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A run of vectors that lie side by side.

    Attributes
    ----------
    vectors : ndarray, shape (n, dim)
    norms : callable
        Returns the norms, shape (n,), float64.
    rids : ndarray of int64, shape (n,), or int
        Rising; a number stands for itself and those after it.
    alive : ndarray of bool, shape (n,)
    touch : callable
        To be called with the rows that will be read, first and beyond the last.
    """

    vectors: NDArray[Any]
    norms: Callable[[], NDArray[np.float64]]
    rids: NDArray[np.int64] | int
    alive: Mask
    touch: Callable[[int, int], None]

    def rids_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rids of some rows."""
        return self.rids + places if isinstance(self.rids, int) else self.rids[places]

    def places_of(self, rids: NDArray[np.int64]) -> tuple[NDArray[np.int64], Mask]:
        """Return where rids stand, and which of them do at all."""
        if isinstance(self.rids, int):
            places = rids - self.rids
            return places, (places >= 0) & (places < len(self.vectors))
        return _found(self.rids, rids)


@dataclass(frozen=True, slots=True, eq=False)
class _Hot:
    """Rows outside of segments, appended as they come."""

    rids: Growing
    matrix: Growing
    norms: Growing
    crcs: Growing
    alive: Mask

    @classmethod
    def empty(cls, shape: Shape) -> _Hot:
        arrays = (Growing(np.int64), Growing(shape.stored, shape.dim), Growing(np.float64), Growing(np.int64))
        return cls(*arrays, np.zeros(0, np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vectors of one commit; later commits do not change it.

    Attributes
    ----------
    segments : tuple of Segment
        In the order of their rids.
    """

    paths: GenerationLayout
    shape: Shape
    segments: tuple[Segment, ...]
    _alive: tuple[Mask, ...]
    _hot: _Hot
    _totals: dict[str, Total]
    _last_dead: int = 0

    @classmethod
    def empty(cls, paths: GenerationLayout, shape: Shape) -> Vectors:
        """Return a state without rows."""
        totals = {name: Total() for name in ("segments", "hot", "dead")}
        return cls(paths, shape, (), (), _Hot.empty(shape), totals)

    @property
    def parts(self) -> list[Part]:
        """What a search looks through."""
        parts = [
            Part(segment.vectors, segment.norms, segment.row.base, alive, segment.touch)
            for segment, alive in zip(self.segments, self._alive, strict=True)
        ]
        hot, size = self._hot, len(self._hot.alive)
        if size:
            norms = hot.norms.view(size)
            parts.append(
                Part(hot.matrix.view(size), lambda: norms, hot.rids.view(size), hot.alive, lambda _start, _end: None)
            )
        return parts

    @property
    def live(self) -> int:
        """How many vectors belong to stored rows."""
        return sum(int(np.count_nonzero(alive)) for alive in (*self._alive, self._hot.alive))

    def hot_among(self, rids: NDArray[np.int64]) -> tuple[list[int], list[int]]:
        """Return those of the rids whose vectors are hot, and the checksums of these."""
        hot, size = self._hot, len(self._hot.alive)
        places, inside = _found(hot.rids.view(size), rids)
        chosen = places[inside]
        chosen = chosen[hot.alive[chosen]]
        return hot.rids.view(size)[chosen].tolist(), hot.crcs.view(size)[chosen].tolist()

    @property
    def is_wasteful(self) -> bool:
        """Whether most hot rows in memory were removed, so that it is better to load them anew."""
        return len(self._hot.alive) > 4_096 + 2 * int(np.count_nonzero(self._hot.alive))

    def gather(self, rids: NDArray[np.int64]) -> NDArray[Any]:
        """Return copies of the vectors of stored rows, in the order of ``rids``.

        Raises
        ------
        StoreCorrupt
        """
        result = np.empty((len(rids), self.shape.dim), self.shape.dtype)
        covering = np.searchsorted([segment.row.base for segment in self.segments], rids, side="right") - 1
        missing = np.ones(len(rids), np.bool_)
        for number in np.unique(covering[covering >= 0]).tolist():
            segment = self.segments[number]
            places = rids - segment.row.base
            inside = (covering == number) & (places < segment.row.n)
            result[inside] = segment.gather(places[inside])
            missing &= ~inside
        places, inside = _found(self._hot.rids.view(len(self._hot.alive)), rids)
        inside &= missing
        result[inside] = self._hot.matrix.view(len(self._hot.alive))[places[inside]]
        missing &= ~inside
        if missing.any():
            raise StoreCorrupt(f"{self.paths.root}: {int(missing.sum())} stored rows have no vector.")
        return result

    def advanced(self, link: Link, ledger: Ledger) -> tuple[Vectors, NDArray[np.int64]]:
        """Return the state that ``link`` sees, and the rids that were removed since this one.

        Raises
        ------
        StoreCorrupt
        """
        removed, dead, last_dead = self._read_dead(link, ledger)
        segments, alive = self._read_segments(link, ledger)
        alive = [_without(mask, segment.row.base, removed) for segment, mask in zip(segments, alive, strict=True)]
        hot, hot_total = self._read_hot(link, ledger, removed)
        totals = {"segments": ledger.tables["segments"], "dead": dead, "hot": hot_total}
        for name, total in totals.items():
            if total != ledger.tables[name]:
                raise StoreCorrupt(
                    f"{self.paths.rows}: rows of {name} are missing, doubled or damaged. "
                    "Restore the directory from a backup."
                )
        new = Vectors(self.paths, self.shape, tuple(segments), tuple(alive), hot, totals, last_dead)
        if new.live != ledger.tables["rows"].count:
            raise StoreCorrupt(f"{self.paths.rows}: {ledger.tables['rows'].count} rows have {new.live} vectors.")
        return new, removed

    def _read_dead(self, link: Link, ledger: Ledger) -> tuple[NDArray[np.int64], Total, int]:
        total = self._totals["dead"].copy()
        if total == ledger.tables["dead"]:
            return _NO_RIDS, total, self._last_dead
        rows = link.execute("SELECT seq, rid FROM dead WHERE seq > ? ORDER BY seq", (self._last_dead,)).fetchall()
        if not rows:
            return _NO_RIDS, total, self._last_dead
        total.add(row_crc(row) for row in rows)
        if total != ledger.tables["dead"]:
            return _NO_RIDS, total, self._last_dead
        return np.sort(np.array([row[1] for row in rows], np.int64)), total, rows[-1][0]

    def _read_segments(self, link: Link, ledger: Ledger) -> tuple[Sequence[Segment], list[Mask]]:
        if self._totals["segments"] == ledger.tables["segments"]:
            return self.segments, list(self._alive)
        rows = link.execute("SELECT base, n, uid, size, crc FROM segments ORDER BY base").fetchall()
        total = Total()
        total.add(row_crc(row) for row in rows)
        if total != ledger.tables["segments"]:
            raise StoreCorrupt(f"{self.paths.rows}: the list of segments is damaged. Restore it from a backup.")
        known = {segment.row.uid: (segment, mask) for segment, mask in zip(self.segments, self._alive, strict=True)}
        segments, alive = [], []
        for row in (SegmentRow(*row) for row in rows):
            segment, mask = known.get(row.uid) or (
                Segment(self.paths.segment(row.uid), self.shape, row),
                np.ones(row.n, np.bool_),
            )
            segments.append(segment)
            alive.append(mask)
        return segments, alive

    def _read_hot(self, link: Link, ledger: Ledger, removed: NDArray[np.int64]) -> tuple[_Hot, Total]:
        hot, total = self._hot, self._totals["hot"].copy()
        if total == ledger.tables["hot"] and not len(removed):
            return hot, total
        size = len(hot.alive)
        rids: NDArray[np.int64] = hot.rids.view(size)
        places, inside = _found(rids, removed)
        doomed = places[inside]
        total.remove(hot.crcs.view(size)[doomed].tolist())
        alive = hot.alive.copy()
        alive[doomed] = False
        last = int(rids[-1]) if size else 0
        rows = link.execute("SELECT rid, vector FROM hot WHERE rid > ? ORDER BY rid", (last,)).fetchall()
        if rows:
            if any(not isinstance(vector, bytes) or len(vector) != self.shape.row_bytes for _, vector in rows):
                raise StoreCorrupt(f"{self.paths.rows}: a hot vector is damaged. Restore it from a backup.")
            crcs = [hot_crc(rid, vector) for rid, vector in rows]
            total.add(crcs)
            matrix = np.frombuffer(b"".join(vector for _, vector in rows), self.shape.stored)
            matrix = matrix.reshape(len(rows), self.shape.dim)
            hot.rids.write(size, [rid for rid, _ in rows])
            hot.matrix.write(size, matrix)
            hot.norms.write(size, row_norms(matrix))
            hot.crcs.write(size, crcs)
            alive = np.concatenate((alive, np.ones(len(rows), np.bool_)))
        return _Hot(hot.rids, hot.matrix, hot.norms, hot.crcs, alive), total


def _found(known: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], Mask]:
    """Return where wanted rids stand among known ones, which rise, and which of them do at all."""
    places = np.searchsorted(known, wanted)
    inside = places < len(known)
    inside[inside] = known[places[inside]] == wanted[inside]
    return places, inside


def _without(alive: Mask, base: int, removed: NDArray[np.int64]) -> Mask:
    """Return a mask of a segment without the removed rows; the same one where none of them is in it."""
    first, end = np.searchsorted(removed, (base, base + len(alive)))
    if first == end:
        return alive
    mask = alive.copy()
    mask[removed[first:end] - base] = False
    return mask
