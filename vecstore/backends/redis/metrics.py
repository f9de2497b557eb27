"""How each metric is called in Redis, what a query becomes for it, and what its distance says.

All arithmetic is the engine's, in float32. Its inner product is 1 − a·b, which is 1 for everything among tiny vectors;
so a query is lengthened by a power of two, until the 1 no longer matters, and the score divided by it again.
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
    """A metric as the engine has it.

    Attributes
    ----------
    name : str
    lengths : mapping of str to int or None
        For each dtype the power of two that a query's length is brought to; None where it stays as it is.
    score : callable
        From the engine's distances and the query's factor to scores.
    """

    name: str
    lengths: Lengths
    score: Callable[[Float64Array, float], Float64Array]


def _of_cosine(distances: Float64Array, factor: float) -> Float64Array:
    return np.minimum(1.0, np.maximum(-1.0, 1.0 - distances))


def _of_product(distances: Float64Array, factor: float) -> Float64Array:
    return (1.0 - distances) / factor


def _of_square(distances: Float64Array, factor: float) -> Float64Array:
    found: Float64Array = 0.0 - np.sqrt(np.maximum(distances, 0.0))
    return found


METRICS: Mapping[Metric, EngineMetric] = MappingProxyType(
    {
        Metric.COSINE: EngineMetric("COSINE", _UNIT, _of_cosine),
        Metric.IP: EngineMetric("IP", _LONG, _of_product),
        Metric.L2: EngineMetric("L2", _SAME, _of_square),
    }
)


def prepared(metric: Metric, dtype: str, query: NDArray[np.float32]) -> tuple[bytes, float]:
    """Return a query as the engine gets it, and the factor by which it was lengthened."""
    power = METRICS[metric].lengths[dtype]
    if power is None:
        return query.astype(dtype).tobytes(), 1.0
    wide = query.astype(np.float64)
    length = float(np.linalg.norm(wide))
    factor = math.ldexp(1.0, power - math.frexp(length)[1]) if length else 1.0
    return (wide * factor).astype(dtype).tobytes(), factor
