"""Vectors as float16 codes that FAISS scans at half the memory traffic, and how far off its answers can be.

A code is a row of the metric's *form* (scaled by a power of two, under cosine also normalised) rounded to
float16. What the rounding took is measured when a row is coded; what float32 arithmetic adds is bounded as
in `bounds`. So every distance that FAISS returns is an interval of the true score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric

from ..index.duplicates import codes_of
from .bounds import Doubles, summation_error
from .faiss_threads import alone

Singles = NDArray[np.float32]

_ROOM = 8
"""The largest component of the first rows becomes less than 2 to this power: float16 ends at 2¹⁶ and loses
precision below 2⁻¹⁴."""
_LIMIT = 60_000.0
_MEASURED = 1.01
"""Residuals and norms are measured in float32."""
_CHUNK = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A query in the form that codes have.

    Attributes
    ----------
    vector : ndarray, shape (1, dim), float32
    norm : float
        Of ``vector``.
    unit : float
        What a distance of FAISS is multiplied with (under l2 its root) to be a score or a distance.
    """

    vector: Singles
    norm: float
    unit: float


@dataclass(frozen=True, slots=True)
class Slack:
    """What is known of all codes: the largest loss by rounding, and the largest norm."""

    residual: float = 0.0
    reach: float = 0.0

    def __or__(self, other: Slack) -> Slack:
        return Slack(max(self.residual, other.residual), max(self.reach, other.reach))


Intervals = tuple[Doubles, Doubles]


@dataclass(frozen=True, slots=True)
class _Form:
    faiss_metric: str
    normalised: bool
    query: Callable[[Doubles, int], tuple[Doubles, float]]
    """Takes a query and the exponent; returns it in form, and the unit."""
    intervals: Callable[[Doubles, Question, Slack, int], Intervals]
    """Takes distances; returns the least and the greatest score that each can stand for."""


def _direction(query: Doubles, exponent: int) -> tuple[Doubles, float]:
    return query / math.sqrt(float(query @ query)), math.ldexp(1.0, -exponent)


def _magnitude(query: Doubles, exponent: int) -> tuple[Doubles, float]:
    own = -_exponent(float(np.abs(query).max(initial=0.0)))
    return np.ldexp(query, own), math.ldexp(1.0, -exponent - own)


def _point(query: Doubles, exponent: int) -> tuple[Doubles, float]:
    return np.ldexp(query, exponent), math.ldexp(1.0, -exponent)


def _of_products(products: Doubles, question: Question, slack: Slack, dim: int) -> Intervals:
    scores = products * question.unit
    error = question.unit * question.norm * (slack.residual + summation_error(dim) * slack.reach)
    return scores - error, scores + error


def _of_squares(squares: Doubles, question: Question, slack: Slack, dim: int) -> Intervals:
    distances = np.sqrt(squares) * question.unit
    errors = question.unit * slack.residual + distances * summation_error(dim)
    return -(distances + errors), -np.maximum(distances - errors, 0.0)


_FORMS: Mapping[Metric, _Form] = MappingProxyType(
    {
        Metric.COSINE: _Form("METRIC_INNER_PRODUCT", True, _direction, _of_products),
        Metric.IP: _Form("METRIC_INNER_PRODUCT", False, _magnitude, _of_products),
        Metric.L2: _Form("METRIC_L2", False, _point, _of_squares),
    }
)


