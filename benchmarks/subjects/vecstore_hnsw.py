"""vecstore with its HNSW index."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from vecstore import HNSW, Hits

from ..condition import Condition
from ..corpus import Vectors
from ..subject import BY_EFFORT, M
from .vecstore_directory import VecstoreDirectory, to_filter


class VecstoreHnsw(VecstoreDirectory):
    """An indexed store, tuned like the others; what its own calibration chose stands in the remarks."""

    title = "vecstore"
    ladder = BY_EFFORT
    has_filters = True
    has_batches = True
    has_threads = True
    _graph_seconds: float | None = None

    def build(self) -> None:
        """Build and calibrate the index of a loaded store; how carefully it is built is left to the default."""
        began = time.perf_counter()

        def watch(phase: str, done: int, total: int | None) -> None:
            if phase == "indexing" and done == total:
                self._graph_seconds = time.perf_counter() - began

        self._store.reindex(HNSW(m=M, target_recall=0.985), on_progress=watch)

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Hits:
        """Search as by default: texts and metadata come back."""
        return self._store.search(query, k, where=to_filter(condition), ef=self._ef)

    def search_many(self, queries: Vectors, k: int) -> list[Hits]:
        """Search with a matrix: texts and metadata come back."""
        return self._store.search_many(queries, k, ef=self._ef)

    def remarks(self) -> Mapping[str, Any]:
        """Say whether there is an index, how far it was calibrated, and how much of the build is the graph."""
        status = self._store.index_status()
        return {"index": status.state, "calibrated_ef": status.ef, "graph_s": self._graph_seconds}
