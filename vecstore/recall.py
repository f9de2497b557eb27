"""Recall@k: what an approximate search finds of what an exact one finds."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .records import Hits, Record

SEED = 20_260
_TIE = 1e-6


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall@k over a sample of queries.

    Attributes
    ----------
    mean, p5, minimum : float
        From 0 to 1; ``p5`` is the 5th percentile.
    queries : int
        How many queries were asked; 0 for an empty store, whose recall is 1.
    k : int
    """

    mean: float
    p5: float
    minimum: float
    queries: int
    k: int


def sample(records: Iterable[Record], size: int) -> list[Record]:
    """Draw records uniformly from a stream (reservoir sampling, Vitter's algorithm R), always the same ones."""
    chosen: list[Record] = []
    draw = random.Random(SEED)  # noqa: S311 - a sample, not a secret
    for number, record in enumerate(records):
        if len(chosen) < size:
            chosen.append(record)
            continue
        place = draw.randrange(number + 1)
        if place < size:
            chosen[place] = record
    return chosen


def of_answer(found: Hits, truth: Hits) -> float:
    """Return the share of the true hits that were found; a hit as near as the last true one counts as true."""
    if not len(truth):
        return 1.0
    worst = truth[-1].score
    floor = worst - _TIE * max(1.0, abs(worst))
    return min(1.0, sum(hit.score >= floor for hit in found) / len(truth))


def summary(values: Sequence[float], k: int) -> Recall:
    """Return mean, 5th percentile and minimum of the recalls of single queries."""
    if not values:
        return Recall(1.0, 1.0, 1.0, 0, k)
    return Recall(float(np.mean(values)), float(np.percentile(values, 5)), float(min(values)), len(values), k)
