"""The engine's metrics: their names, how a query is encoded, and how a distance becomes a score.

The engine computes in float32. Its inner product is 1 − a·b, which is 1 for all pairs of tiny vectors. A query is
therefore lengthened by a power of two until the 1 no longer matters, and the score is divided by the same factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric

Float64Array = NDArray[np.float64]

Lengths = Mapping[str, int | None]
_SAME: Lengths = MappingProxyType({"float32": None, "float16": None})
_UNIT: Lengths = MappingProxyType({"float32": None, "float16": 0})
_LONG: Lengths = MappingProxyType({"float32": 60, "float16": 6})


@dataclass(frozen=True, slots=True)
class EngineMetric:
    """A metric of the engine.

    Attributes
    ----------
    name : str
    lengths : mapping of str to int or None
        The power of two that a query's length is scaled to, by dtype; None if it is not scaled.
    score : callable
        From the engine's distances and the query's factor to scores.
    """

    name: str
    lengths: Lengths
    score: Callable[[Float64Array, float], Float64Array]


def _score_cosine(distances: Float64Array, factor: float) -> Float64Array:
    return np.minimum(1.0, np.maximum(-1.0, 1.0 - distances))


def _score_product(distances: Float64Array, factor: float) -> Float64Array:
    return (1.0 - distances) / factor


def _score_square(distances: Float64Array, factor: float) -> Float64Array:
    found: Float64Array = 0.0 - np.sqrt(np.maximum(distances, 0.0))
    return found


METRICS: Mapping[Metric, EngineMetric] = MappingProxyType(
    {
        Metric.COSINE: EngineMetric("COSINE", _UNIT, _score_cosine),
        Metric.IP: EngineMetric("IP", _LONG, _score_product),
        Metric.L2: EngineMetric("L2", _SAME, _score_square),
    }
)


def encode_query(metric: Metric, dtype: str, query: NDArray[np.float32]) -> tuple[bytes, float]:
    """Return the bytes of a query and the factor by which it was lengthened."""
    power = METRICS[metric].lengths[dtype]
    if power is None:
        return query.astype(dtype).tobytes(), 1.0
    wide = query.astype(np.float64)
    length = float(np.linalg.norm(wide))
    factor = math.ldexp(1.0, power - math.frexp(length)[1]) if length else 1.0
    return (wide * factor).astype(dtype).tobytes(), factor
