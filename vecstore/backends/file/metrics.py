"""What each metric means to the ways of searching: its score in float64, and how far faster arithmetic can be off.

A dot product summed in float32, in whatever order, is off by at most γ‖x‖‖q‖ with γ = nu / (1 − nu), where
n is the dimension and u = 2⁻²⁴ (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., §3.1),
and by what underflow swallows. Lower and upper bounds of each score follow. A row whose upper bound is below
the lower bounds of ``k`` others need not be scored in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Intervals = tuple[Doubles, Doubles]
"""The least and the greatest score that something can stand for."""

_UNIT = 2.0**-24
_TINY = 2.0**-126
"""Smaller products may be lost, whether or not the processor keeps subnormal numbers."""
_NORM_ERROR = 1e-11
"""Norms, and the scores that bounds are compared with, are float64 sums: far more exact than this."""


def bound_summation(dim: int) -> float:
    """Return the relative error of a sum of ``dim`` products in float32, and of a query normalised in it."""
    # A tenth more than the theorem asks for covers its denominator up to 16,000 dimensions.
    return 1.1 * (dim + 8) * _UNIT


@dataclass(frozen=True, slots=True)
class DotProducts:
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
    def of(cls, values: Singles, rows: Doubles, queries: Doubles, dim: int) -> DotProducts:
        """Return dot products with their errors."""
        products = np.outer(rows, queries)
        errors = bound_summation(dim) * products + 2 * dim * _TINY
        return cls(values.astype(np.float64), errors, products, rows[:, None], queries[None, :])


@dataclass(frozen=True, slots=True, eq=False)
class EncodedQuery:
    """A query in the form that codes have.

    Attributes
    ----------
    vector : ndarray, shape (1, dim), float32
    norm : float
        Of ``vector``.
    unit : float
        What a distance of FAISS (under l2 its root) is multiplied with to be a score (under l2 a distance).
    """

    vector: Singles
    norm: float
    unit: float


@dataclass(frozen=True, slots=True)
class RoundingError:
    """What holds for all codes of one set: the largest loss by rounding, and the largest norm."""

    residual: float = 0.0
    reach: float = 0.0

    def __or__(self, other: RoundingError) -> RoundingError:
        return RoundingError(max(self.residual, other.residual), max(self.reach, other.reach))


@dataclass(frozen=True, slots=True)
class MetricForm:
    """How one metric is computed.

    Attributes
    ----------
    score_pairs : callable
        Takes vectors, queries, both of shape (n, dim), and their norms, of shape (n,); returns scores in float64.
        Each depends on its own pair alone, so that equal vectors have equal scores. A matrix product, as in
        `vecstore.metric.score_rows`, does not promise that for the last bit.
    bound_products : callable
        Takes `DotProducts`; returns the interval of each score.
    faiss_metric : str
    sign : float
        What makes a larger distance of FAISS a nearer one.
    is_normalised : bool
        Whether FAISS gets rows and queries of the norm 1, or of another one that all share.
    scale_query : callable
        Takes a query in float64 and the exponent of a coding; returns the query in the form of codes, and the unit
        (see `EncodedQuery`).
    bound_codes : callable
        Takes FAISS's distances to codes, the encoded query, the rounding error and the dimension; returns intervals.
    bound_distances : callable
        Takes FAISS's distances to float32 rows, shape (q, n), the norms of the queries, shape (q, 1), the largest
        norm of a row and the relative error; returns intervals.
    """

    score_pairs: Callable[[Doubles, Doubles, Doubles, Doubles], Doubles]
    bound_products: Callable[[DotProducts], Intervals]
    faiss_metric: str
    sign: float
    is_normalised: bool
    scale_query: Callable[[Doubles, int], tuple[Doubles, float]]
    bound_codes: Callable[[Doubles, EncodedQuery, RoundingError, int], Intervals]
    bound_distances: Callable[[Doubles, Doubles, float, float], Intervals]

    def encode_query(self, query: Singles, exponent: int) -> EncodedQuery:
        """Return a query, shape (dim,), in the form of codes with an exponent."""
        formed, unit = self.scale_query(query.astype(np.float64), exponent)
        return EncodedQuery(formed.astype(np.float32)[None, :], math.sqrt(float(formed @ formed)), unit)

    def count_near(self, distances: Sequence[float], query: EncodedQuery, error: RoundingError, k: int) -> int:
        """Return how many of the nearest codes, nearest first, can be among the ``k`` nearest rows."""
        if len(distances) <= k:
            return len(distances)
        # A code whose upper bound is below the lower bound of the k-th is none of the k nearest, nor is any after it.
        floor, _ = self._bound_score(distances[k - 1], query, error)
        few = k
        while few < len(distances) and self._bound_score(distances[few], query, error)[1] >= floor:
            few += 1
        return few

    def _bound_score(self, distance: float, query: EncodedQuery, error: RoundingError) -> tuple[float, float]:
        if not math.isfinite(distance):
            return -math.inf, math.inf
        lower, upper = self.bound_codes(distance, query, error, query.vector.shape[1])  # type: ignore[arg-type]
        return float(lower), float(upper)

    def bound_scores(self, distances: Singles, query: EncodedQuery, error: RoundingError) -> Intervals:
        """Return the least and the greatest score that each of FAISS's distances to codes can stand for.

        A distance that is not finite stands for anything.
        """
        wide = distances.astype(np.float64)
        lower, upper = self.bound_codes(wide, query, error, query.vector.shape[1])
        unknown = ~np.isfinite(wide)
        if unknown.any():
            lower[unknown], upper[unknown] = -np.inf, np.inf
        return lower, upper


# -- scores in float64


def _score_cosine(vectors: Doubles, queries: Doubles, vector_norms: Doubles, query_norms: Doubles) -> Doubles:
    cosines = np.vecdot(vectors, queries) / (vector_norms * query_norms)
    clipped: Doubles = np.minimum(np.maximum(cosines, -1.0), 1.0)
    return clipped


def _score_ip(vectors: Doubles, queries: Doubles, _vector_norms: Doubles, _query_norms: Doubles) -> Doubles:
    products: Doubles = np.vecdot(vectors, queries)
    return products


def _score_l2(vectors: Doubles, queries: Doubles, _vector_norms: Doubles, _query_norms: Doubles) -> Doubles:
    differences = vectors - queries
    distances: Doubles = np.sqrt(np.vecdot(differences, differences))
    return -distances


# -- bounds from dot products in float32


def _bound_cosine(dots: DotProducts) -> Intervals:
    scores = dots.values / dots.products
    errors = dots.errors / dots.products + _NORM_ERROR
    return scores - errors, scores + errors


def _bound_ip(dots: DotProducts) -> Intervals:
    return dots.values - dots.errors, dots.values + dots.errors


def _bound_l2(dots: DotProducts) -> Intervals:
    squares = dots.rows**2 + dots.queries**2
    distances = squares - 2 * dots.values
    errors = 2 * dots.errors + _NORM_ERROR * squares
    return -np.sqrt(np.maximum(distances + errors, 0.0)), -np.sqrt(np.maximum(distances - errors, 0.0))


# -- queries in the form of codes


def _scale_direction(query: Doubles, exponent: int) -> tuple[Doubles, float]:
    return query / math.sqrt(float(query @ query)), math.ldexp(1.0, -exponent)


def _scale_magnitude(query: Doubles, exponent: int) -> tuple[Doubles, float]:
    # The power of two that the largest component stays below; 0 for zero.
    own = -math.frexp(float(np.abs(query).max(initial=0.0)))[1]
    return np.ldexp(query, own), math.ldexp(1.0, -exponent - own)


def _scale_point(query: Doubles, exponent: int) -> tuple[Doubles, float]:
    return np.ldexp(query, exponent), math.ldexp(1.0, -exponent)


# -- bounds from FAISS's distances to codes


def _bound_coded_products(products: Doubles, query: EncodedQuery, error: RoundingError, dim: int) -> Intervals:
    scores = products * query.unit
    errors = query.unit * query.norm * (error.residual + bound_summation(dim) * error.reach)
    return scores - errors, scores + errors


def _bound_coded_squares(squares: Doubles, query: EncodedQuery, error: RoundingError, dim: int) -> Intervals:
    distances = np.sqrt(squares) * query.unit
    errors = query.unit * error.residual + distances * bound_summation(dim)
    return -(distances + errors), -np.maximum(distances - errors, 0.0)


# -- bounds from FAISS's distances to float32 rows


def _bound_plain_products(products: Doubles, norms: Doubles, reach: float, error: float) -> Intervals:
    errors = error * reach * norms
    return products - errors, products + errors


def _bound_plain_squares(squares: Doubles, norms: Doubles, reach: float, error: float) -> Intervals:
    # FAISS computes ‖q‖² + ‖x‖² − 2 q·x.
    errors = 2 * error * (norms + reach) ** 2
    return -np.sqrt(np.maximum(squares + errors, 0.0)), -np.sqrt(np.maximum(squares - errors, 0.0))


METRICS: Mapping[Metric, MetricForm] = MappingProxyType(
    {
        Metric.COSINE: MetricForm(
            _score_cosine, _bound_cosine,
            "METRIC_INNER_PRODUCT", 1.0, True, _scale_direction, _bound_coded_products, _bound_plain_products,
        ),
        Metric.IP: MetricForm(
            _score_ip, _bound_ip,
            "METRIC_INNER_PRODUCT", 1.0, False, _scale_magnitude, _bound_coded_products, _bound_plain_products,
        ),
        Metric.L2: MetricForm(
            _score_l2, _bound_l2,
            "METRIC_L2", -1.0, False, _scale_point, _bound_coded_squares, _bound_plain_squares,
        ),
    }
)  # fmt: skip
