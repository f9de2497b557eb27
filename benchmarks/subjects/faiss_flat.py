"""Raw faiss, exact."""

from __future__ import annotations

from typing import Any

import faiss

from ..condition import Condition
from ..corpus import Corpus, Vectors
from ..subject import AS_IT_IS, Setting
from .raw import RawIndex


class FaissFlat(RawIndex):
    """``IndexFlatIP`` over unit vectors."""

    title = "faiss IndexFlatIP"
    package = "faiss-cpu"
    ladder = AS_IT_IS
    has_batches = True

    def load(self, corpus: Corpus) -> None:
        """Copy the vectors into the index."""
        super().load(corpus)
        self._index = faiss.IndexFlatIP(self.dim)
        self._index.add(corpus.vectors)

    def tune(self, setting: Setting) -> None:
        """Nothing to choose."""

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Return row numbers; scores come with them and are dropped."""
        return self._index.search(query[None], k)[1][0]

    def search_many(self, queries: Vectors, k: int) -> Any:
        """Return scores and row numbers."""
        return self._index.search(queries, k)
