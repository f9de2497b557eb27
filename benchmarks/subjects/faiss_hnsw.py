"""Raw faiss graphs."""

from __future__ import annotations

from typing import Any

import faiss

from ..condition import Condition
from ..corpus import Vectors
from ..subject import EF_CONSTRUCTION, M, Setting
from .raw import RawIndex


class FaissHnsw(RawIndex):
    """``IndexHNSWFlat``: the graph over float32 vectors."""

    title = "faiss HNSWFlat"
    package = "faiss-cpu"

    def build(self) -> None:
        """Insert all vectors, with as many threads as there are cores."""
        self._index = self._empty()
        self._index.hnsw.efConstruction = EF_CONSTRUCTION
        self._index.train(self._corpus.vectors)
        self._index.add(self._corpus.vectors)

    def tune(self, setting: Setting) -> None:
        """Set ``efSearch``."""
        self._index.hnsw.efSearch = setting["ef"]

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Return row numbers; scores come with them and are dropped."""
        return self._index.search(query[None], k)[1][0]

    def _empty(self) -> Any:
        return faiss.IndexHNSWFlat(self.dim, M, faiss.METRIC_INNER_PRODUCT)


class FaissHnswFloat16(FaissHnsw):
    """``IndexHNSWSQ``: the graph over float16 codes, whose scores are not corrected afterwards."""

    title = "faiss HNSWSQ fp16"

    def _empty(self) -> Any:
        kind: Any = faiss.ScalarQuantizer.QT_fp16
        return faiss.IndexHNSWSQ(self.dim, kind, M, faiss.METRIC_INNER_PRODUCT)
