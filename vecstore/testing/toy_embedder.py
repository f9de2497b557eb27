"""An embedder for tests: words, their vectors drawn from a hash, no model."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from ..embedders.base import Embedder, Role


class ToyEmbedder(Embedder):
    """The vector of a text is the sum of the vectors of its words; it keeps what it was asked to embed.

    Parameters
    ----------
    dim : int
    seed : int
        Another seed is another model.
    name : str
    scale : float
        Length of every vector.
    """

    def __init__(self, dim: int = 8, *, seed: int = 0, name: str = "words", scale: float = 1.0) -> None:
        super().__init__(kind="toy", model=name, dim=dim, normalize=False)
        self._seed = seed
        self._scale = scale
        self.documents: list[str] = []
        self.queries: list[str] = []

    def _encode(self, texts: list[str], role: Role) -> NDArray[np.float32]:
        (self.documents if role == "document" else self.queries).extend(texts)
        return np.array([self._vector(text) for text in texts], np.float32)

    def _vector(self, text: str) -> NDArray[np.float64]:
        words = ["", *text.lower().split()]
        seeds = [(self._seed, zlib.crc32(word.encode())) for word in words]
        total = np.sum([np.random.default_rng(seed).standard_normal(self.dim) for seed in seeds], axis=0)
        return np.asarray(self._scale * total / np.linalg.norm(total))
