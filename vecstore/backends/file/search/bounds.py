"""How far a score can be from what float32 arithmetic says, and the score itself in float64.

A dot product summed in float32, in whatever order, is off by at most γ‖x‖‖q‖ with γ = nu / (1 − nu), where
n is the dimension and u = 2⁻²⁴ (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., §3.1),
and by what underflow swallows. So upper and lower bounds follow for each metric, and a row whose upper
bound is below what k others have for certain need not be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric

Doubles = NDArray[np.float64]

_UNIT = 2.0**-24
_TINY = 2.0**-126
"""Products below it may be lost, whether or not the processor keeps subnormal numbers."""
_NORM_SLACK = 1e-11
"""Norms, and the scores that bounds are compared with, are float64 sums: far more exact than this."""


def summation_error(dim: int) -> float:
    """Return the relative error of a sum of ``dim`` products in float32, and of a query normalised in it."""
    # A tenth more than the theorem asks for covers its denominator up to 16,000 dimensions.
    return 1.1 * (dim + 8) * _UNIT


@dataclass(frozen=True, slots=True)
class Dots:
    """Dot products of rows and queries as float32 arithmetic gives them, and how far off they can be.

    Attributes
    ----------
    values : ndarray, shape (rows, queries)
    errors : ndarray, shape (rows, queries)
    products : ndarray, shape (rows, queries)
        Products of the norms.
    rows, queries : ndarray, shapes (rows, 1) and (1, queries)
        The norms.
    """

    values: Doubles
    errors: Doubles
    products: Doubles
    rows: Doubles
    queries: Doubles

    @classmethod
    def of(cls, values: NDArray[np.float32], rows: Doubles, queries: Doubles, dim: int) -> Dots:
        """Return dot products with their errors."""
        products = np.outer(rows, queries)
        errors = summation_error(dim) * products + 2 * dim * _TINY
        return cls(values.astype(np.float64), errors, products, rows[:, None], queries[None, :])


Bounds = Callable[[Dots], tuple[Doubles, Doubles]]
Scores = Callable[[Doubles, Doubles, Doubles, Doubles], Doubles]


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a scan needs to know about a metric.

    Attributes
    ----------
    bounds : callable
        Takes `Dots`, returns the least and the greatest score that each row can have.
    scores : callable
        Takes vectors, queries, both of shape (n, dim), and their norms, of shape (n,); returns scores.
        Each depends on its own pair alone, so that equal vectors have equal scores.
    """

    bounds: Bounds
    scores: Scores


def _dots(vectors: Doubles, queries: Doubles) -> Doubles:
    dots: Doubles = np.einsum("ij,ij->i", vectors, queries)
    return dots


def _cosine_bounds(dots: Dots) -> tuple[Doubles, Doubles]:
    scores = dots.values / dots.products
    errors = dots.errors / dots.products + _NORM_SLACK
    return scores - errors, scores + errors


def _cosine(vectors: Doubles, queries: Doubles, vector_norms: Doubles, query_norms: Doubles) -> Doubles:
    cosines = _dots(vectors, queries) / (vector_norms * query_norms)
    return np.minimum(np.maximum(cosines, -1.0), 1.0)


def _ip_bounds(dots: Dots) -> tuple[Doubles, Doubles]:
    return dots.values - dots.errors, dots.values + dots.errors


def _ip(vectors: Doubles, queries: Doubles, _vector_norms: Doubles, _query_norms: Doubles) -> Doubles:
    return _dots(vectors, queries)


def _l2_bounds(dots: Dots) -> tuple[Doubles, Doubles]:
    squares = dots.rows**2 + dots.queries**2
    distances = squares - 2 * dots.values
    errors = 2 * dots.errors + _NORM_SLACK * squares
    return -np.sqrt(np.maximum(distances + errors, 0.0)), -np.sqrt(np.maximum(distances - errors, 0.0))


def _l2(vectors: Doubles, queries: Doubles, _vector_norms: Doubles, _query_norms: Doubles) -> Doubles:
    differences = vectors - queries
    return -np.sqrt(_dots(differences, differences))


METRICS: Mapping[Metric, Scoring] = MappingProxyType(
    {
        Metric.COSINE: Scoring(_cosine_bounds, _cosine),
        Metric.IP: Scoring(_ip_bounds, _ip),
        Metric.L2: Scoring(_l2_bounds, _l2),
    }
)
