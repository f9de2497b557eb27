"""Which vectors are merged, and when, decided from sizes alone.

Segments are in the order of their rids, with memtable rows before, between and after them. Only neighbours are
merged, because the ranges of segments must not overlap. A merge takes in a neighbour only if that is not larger
than the merge itself, so that a row is copied about as often as the store doubles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..state.ledger import Ledger
from .vectors import Vectors


@dataclass(frozen=True, slots=True)
class CompactionPolicy:
    """When to merge without being asked to.

    Attributes
    ----------
    max_segments, max_memtable_rows, max_memtable_bytes : int
        More are merged.
    max_dead_share : float
        Of the rows in segments, where at least `min_dead` are dead.
    min_dead : int
    max_removals : int
        With more removals since the last compaction, those before it are forgotten.
    """

    max_segments: int = 16
    max_memtable_rows: int = 4_096
    max_memtable_bytes: int = 64 << 20
    max_dead_share: float = 0.2
    min_dead: int = 1_000
    max_removals: int = 16_384


@dataclass(frozen=True, slots=True)
class MergeRange:
    """What is merged into one segment.

    Attributes
    ----------
    segments : range
        Numbers of segments.
    gaps : range
        The memtable rows before the segments of these numbers; the last gap has the number of segments.
    """

    segments: range = range(0)
    gaps: range = range(0)

    @classmethod
    def cover(cls, first: int, end: int) -> MergeRange:
        """Return segments ``first`` to ``end``, exclusive, with the memtable rows around them."""
        return cls(range(first, end), range(first, end + 1))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows there are.

    Attributes
    ----------
    rows, live : sequence of int
        The rows of each segment, and how many of them are stored.
    memtable : sequence of int
        The rows of the memtable before each segment, and after the last.
    row_bytes : int
        The size of a vector in bytes.
    removals : int
        Since the last compaction.
    """

    rows: Sequence[int]
    live: Sequence[int]
    memtable: Sequence[int]
    row_bytes: int
    removals: int

    @classmethod
    def measure(cls, vectors: Vectors, ledger: Ledger) -> Sizes:
        """Return the sizes of a state."""
        memtable = vectors.memtable.rids[vectors.memtable.alive]
        gaps = np.searchsorted([segment.row.base for segment in vectors.segments], memtable)
        return cls(
            [segment.row.n for segment in vectors.segments],
            [int(np.count_nonzero(alive)) for alive in vectors.alive],
            np.bincount(gaps, minlength=len(vectors.segments) + 1).tolist(),
            vectors.shape.row_bytes,
            count_removals(ledger),
        )

    @property
    def dead(self) -> int:
        """How many rows in segments were removed."""
        return sum(self.rows) - sum(self.live)

    def count_rows(self, merge_range: MergeRange) -> int:
        """Return how many rows merging a range copies."""
        return sum(self.live[number] for number in merge_range.segments) + sum(
            self.memtable[number] for number in merge_range.gaps
        )


def select_all(sizes: Sizes) -> MergeRange | None:
    """Return the range of all rows, None if they are already in one segment without dead rows."""
    if sizes.dead or len(sizes.rows) > 1 or sum(sizes.memtable):
        return MergeRange.cover(0, len(sizes.rows))
    return None


def may_be_due(policy: CompactionPolicy, ledger: Ledger, row_bytes: int) -> bool:
    """Say whether `select_due` may return something, from the counts in the ledger."""
    segments, memtable, dead = (ledger.tables[name].count for name in ("segments", "hot", "dead"))
    rows = ledger.vectors
    return (
        segments > policy.max_segments
        or memtable > policy.max_memtable_rows
        or memtable * row_bytes > policy.max_memtable_bytes
        or count_removals(ledger) > policy.max_removals
        or (dead >= policy.min_dead and dead > policy.max_dead_share * (rows - memtable + dead))
    )


def count_removals(ledger: Ledger) -> int:
    """Return how many rows were removed since the last compaction."""
    return ledger.next["dead"] - max(ledger.compacted[1], 1)


def select_due(policy: CompactionPolicy, sizes: Sizes) -> MergeRange | None:
    """Return the range to merge now, None if there is none.

    A range without segments and gaps means that only old removals are to be forgotten.
    """
    dead, memtable = sizes.dead, sum(sizes.memtable)
    if dead >= policy.min_dead and dead > policy.max_dead_share * sum(sizes.rows):
        return select_all(sizes)
    if len(sizes.rows) > max(policy.max_segments, 1):
        pairs = [MergeRange.cover(number, number + 2) for number in range(len(sizes.rows) - 1)]
        return _widen(sizes, min(reversed(pairs), key=sizes.count_rows))
    if memtable > policy.max_memtable_rows or memtable * sizes.row_bytes > policy.max_memtable_bytes:
        gaps = [MergeRange.cover(number, number) for number in range(len(sizes.memtable))]
        return _widen(sizes, max(reversed(gaps), key=sizes.count_rows))
    return MergeRange() if sizes.removals > policy.max_removals else None


def _widen(sizes: Sizes, merge_range: MergeRange) -> MergeRange:
    """Add neighbours to a range, the smaller one first, while each is no larger than the range."""
    first, end = merge_range.segments.start, merge_range.segments.stop
    while True:
        wider = []
        if first > 0:
            wider.append(MergeRange.cover(first - 1, end))
        if end < len(sizes.rows):
            wider.append(MergeRange.cover(first, end + 1))
        best = min(wider, key=sizes.count_rows, default=None)
        if best is None or sizes.count_rows(best) > 2 * sizes.count_rows(merge_range):
            return merge_range
        merge_range = best
        first, end = merge_range.segments.start, merge_range.segments.stop
