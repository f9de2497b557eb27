"""When vectors are merged, and which: from sizes alone.

Segments lie in the order of their rids, and hot rows before, between and after them. What is merged is a run of
neighbours, because the ranges of segments must not overlap. A run takes a neighbour in only where that is not larger
than the run itself, so that a row is copied about as often as the store doubles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..state.ledger import Ledger
from .vectors import Vectors


@dataclass(frozen=True, slots=True)
class Policy:
    """When to merge without being asked to.

    Attributes
    ----------
    max_segments, max_hot_rows, max_hot_bytes : int
        More are merged.
    max_dead_share : float
        Of the rows in segments, where at least `min_dead` are dead.
    min_dead : int
    max_removals : int
        So many removals since the last compaction are reason enough to forget those before it.
    """

    max_segments: int = 16
    max_hot_rows: int = 4_096
    max_hot_bytes: int = 64 << 20
    max_dead_share: float = 0.2
    min_dead: int = 1_000
    max_removals: int = 16_384


@dataclass(frozen=True, slots=True)
class Run:
    """What is merged into one segment.

    Attributes
    ----------
    segments : range
        Numbers of segments.
    gaps : range
        The hot rows before the segments of these numbers; the last gap has the number of segments.
    """

    segments: range = range(0)
    gaps: range = range(0)

    @classmethod
    def between(cls, first: int, end: int) -> Run:
        """Return segments ``first`` to ``end``, exclusive, with the hot rows around them."""
        return cls(range(first, end), range(first, end + 1))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows there are.

    Attributes
    ----------
    rows, live : sequence of int
        Of each segment, and how many of them are stored.
    hot : sequence of int
        Before each segment, and after the last.
    row_bytes : int
        The bytes of a vector.
    removals : int
        Since the last compaction.
    """

    rows: Sequence[int]
    live: Sequence[int]
    hot: Sequence[int]
    row_bytes: int
    removals: int

    @classmethod
    def of(cls, vectors: Vectors, ledger: Ledger) -> Sizes:
        """Return the sizes of a state."""
        hot = vectors.hot.rids[vectors.hot.alive]
        gaps = np.searchsorted([segment.row.base for segment in vectors.segments], hot)
        return cls(
            [segment.row.n for segment in vectors.segments],
            [int(np.count_nonzero(alive)) for alive in vectors.alive],
            np.bincount(gaps, minlength=len(vectors.segments) + 1).tolist(),
            vectors.shape.row_bytes,
            removals(ledger),
        )

    @property
    def dead(self) -> int:
        """How many rows in segments were removed."""
        return sum(self.rows) - sum(self.live)

    def of_run(self, run: Run) -> int:
        """Return how many rows a run copies."""
        return sum(self.live[number] for number in run.segments) + sum(self.hot[number] for number in run.gaps)


def everything(sizes: Sizes) -> Run | None:
    """Return the run of all rows, None where they lie in one segment, without dead ones, already."""
    if sizes.dead or len(sizes.rows) > 1 or sum(sizes.hot):
        return Run.between(0, len(sizes.rows))
    return None


def may_be_due(policy: Policy, ledger: Ledger, row_bytes: int) -> bool:
    """Say whether `due` may return something, from what the ledger counts."""
    segments, hot, rows, dead = (ledger.tables[name].count for name in ("segments", "hot", "rows", "dead"))
    return (
        segments > policy.max_segments
        or hot > policy.max_hot_rows
        or hot * row_bytes > policy.max_hot_bytes
        or removals(ledger) > policy.max_removals
        or (dead >= policy.min_dead and dead > policy.max_dead_share * (rows - hot + dead))
    )


def removals(ledger: Ledger) -> int:
    """Return how many there were since the last compaction."""
    return ledger.next["dead"] - max(ledger.compacted[1], 1)


def due(policy: Policy, sizes: Sizes) -> Run | None:
    """Return what is to be merged now, None where nothing is.

    A run without segments and gaps stands for the removals alone, of which some can be forgotten.
    """
    dead, hot = sizes.dead, sum(sizes.hot)
    if dead >= policy.min_dead and dead > policy.max_dead_share * sum(sizes.rows):
        return everything(sizes)
    if len(sizes.rows) > max(policy.max_segments, 1):
        pairs = [Run.between(number, number + 2) for number in range(len(sizes.rows) - 1)]
        return _grown(sizes, min(reversed(pairs), key=sizes.of_run))
    if hot > policy.max_hot_rows or hot * sizes.row_bytes > policy.max_hot_bytes:
        gaps = [Run.between(number, number) for number in range(len(sizes.hot))]
        return _grown(sizes, max(reversed(gaps), key=sizes.of_run))
    return Run() if sizes.removals > policy.max_removals else None


def _grown(sizes: Sizes, run: Run) -> Run:
    """Take neighbours in, the smaller one first, while they are not larger than the run."""
    first, end = run.segments.start, run.segments.stop
    while True:
        wider = []
        if first > 0:
            wider.append(Run.between(first - 1, end))
        if end < len(sizes.rows):
            wider.append(Run.between(first, end + 1))
        best = min(wider, key=sizes.of_run, default=None)
        if best is None or sizes.of_run(best) > 2 * sizes.of_run(run):
            return run
        run = best
        first, end = run.segments.start, run.segments.stop
