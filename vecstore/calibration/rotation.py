"""Rotation: probes lie between stored vectors, because a graph finds the neighbours of its own nodes too easily."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..metric import Metric
from ..rows.vectors import compute_norms

ROTATIONS: Mapping[Metric, float] = MappingProxyType({Metric.COSINE: 1 / 3, Metric.IP: 2 / 5, Metric.L2: 4 / 11})
"""The share of the other vector in a rotated query's direction. Less is too easy, more is too hard."""


def rotate_vectors(vectors: NDArray[np.float32], metric: Metric) -> NDArray[np.float32]:
    """Return vectors, each rotated part of the way towards another one at the same length.

    In a graph, the node of a stored vector leads straight to its neighbours: stored vectors had a recall of
    0.98 where held-out vectors of the same texts had 0.88. Queries rotated by `ROTATIONS` have about the
    recall of held-out ones. A mix of two vectors is shorter than both and therefore, under l2, nearer to
    the bulk of the records, where a graph misses less. So the length is restored.
    """
    share = ROTATIONS[metric]
    wide = vectors.astype(np.float64)
    lengths = compute_norms(wide)[:, None]
    units = wide / np.where(lengths > 0, lengths, 1)
    mixed = (1 - share) * units + share * np.roll(units, len(units) // 2, axis=0)
    scales = compute_norms(mixed)[:, None]
    rotated = mixed / np.where(scales > 0, scales, 1) * lengths
    return rotated.astype(np.float32)
