"""The oracle with an index: one that misses hits, the fewer the larger the effort."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from vecstore import HNSW
from vecstore.backend import Found, Generation, IndexState, Measure, Progress, Search
from vecstore.backends.memory import MemoryBackend


class GraphBackend(MemoryBackend):
    """Of the records one in ``ef`` is invisible to a query; ``best`` is the recall that no effort exceeds.

    ``better`` is that of a graph that was built with an ``ef_construction`` of 200.
    """

    def __init__(self, best: float = 1.0, better: float = 0.0) -> None:
        super().__init__()
        self.best, self.better = best, better
        self.ef_construction: int | None = None
        self.built: set[str] = set()
        self.steps: list[str] = []
        self.error: BaseException | None = None

    def build_index(
        self,
        generation: Generation,
        on_progress: Progress | None = None,
        measure: Measure | None = None,
        ef_construction: int | None = None,
    ) -> None:
        self.steps.append("build")
        index = self._current(generation).schema.index
        if isinstance(index, HNSW):
            self.built.add(generation.id)
            self.ef_construction = ef_construction or index.list_ef_constructions()[0]
        else:
            self.built.discard(generation.id)
        rows = self.count(generation, None)
        if on_progress:
            on_progress("indexing", rows, rows)

    def tend(self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None) -> bool:
        self.steps.append("tend")
        if self.error:
            raise self.error
        if generation.id in self.built or not isinstance(self._current(generation).schema.index, HNSW):
            return False
        self.built.add(generation.id)
        self.ef_construction = 100
        return True

    def compact(
        self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None
    ) -> bool:
        self.steps.append("compact")
        return True

    def amend(self, generation: Generation) -> None:
        self.steps.append(f"amend ef={generation.ef}")
        super().amend(generation)

    def index_state(self, generation: Generation) -> IndexState:
        rows = self.count(generation, None)
        if generation.id in self.built:
            return IndexState("ready", rows, rows, 0, self.ef_construction)
        return IndexState("none", rows, 0, 0)

    def search(self, generation: Generation, search: Search) -> list[Found]:
        ef = search.ef or self._current(generation).ef
        if search.exact or ef is None or generation.id not in self.built:
            self.steps.append("exact")
            return super().search(generation, search)
        everything = Search(search.queries, self.count(generation, None), search.where, include=search.include)
        best = self.best if (self.ef_construction or 0) < 200 else max(self.best, self.better)
        seen = min(1 - 1 / ef, best)
        answers = super().search(generation, everything)
        return [
            _missing(found, query.tobytes(), seen, search.k)
            for found, query in zip(answers, search.queries, strict=True)
        ]

    def _current(self, generation: Generation) -> Generation:
        return self._table(generation).generation


def _missing(found: Found, query: bytes, seen: float, k: int) -> Found:
    luck = np.array([crc32(id_.encode() + query) / 2**32 for id_ in found.rows.ids])
    order = np.argsort(luck >= seen, kind="stable")[:k]  # what is missed comes last, so that k are found
    ids = [found.rows.ids[row] for row in order]
    rows = type(found.rows)(ids, None, None, None, None)
    return Found(rows, found.scores[order], exact=False)