@dataclass(frozen=True, slots=True)
class Coding:
    """How the vectors of one set of codes become codes."""

    metric: Metric
    dim: int
    exponent: int

    @classmethod
    def fitting(cls, metric: Metric, dim: int, largest: float) -> Coding:
        """Return the coding for vectors whose components are at most ``largest``."""
        if _FORMS[metric].normalised:
            return cls(metric, dim, _ROOM)
        return cls(metric, dim, _ROOM - _exponent(largest))

    @property
    def is_normalised(self) -> bool:
        """Whether all rows in form have the same norm."""
        return _FORMS[self.metric].normalised

    @property
    def faiss_metric(self) -> int:
        """FAISS's number of the metric that codes are compared by."""
        import faiss

        return int(getattr(faiss, _FORMS[self.metric].faiss_metric))

    def scanner(self) -> Any:
        """Return an empty index of FAISS's for codes."""
        import faiss

        return faiss.IndexScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16, self.faiss_metric)

    def fits(self, vectors: NDArray[Any]) -> bool:
        """Say whether no component is too large for this coding."""
        return _FORMS[self.metric].normalised or math.ldexp(largest(vectors), self.exponent) <= _LIMIT

    def form(self, vectors: NDArray[Any], norms: Doubles) -> Singles:
        """Return vectors, shape (n, dim), of known norms, in form."""
        rows = np.asarray(vectors, np.float32)
        if not _FORMS[self.metric].normalised:
            return np.ldexp(rows, self.exponent)
        # In two steps: the inverse of a tiny norm is no float32.
        own = np.frexp(norms)[1]
        factors = np.ldexp(1.0, self.exponent + own) / norms
        formed: Singles = np.ldexp(rows, -own[:, None]) * factors.astype(np.float32)[:, None]
        return formed

    def question(self, query: Singles) -> Question:
        """Return a query, shape (dim,), in form."""
        formed, unit = _FORMS[self.metric].query(query.astype(np.float64), self.exponent)
        return Question(formed.astype(np.float32)[None, :], math.sqrt(float(formed @ formed)), unit)

    def intervals(self, distances: Singles, question: Question, slack: Slack) -> Intervals:
        """Return the least and the greatest score that FAISS's distances can stand for.

        A distance that is not finite stands for anything.
        """
        wide = distances.astype(np.float64)
        lower, upper = _FORMS[self.metric].intervals(wide, question, slack, self.dim)
        unknown = ~np.isfinite(wide)
        if unknown.any():
            lower[unknown], upper[unknown] = -np.inf, np.inf
        return lower, upper

    def slack(self, quantizer: Any, formed: Singles) -> Slack:
        """Measure what coding takes from rows in form."""
        found = Slack()
        for start in range(0, len(formed), _CHUNK):
            rows = formed[start : start + _CHUNK]
            coded = quantizer.sa_decode(quantizer.sa_encode(rows))
            found |= Slack(_largest_norm(rows - coded), _largest_norm(coded))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Coded rows.

    Attributes
    ----------
    coding : Coding
    scanner : faiss.IndexScalarQuantizer
        Never changed once it is here: FAISS may search it from several threads.
    slack : Slack
    """

    coding: Coding
    scanner: Any
    slack: Slack

    def __len__(self) -> int:
        return int(self.scanner.ntotal)

    @property
    def width(self) -> int:
        """The bytes of one code."""
        return int(self.scanner.code_size)

    @property
    def size(self) -> int:
        """The bytes of all codes."""
        return len(self) * self.width

    def taken(self, places: NDArray[np.int64]) -> Codes:
        """Return copies of some codes."""
        scanner = self.coding.scanner()
        scanner.add_sa_codes(codes_of(self.scanner)[places])
        return Codes(self.coding, scanner, self.slack)

    @classmethod
    def of(cls, metric: Metric, vectors: NDArray[Any], norms: Doubles) -> Codes:
        """Code some vectors, shape (n, dim), of known norms."""
        coding = Coding.fitting(metric, vectors.shape[1], largest(vectors))
        scanner = coding.scanner()
        slack = Slack()
        for start in range(0, len(vectors), _CHUNK):
            formed = coding.form(vectors[start : start + _CHUNK], norms[start : start + _CHUNK])
            scanner.add(formed)
            slack |= coding.slack(scanner, formed)
        return cls(coding, scanner, slack)

    def search(self, question: Question, k: int, selector: Any) -> tuple[NDArray[np.int64], Singles]:
        """Return the places of the k nearest codes among those selected, None for all, and FAISS's distances."""
        import faiss

        parameters = None if selector is None else faiss.SearchParameters(sel=selector)
        with alone():
            distances, places = self.scanner.search(question.vector, k, params=parameters)
        return places[0], distances[0]

    def interpreted(
        self, question: Question, places: NDArray[np.int64], distances: Singles
    ) -> tuple[NDArray[np.int64], Doubles, Doubles]:
        """Return the places that were found, and the intervals that the distances stand for."""
        found = places >= 0
        lower, upper = self.coding.intervals(distances[found], question, self.slack)
        return places[found], lower, upper


def largest(vectors: NDArray[Any]) -> float:
    """Return the largest component, without its sign."""
    return max(abs(float(vectors.max(initial=0.0))), abs(float(vectors.min(initial=0.0))))


def _largest_norm(rows: Singles) -> float:
    return _MEASURED * math.sqrt(float(np.einsum("ij,ij->i", rows, rows).max(initial=0.0)))


def _exponent(value: float) -> int:
    """Return the power of two that a number stays below, 0 for zero."""
    return math.frexp(value)[1]
