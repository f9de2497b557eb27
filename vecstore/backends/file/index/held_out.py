"""Rows that a graph does not have, as queries to measure it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Found, Measure, Rows
from vecstore.index_options import HNSW
from vecstore.metric import Metric

from ...shared.index_policy import LEAST_HELD_OUT, MOST_HELD_OUT, count_held_out
from ..metrics import METRICS, Singles
from ..search import exact_batch, exact_float32
from ..search.graph import Graph
from ..search.graph_search import find_near
from ..search.plan import Strategy, choose_plan
from ..search.scoring import Scorer
from ..search.top_k import Answer
from ..state.open_generation import OpenGeneration
from ..state.snapshot import Snapshot
from ..vectors.part import Part
from ..vectors.vectors import Vectors
from .coverage import Coverage
from .graph_build import Withheld
from .index_file import IndexRow


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutRows:
    """Queries, and the rows of a graph that may be their hits; see `vecstore.backend.HeldOut`."""

    queries: Singles
    coverage: Coverage
    _scorer: Scorer
    _metric: Metric
    _parts: Sequence[Part]

    @classmethod
    def make(cls, queries: Singles, graph: Graph, vectors: Vectors, metric: Metric) -> HeldOutRows:
        """Measure a graph over some of the vectors of a commit."""
        coverage = Coverage.compute(graph, vectors.parts)
        parts = [some for part in vectors.parts if (some := part.restrict(graph.rids)) is not None]
        return cls(queries, coverage, Scorer(METRICS[metric], vectors), metric, parts)

    def __len__(self) -> int:
        return len(self.queries)

    def find(self, part: slice, k: int, ef: int | None) -> list[Found]:
        """Return the nearest rows of some queries, named by their rids."""
        queries, coverage = self.queries[part], self.coverage
        if ef is None:
            return [_make_found(answer, exact=True) for answer in self._find_exactly(queries, k)]
        plan = choose_plan(k=k, ef=ef, rows=len(coverage.graph), matching=coverage.count, filtered=False)
        if plan.strategy is not Strategy.GRAPH:
            return [_make_found((np.empty(0, np.int64), np.empty(0)), exact=True) for _ in queries]
        counts = coverage.stored if coverage.count < len(coverage.graph) else None
        near = find_near(coverage.graph, queries, plan, k, counts)
        scores = self._scorer.score_each(queries, near)
        return [_make_found((rids, each), exact=False) for (rids, _), each in zip(near, scores, strict=True)]

    def _find_exactly(self, queries: Singles, k: int) -> list[Answer]:
        score = partial(self._scorer.score_pairs, queries)
        found = exact_batch.find_nearest(self._metric, self._parts, queries, k, score)
        return [
            answer or exact_float32.find_nearest(self._metric, self._parts, query[None, :], k, _name_rows)[0]
            for answer, query in zip(found, queries, strict=True)
        ]


def withhold_rows(
    opened: OpenGeneration, snapshot: Snapshot, options: HNSW, measure: Measure | None, after: int = -1
) -> Withheld | None:
    """Choose rows beyond a rid that a graph gets last; None where nobody measures with them, or they are too few."""
    rids = _list_rids(snapshot.vectors.list_after(after))
    count = count_held_out(len(rids))
    if measure is None or not count:
        return None

    def measure_graph(graph: Graph, queries: Singles) -> None:
        if len(queries) >= count // 2:
            measure(HeldOutRows.make(queries, graph, snapshot.vectors, opened.schema.metric), options)

    return Withheld(_draw(rids, count), measure_graph)


def draw_waiting(opened: OpenGeneration, snapshot: Snapshot) -> HeldOutRows | None:
    """Draw rows that the graph of a commit lacks; None where they are too few."""
    vectors, row = snapshot.vectors, IndexRow(**(snapshot.ledger.index or {}))
    graph, waiting = opened.index_cache.find_graph(row), _list_rids(vectors.list_after(row.last))
    if graph is None or len(waiting) < LEAST_HELD_OUT:
        return None
    drawn = _draw(waiting, min(len(waiting), MOST_HELD_OUT))
    queries = np.unique(vectors.gather(drawn).astype(np.float32), axis=0)
    return HeldOutRows.make(queries, graph, vectors, opened.schema.metric)


def _list_rids(parts: Sequence[Part]) -> NDArray[np.int64]:
    return np.sort(np.concatenate([np.empty(0, np.int64), *(part.get_stored_rids() for part in parts)]))


def _draw(rids: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Draw some of the rids, the same from the same ones."""
    return np.sort(np.random.default_rng([len(rids), int(rids[-1])]).choice(rids, count, replace=False))


def _make_found(answer: Answer, *, exact: bool) -> Found:
    rids, scores = answer
    return Found(Rows(_name_rows(rids), None, None, None, None), scores, exact)


def _name_rows(rids: NDArray[np.int64]) -> list[str]:
    return list(map(str, rids.tolist()))
