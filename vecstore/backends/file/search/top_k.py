"""The best rows so far: of one query, or of several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..metrics import Doubles

_TIES = 65_536
"""At most this many tied rows are kept before ids decide which of them stay."""

Answer = tuple[NDArray[np.int64], Doubles]
"""Rids and scores of one query, in no particular order: the k best, and those that tie with the last of them."""


class TopK:
    """Keeps the ``k`` best rows of each query, and those that tie with the last of them.

    Parameters
    ----------
    queries : int
    k : int
    ids_of : callable, optional
        Returns the ids of rids. Without it, no ties are broken.
    """

    def __init__(
        self, queries: int, k: int, ids_of: Callable[[NDArray[np.int64]], Sequence[str]] | None = None
    ) -> None:
        self.k = k
        self.floors = np.full(queries, -np.inf)
        """The score that a row needs to be among the best of each query."""
        self._ids_of = ids_of
        self._owners = np.empty(0, np.int64)
        self._rids = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float64)

    def offer(self, owners: NDArray[np.int64], rids: NDArray[np.int64], scores: Doubles) -> None:
        """Take in rows: the number of the query, the rid, the score."""
        owners = np.concatenate((self._owners, owners))
        rids = np.concatenate((self._rids, rids))
        scores = np.concatenate((self._scores, scores))
        order = np.lexsort((-scores, owners))
        owners, rids, scores = owners[order], rids[order], scores[order]
        starts = np.searchsorted(owners, np.arange(len(self.floors) + 1))
        full = np.flatnonzero(np.diff(starts) >= self.k)
        self.floors[full] = scores[starts[full] + self.k - 1]
        keep = scores >= self.floors[owners]
        self._owners, self._rids, self._scores = owners[keep], rids[keep], scores[keep]
        if len(self._rids) > len(self.floors) * self.k + _TIES:
            self._break_ties()

    def list_answers(self) -> list[Answer]:
        """Return rids and scores for each query, at most ``k`` where ties are broken."""
        self._break_ties()
        starts = np.searchsorted(self._owners, np.arange(len(self.floors) + 1))
        return [(self._rids[start:end], self._scores[start:end]) for start, end in pairwise(starts.tolist())]

    def _break_ties(self) -> None:
        """Leave each query at most ``k`` rows; of those that tie for the last places, keep the smallest ids."""
        if self._ids_of is None:
            return
        starts = np.searchsorted(self._owners, np.arange(len(self.floors) + 1))
        keep = np.ones(len(self._rids), np.bool_)
        for query in np.flatnonzero(np.diff(starts) > self.k):
            start, end = int(starts[query]), int(starts[query + 1])
            tied = start + np.flatnonzero(self._scores[start:end] == self.floors[query])
            places = self.k - (int(tied[0]) - start)
            ids = self._ids_of(self._rids[tied])
            order = sorted(range(len(tied)), key=ids.__getitem__)
            keep[tied[order[places:]]] = False
        self._owners, self._rids, self._scores = self._owners[keep], self._rids[keep], self._scores[keep]
