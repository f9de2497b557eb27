"""Probes: stored vectors used as queries to measure a store's searches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend import Backend, Generation, Rows, Search
from ..errors import Timeout
from ..filters.nodes import Filter
from .effort import Clock
from .held_out import order_hits, order_rows
from .recall import Answer, compute_recall
from .rotation import FAR, KINDS, NEIGHBOUR, SHARES, turn_vectors

CHUNK = 25
"""Queries per call of the backend: enough to share the reading, few enough to stop in between."""
PATIENCE = 2.0
"""Seconds that one call may take, about, where one query takes less: a server ends a statement after its timeout."""


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """Records whose nearest neighbours are searched, each without itself.

    Attributes
    ----------
    backend : Backend
    generation : Generation
    ids : sequence of str
    vectors : ndarray, shape (n, dim), float32
    k : int
    where : Filter or None
        A bound filter for the searches.
    chunk : int
        Queries per call of the backend.
    """

    backend: Backend
    generation: Generation
    ids: Sequence[str]
    vectors: NDArray[np.float32]
    k: int
    where: Filter | None = None
    chunk: int = CHUNK

    @classmethod
    def draw(cls, backend: Backend, generation: Generation, size: int, k: int, where: Filter | None = None) -> Probes:
        """Sample matching records, spread evenly over the order of their ids."""
        return cls.from_rows(backend, generation, backend.sample(generation, where, size), k, where)

    @classmethod
    def from_rows(
        cls, backend: Backend, generation: Generation, rows: Rows, k: int, where: Filter | None = None
    ) -> Probes:
        """Use these rows as queries, as far as they have a vector."""
        if rows.vectors is None:
            raise TypeError("a sample has every column")
        ids, vectors = rows.ids, rows.vectors
        if rows.present is not None:
            ids = [id_ for id_, has_vector in zip(ids, rows.present, strict=True) if has_vector]
            vectors = vectors[rows.present]
        return cls(backend, generation, ids, vectors.astype(np.float32), k, where)

    def deduplicate(self) -> Probes:
        """Return these queries with each vector only once.

        If many records share one vector, nearly every query is that vector, and any of these records is a
        correct answer. That hides a graph that loses the few other records.
        """
        firsts: dict[bytes, int] = {}
        for number, vector in enumerate(self.vectors):
            firsts.setdefault(vector.tobytes(), number)
        chosen = list(firsts.values())
        return replace(self, ids=[self.ids[number] for number in chosen], vectors=self.vectors[chosen])

    def pace(self) -> Probes:
        """Return these queries in smaller chunks where one exact answer takes so long that many would not end."""
        if not len(self):
            return self
        began = time.perf_counter()
        with suppress(Timeout):
            self.ask(slice(0, 1), exact=True)
        return replace(self, chunk=max(1, min(CHUNK, int(PATIENCE / (time.perf_counter() - began)))))

    def turn(self, kind: str, clock: Clock | None = None) -> Probes:
        """Return these queries as probes; fewer where finding their neighbours takes a quarter of the time.

        See `turn_vectors`.
        """
        if kind == FAR:
            strangers = np.roll(self.vectors, len(self) // 2, axis=0)
            return replace(self, vectors=turn_vectors(self.vectors, strangers, SHARES[kind]))
        turned: list[NDArray[np.float32]] = []
        if clock is not None:
            clock.expect(len(self))
        for part in self.cut_parts():
            turned.append(turn_vectors(self.vectors[part], self._find_neighbours(part), SHARES[kind]))
            if clock is None:
                continue
            clock.report(len(turned[-1]))
            if clock.read() > clock.began + (clock.end - clock.began) / 4:
                break
        vectors = np.concatenate([self.vectors[:0], *turned])
        return replace(self, ids=self.ids[: len(vectors)], vectors=vectors)

    def _find_neighbours(self, part: slice) -> NDArray[np.float32]:
        """Return a neighbour of each query: the one of that number, or the last of fewer, or itself."""
        search = Search(
            self.vectors[part], NEIGHBOUR + 1, self.where, exact=True, include=frozenset({"vector"}), fresh=True
        )
        neighbours = self.vectors[part].copy()
        found = self.backend.search(self.generation, search)
        for row, (id_, each) in enumerate(zip(self.ids[part], found, strict=True)):
            order = order_rows(each, NEIGHBOUR, id_)
            if len(order) and each.rows.vectors is not None:
                neighbours[row] = each.rows.vectors[order[-1]]
        return neighbours

    def __len__(self) -> int:
        return len(self.ids)

    def ask(self, part: slice, *, ef: int | None = None, exact: bool = False) -> list[Answer]:
        """Return the answers to some of the queries: ``k`` hits each, without the query's own record."""
        # Ask for one more and drop the own id: a filter on the id would make it a different kind of search.
        search = Search(self.vectors[part], self.k + 1, self.where, ef=ef, exact=exact, fresh=True)
        found = self.backend.search(self.generation, search)
        return [order_hits(each, self.k, id_) for id_, each in zip(self.ids[part], found, strict=True)]

    def answer_exactly(self) -> list[Answer]:
        """Return the exact answers to all queries."""
        return [answer for part in self.cut_parts() for answer in self.ask(part, exact=True)]

    def measure_recalls(self) -> list[float]:
        """Return the recall of each query at the default effort, by the kind of probes that suits the data best."""
        every = [self.turn(kind)._measure() for kind in KINDS[self.generation.schema.metric]]
        return max(every, key=sum)

    def _measure(self) -> list[float]:
        return [
            compute_recall(found, truth)
            for part in self.cut_parts()
            for found, truth in zip(self.ask(part), self.ask(part, exact=True), strict=True)
        ]

    def cut_parts(self) -> Iterator[slice]:
        """Cut the queries into chunks."""
        return (slice(start, start + self.chunk) for start in range(0, len(self), self.chunk))
