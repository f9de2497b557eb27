"""Rotation: probes are near stored vectors, not on them, because a graph finds its own nodes' neighbours too easily."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..metric import Metric
from ..rows.vectors import compute_norms

NEIGHBOUR = 50
"""The neighbour that a near probe turns away from: of the same cluster where there are clusters, and no copy."""
NEAR, FAR = "near probes", "far probes"
SHARES: Mapping[str, float] = MappingProxyType({NEAR: -1.0, FAR: 2 / 5})
"""How much of the way a probe turns: near ones away from a neighbour, far ones towards a stranger."""
KINDS: Mapping[Metric, tuple[str, ...]] = MappingProxyType(
    {Metric.COSINE: (NEAR,), Metric.L2: (NEAR,), Metric.IP: (FAR, NEAR)}
)
"""The probes that measure a graph; of several kinds, the effort that is enough for one of them is taken."""


def turn_vectors(vectors: NDArray[np.float32], others: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Return vectors, each turned some of the way towards another one at the same length; away where that is negative.

    In a graph, the node of a stored vector leads straight to its neighbours, and a point between neighbours is found
    even more easily. A point between two clusters, where nothing is stored, is hardly found at all. Behind a stored
    vector, as seen from a neighbour, the data thin out as they do around a new vector. Under inner products, whose
    neighbours are long vectors in other directions, it may be too hard, and a turn towards a stranger is about right
    where there are no clusters. Recall@10 at efforts of 64 and 128 over 40,000 vectors (M = 16, ef_construction 100)::

                                    held out     stored       away from    towards a
                                                              a neighbour  stranger
        4,000 clusters, 384, cosine 0.983 0.993  0.989 0.991  0.974 0.986  0.875 0.897
        sentences, 384, cosine      0.980 0.990  0.992 0.994  0.974 0.988  0.965 0.984
        static words, 256, l2       0.929 0.959  0.950 0.966  0.911 0.944  0.917 0.948
        static words, 256, ip       0.967 0.981  0.973 0.984  0.932 0.958  0.961 0.985

    A mix of two vectors is shorter than both and therefore, under l2, nearer to the bulk of the records, where a graph
    misses less. So the length is restored.
    """
    own, lengths = _scale(vectors.astype(np.float64))
    strange, _ = _scale(others.astype(np.float64))
    turned, scales = _scale(own + share * (strange - own))
    return np.where(scales > 0, turned * lengths, vectors).astype(np.float32)


def _scale(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows at length 1, but for zeros, and what their lengths were."""
    lengths = compute_norms(rows)[:, None]
    return rows / np.where(lengths > 0, lengths, 1), lengths
