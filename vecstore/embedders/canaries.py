"""Canaries: fixed texts or items whose vectors tell embedders apart, their comparison and their stored form."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..metric import Metric

CANARY_SET = 1
"""Version of the texts below. It is stored with their vectors and incremented if the texts change."""
OWN_SET = 2
"""What is stored instead of it where an embedder has canaries of its own: it takes no texts."""
MAX_CANARIES = 64

CANARY_TEXTS: tuple[str, ...] = (
    "water",
    "The cat sat on the windowsill and watched the rain.",
    "Quarterly revenue rose by 12.5 % to $3,400,000, well above forecast.",
    "def area(radius): return 3.14159 * radius ** 2",
    "How do I reset a forgotten password?",
    "Grüße aus Köln, привет из Москвы, 東京より愛をこめて",
)
"""Short enough for every model, unlike each other, and in several scripts and registers."""

MIN_COSINE = 0.999
MAX_NORM_DIFFERENCE = 0.01
LOWEST_COSINE = 0.98
"""No embedder may ask for less, because other models come as near."""

COMPARES_NORMS: Mapping[Metric, bool] = MappingProxyType({Metric.COSINE: False, Metric.IP: True, Metric.L2: True})


def are_alike(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], metric: Metric, min_cosine: float = MIN_COSINE
) -> bool:
    """Return whether two sets of canary vectors, of shape (2, n, dim), come from the same model.

    All must agree with a cosine of at least 0.999 and, if the metric depends on lengths, their norms must agree
    within 1 %. A lower ``min_cosine`` allows norms as much.
    """
    if ours.shape != theirs.shape:
        return False
    mine, others = ours.astype(np.float64), theirs.astype(np.float64)
    norms, other_norms = np.linalg.norm(mine, axis=2), np.linalg.norm(others, axis=2)
    product = norms * other_norms
    # Two zero vectors are equal; a zero vector differs from any other vector.
    empty = product == 0
    if (empty & (norms != other_norms)).any():
        return False
    cosines = np.einsum("ijk,ijk->ij", mine, others) / np.where(empty, 1, product)
    if (~empty & (cosines < min_cosine)).any():
        return False
    close = np.abs(norms - other_norms) <= max(MAX_NORM_DIFFERENCE, 1 - min_cosine) * np.maximum(norms, other_norms)
    return bool(close.all()) or not COMPARES_NORMS[metric]


def encode_canaries(vectors: NDArray[np.float32]) -> str:
    """Return canary vectors as text: little-endian float32 in base64."""
    return base64.b64encode(vectors.astype("<f4").tobytes()).decode("ascii")


def decode_canaries(encoded: object, count: int, dim: int) -> NDArray[np.float32]:
    """Return the vectors in a text that `encode_canaries` made; raise ``ValueError`` with the reason if damaged."""
    if not isinstance(encoded, str):
        raise ValueError("its canaries are not text")
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("its canaries are not base64") from error
    shape = (2, count, dim)
    size = 4 * shape[0] * shape[1] * dim
    if len(decoded) != size:
        raise ValueError(f"its canaries have {len(decoded)} bytes instead of {size}")
    vectors = np.frombuffer(decoded, "<f4").reshape(shape)
    if not np.isfinite(vectors).all():
        raise ValueError("its canaries contain NaN or infinity")
    return vectors.astype(np.float32)
