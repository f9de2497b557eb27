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


def fewest_hits(trials: int, share: float) -> int:
    """Return the fewest hits to accept of independent trials of which ``share`` hit: the binomial quantile."""
    below = 0.0
    for hits in range(trials + 1):
        below += comb(trials, hits) * share**hits * (1 - share) ** (trials - hits)
        if below > ALARM:
            return hits
    return trials


def lowest_mean(values: Sequence[float], mean: float) -> float:
    """Return the lowest mean to accept of a sample whose expectation is ``mean``, by its own standard error."""
    if not values:
        return mean
    return mean - _DEVIATIONS * float(np.std(values)) / sqrt(len(values))
