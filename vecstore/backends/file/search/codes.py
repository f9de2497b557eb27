"""Vectors as float16 codes, which FAISS scans at half the memory traffic, and how far off its answers can be.

A code is a row in the form of its metric (scaled by a power of two, under cosine also normalised), rounded to
float16. The loss by rounding is measured when a row is encoded; the error of float32 arithmetic is bounded as
in `metrics`. So each distance that FAISS returns is an interval of the true score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric

from ..index.duplicates import view_codes
from ..metrics import METRICS, Doubles, RoundingError, Singles

_EXPONENT = 8
"""The largest component of the first rows becomes less than 2 to this power: float16 ends at 2¹⁶ and loses
precision below 2⁻¹⁴."""
_LIMIT = 60_000.0
_MEASURED = 1.01
"""Residuals and norms are measured in float32, which adds less than this factor."""
_CHUNK = 4_096


@dataclass(frozen=True, slots=True)
class Coding:
    """How the vectors of one set of codes become codes."""

    metric: Metric
    dim: int
    exponent: int

    @classmethod
    def fit(cls, metric: Metric, dim: int, largest: float) -> Coding:
        """Return the coding for vectors whose components are at most ``largest``."""
        if METRICS[metric].is_normalised:
            return cls(metric, dim, _EXPONENT)
        # The power of two that the largest component stays below; 0 for zero.
        return cls(metric, dim, _EXPONENT - math.frexp(largest)[1])

    @property
    def is_normalised(self) -> bool:
        """Whether all rows in form have the same norm."""
        return METRICS[self.metric].is_normalised

    @property
    def faiss_metric(self) -> int:
        """FAISS's number of the metric that codes are compared by."""
        import faiss

        return int(getattr(faiss, METRICS[self.metric].faiss_metric))

    def make_scanner(self) -> Any:
        """Return an empty FAISS index for codes."""
        import faiss

        return faiss.IndexScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16, self.faiss_metric)

    def fits(self, vectors: NDArray[Any]) -> bool:
        """Say whether no component is too large for this coding."""
        return METRICS[self.metric].is_normalised or math.ldexp(find_largest(vectors), self.exponent) <= _LIMIT

    def form(self, vectors: NDArray[Any], norms: Doubles) -> Singles:
        """Return vectors, shape (n, dim), of known norms, in form."""
        rows = np.asarray(vectors, np.float32)
        if not METRICS[self.metric].is_normalised:
            return np.ldexp(rows, self.exponent)
        # In two steps: the inverse of a tiny norm is no float32.
        own = np.frexp(norms)[1]
        factors = np.ldexp(1.0, self.exponent + own) / norms
        formed: Singles = np.ldexp(rows, -own[:, None]) * factors.astype(np.float32)[:, None]
        return formed

    def measure_error(self, quantizer: Any, formed: Singles) -> RoundingError:
        """Measure what rows in form lose by rounding to codes."""
        found = RoundingError()
        for start in range(0, len(formed), _CHUNK):
            rows = formed[start : start + _CHUNK]
            coded = quantizer.sa_decode(quantizer.sa_encode(rows))
            found |= RoundingError(_bound_norm(rows - coded), _bound_norm(coded))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Coded rows.

    Attributes
    ----------
    coding : Coding
    scanner : faiss.IndexScalarQuantizer
        Never changed: FAISS may search it in several threads.
    error : RoundingError
        The largest of all rows.
    """

    coding: Coding
    scanner: Any
    error: RoundingError

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

    def copy_some(self, places: NDArray[np.int64]) -> Codes:
        """Return copies of the codes at some places."""
        scanner = self.coding.make_scanner()
        scanner.add_sa_codes(view_codes(self.scanner)[places])
        return Codes(self.coding, scanner, self.error)

    @classmethod
    def encode(cls, metric: Metric, vectors: NDArray[Any], norms: Doubles) -> Codes:
        """Encode vectors, shape (n, dim), of known norms."""
        coding = Coding.fit(metric, vectors.shape[1], find_largest(vectors))
        scanner = coding.make_scanner()
        error = RoundingError()
        for start in range(0, len(vectors), _CHUNK):
            formed = coding.form(vectors[start : start + _CHUNK], norms[start : start + _CHUNK])
            scanner.add(formed)
            error |= coding.measure_error(scanner, formed)
        return cls(coding, scanner, error)


def find_largest(vectors: NDArray[Any]) -> float:
    """Return the largest component, without its sign."""
    return max(abs(float(vectors.max(initial=0.0))), abs(float(vectors.min(initial=0.0))))


def _bound_norm(rows: Singles) -> float:
    return _MEASURED * math.sqrt(float(np.einsum("ij,ij->i", rows, rows).max(initial=0.0)))
