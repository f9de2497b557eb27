"""The definitions of distance and score. Every backend is tested against them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]


class Metric(StrEnum):
    """How near two vectors are. A larger score and a smaller distance always mean nearer.

    ======== ============== ============ ================
    metric   distance       score        range of scores
    ======== ============== ============ ================
    cosine   1 − cos(a, b)  cos(a, b)    −1 to 1
    ip       −a·b           a·b          all numbers
    l2       √Σ(a − b)²     −distance    0 and below
    ======== ============== ============ ================
    """

    COSINE = "cosine"
    IP = "ip"
    L2 = "l2"

    @property
    def score_range(self) -> tuple[float, float]:
        """The smallest and the largest score that two vectors can have."""
        return _RANGES[self]

    def distance(self, score: float) -> float:
        """Return the distance for a score."""
        return (1.0 if self is Metric.COSINE else 0.0) - score


def _score_cosine(vectors: Float64Array, query: Float64Array) -> Float64Array:
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    cosines: Float64Array = np.clip(vectors @ query / norms, -1.0, 1.0)
    return cosines


def _score_inner_product(vectors: Float64Array, query: Float64Array) -> Float64Array:
    product: Float64Array = vectors @ query
    return product


def _score_l2(vectors: Float64Array, query: Float64Array) -> Float64Array:
    distances: Float64Array = np.linalg.norm(vectors - query, axis=1)
    return 0.0 - distances  # not -distances, so that no score is -0.0


_RANGES: Mapping[Metric, tuple[float, float]] = MappingProxyType(
    {Metric.COSINE: (-1.0, 1.0), Metric.IP: (-math.inf, math.inf), Metric.L2: (-math.inf, 0.0)}
)

_SCORES: Mapping[Metric, Callable[[Float64Array, Float64Array], Float64Array]] = MappingProxyType(
    {Metric.COSINE: _score_cosine, Metric.IP: _score_inner_product, Metric.L2: _score_l2}
)


def score_rows(metric: Metric, vectors: NDArray[Any], query: NDArray[Any]) -> NDArray[np.float64]:
    """Score every row of ``vectors`` against ``query``, in float64.

    Parameters
    ----------
    metric : Metric
    vectors : ndarray, shape (n, dim)
        The stored values, in any float dtype.
    query : ndarray, shape (dim,)

    Returns
    -------
    ndarray, shape (n,), float64
        Larger is nearer.
    """
    return _SCORES[metric](np.asarray(vectors, np.float64), np.asarray(query, np.float64))
