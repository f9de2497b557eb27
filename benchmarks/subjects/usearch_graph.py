"""Raw usearch."""

from __future__ import annotations

from typing import Any

import numpy as np
from usearch.index import Index

from ..condition import Condition
from ..corpus import Vectors
from ..subject import EF_CONSTRUCTION, M, Setting
from .raw import RawIndex


class UsearchGraph(RawIndex):
    """The graph over float16 vectors: with float32 ones this version built three to four times as long."""

    title = "usearch f16"
    package = "usearch"

    def build(self) -> None:
        """Insert all vectors, with as many threads as there are cores."""
        self._index = Index(ndim=self.dim, metric="ip", dtype="f16", connectivity=M, expansion_add=EF_CONSTRUCTION)
        self._index.add(np.arange(len(self._corpus)), self._corpus.vectors)

    def tune(self, setting: Setting) -> None:
        """Set the expansion of searches."""
        self._index.expansion_search = setting["ef"]

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Return row numbers; distances come with them and are dropped."""
        return self._index.search(query, k, threads=1).keys
