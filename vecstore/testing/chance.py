"""Bounds that chance alone crosses in fewer than one of ten thousand runs of all tests together.

A run has fewer than a hundred tests whose outcome depends on chance, so each of them may fail a right backend once in
a million runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt

import numpy as np

ALARM = 1e-6
"""The chance of a false alarm in one test."""
_DEVIATIONS = 4.76
"""A normal variable is less likely than `ALARM` to be this many standard deviations below its mean."""
_FEW = 5
"""One in twenty answers of a good index misses a hit. So many of them, one after another, are rarer than `ALARM`."""


def fewest_hits(trials: int, share: float) -> int:
    """Return the fewest hits to accept of independent trials of which ``share`` hit: the binomial quantile."""
    below = 0.0
    for hits in range(trials + 1):
        below += comb(trials, hits) * share**hits * (1 - share) ** (trials - hits)
        if below > ALARM:
            return hits
    return trials


def lowest_mean(values: Sequence[float], mean: float) -> float:
    """Return the lowest mean to accept of shares whose expectation is ``mean``, by their own standard error.

    Very few shares may be equal by chance, and then have none: no more is asked of them than of hits and misses, which
    spread more than all other shares of the same expectation.
    """
    if not values:
        return mean
    lowest = mean - _DEVIATIONS * float(np.std(values)) / sqrt(len(values))
    return min(lowest, fewest_hits(len(values), mean) / len(values)) if len(values) < _FEW else lowest
