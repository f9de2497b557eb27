"""Every metric in pgvector's words, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from vecstore.metric import Metric


@dataclass(frozen=True, slots=True)
class Distance:
    """What pgvector offers for a metric.

    Attributes
    ----------
    operator : str
        Smaller is nearer.
    opclass : str
        The operator class of an HNSW index, without the type's name before it.
    score : callable
        Scores from the operator's values.
    """

    operator: str
    opclass: str
    score: Callable[[NDArray[Any]], NDArray[Any]]


METRICS: Mapping[Metric, Distance] = MappingProxyType(
    {
        Metric.COSINE: Distance("<=>", "cosine_ops", lambda distances: 1.0 - distances),
        Metric.IP: Distance("<#>", "ip_ops", lambda distances: 0.0 - distances),
        Metric.L2: Distance("<->", "l2_ops", lambda distances: 0.0 - distances),
    }
)
