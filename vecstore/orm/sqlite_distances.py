"""Distances between vectors as functions of SQLite, which has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]


def register_distances(connection: Any) -> None:
    """Give a connection to SQLite the functions that compute distances."""
    for name, function in _FUNCTIONS.items():
        connection.create_function(name, 2, function)


def _make_function(measure: Callable[[Wide, Wide], float]) -> Callable[[bytes | None, bytes | None], float | None]:
    def compute(first: bytes | None, second: bytes | None) -> float | None:
        if first is None or second is None:
            return None
        a, b = np.frombuffer(first, "<f4").astype(np.float64), np.frombuffer(second, "<f4").astype(np.float64)
        return float(measure(a, b)) if a.shape == b.shape else None

    return compute


def _measure_cosine(a: Wide, b: Wide) -> float:
    return 1.0 - float(a @ b) / float(np.sqrt((a @ a) * (b @ b)))


_FUNCTIONS: Mapping[str, Callable[[bytes | None, bytes | None], float | None]] = MappingProxyType(
    {
        "vecstore_cosine_distance": _make_function(_measure_cosine),
        "vecstore_l2_distance": _make_function(lambda a, b: float(np.linalg.norm(a - b))),
        "vecstore_ip_distance": _make_function(lambda a, b: -float(a @ b)),
    }
)
