"""Raw hnswlib."""

from __future__ import annotations

from typing import Any

import hnswlib
import numpy as np

from ..condition import Condition
from ..corpus import Vectors
from ..subject import EF_CONSTRUCTION, M, Setting
from .raw import RawIndex


class HnswlibGraph(RawIndex):
    """The graph over float32 vectors, built with all cores."""

    title = "hnswlib"
    package = "hnswlib"

    def build(self) -> None:
        """Insert all vectors."""
        self._index = hnswlib.Index("ip", self.dim)
        self._index.init_index(len(self._corpus), M=M, ef_construction=EF_CONSTRUCTION)
        self._index.add_items(self._corpus.vectors, np.arange(len(self._corpus)))

    def tune(self, setting: Setting) -> None:
        """Set ``ef``."""
        self._index.set_ef(setting["ef"])

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Return row numbers; distances come with them and are dropped."""
        return self._index.knn_query(query, k, num_threads=1)[0][0]
