"""Recall@k: the share of the exact hits that an approximate search finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TIE = 1e-6


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall@k over a sample of queries.

    Attributes
    ----------
    mean, p5, minimum : float
        From 0 to 1; ``p5`` is the 5th percentile.
    queries : int
        Number of queries; 0 for an empty store, whose recall is 1.
    k : int
    """

    mean: float
    p5: float
    minimum: float
    queries: int
    k: int


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The hits of one search, nearest first.

    Attributes
    ----------
    ids : sequence of str
    scores : ndarray, shape (n,), float64
    exact : bool
    """

    ids: Sequence[str]
    scores: NDArray[np.float64]
    exact: bool


def compute_recall(found: Answer, truth: Answer) -> float:
    """Return the share of the true hits that were found; a hit that ties with the last true one counts as true.

    The tolerance is relative to the score only, because tiny vectors have tiny inner products.
    """
    if not len(truth.ids):
        return 1.0
    worst = float(truth.scores[-1])
    true = set(truth.ids)
    floor = worst - _TIE * abs(worst)
    right = sum(id_ in true or score >= floor for id_, score in zip(found.ids, map(float, found.scores), strict=True))
    return min(1.0, right / len(true))


def summarize_recall(values: Sequence[float], k: int) -> Recall:
    """Return mean, 5th percentile and minimum of the recalls of single queries."""
    if not values:
        return Recall(1.0, 1.0, 1.0, 0, k)
    return Recall(float(np.mean(values)), float(np.percentile(values, 5)), float(min(values)), len(values), k)
