"""Recall and latency of searches at several efforts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import check_whole
from ..metric import Metric
from .figures import Figure, average, check_count, check_seed
from .sampling import draw_sample

if TYPE_CHECKING:
    from ..filters import Filter
    from ..hits import Hits
    from ..store import VectorStore

EFFORTS = (16, 32, 64, 128, 256)
FEWEST = 2


@dataclass(frozen=True, slots=True)
class SweepStep:
    """Searches at one effort.

    Attributes
    ----------
    ef : int or None
        None is the store's own effort, or an exact search.
    recall : Figure
        Its baseline is chance: as many records drawn at random.
    p5, worst : float
        The 5th percentile of the recall of single queries, and the lowest.
    p50_ms, p95_ms, p99_ms : float
        Percentiles of the time of one search, in milliseconds, as this process sees it.
    per_second : float
        Searches in a second, one after another.
    exact : bool
        Every answer was exact: the index was not asked, or does not exist.
    """

    ef: int | None
    recall: Figure
    p5: float
    worst: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    per_second: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """Recall against latency.

    Attributes
    ----------
    steps : tuple of SweepStep
        One for each effort, in order.
    default : SweepStep
        Searches as applications make them.
    exact : SweepStep
        Searches that compare every record: the truth, and the time that an index has to beat.
    rows, queries, k : int
    """

    steps: tuple[SweepStep, ...]
    default: SweepStep
    exact: SweepStep
    rows: int
    queries: int
    k: int


def sweep_recall(
    store: VectorStore,
    k: int = 10,
    efforts: Sequence[int] = EFFORTS,
    *,
    queries: int = 200,
    vectors: ArrayLike | None = None,
    where: Filter | Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Sweep:
    """Compare searches at several efforts with exact ones.

    Parameters
    ----------
    store : VectorStore
    k : int, 1 to 1,000
    efforts : sequence of int
        Values of ``ef``.
    queries : int, 1 to 10,000
        Records to draw as queries.
    vectors : array_like, shape (n, dim), optional
        Queries of the application, which are better than drawn ones.
    where : Filter or mapping, optional
    seed : int

    Notes
    -----
    A drawn query is turned a little away from a neighbour of its record, and the record itself is no answer: a graph
    finds its own nodes more easily than new points. A hit at the distance of the last true one counts as true.

    Raises
    ------
    InvalidArgument
    """
    k, queries, seed = check_whole("k", k, 1, 1_000), check_whole("queries", queries, 1, 10_000), check_seed(seed)
    chosen = sorted({check_whole("ef", ef, 1, 1_000) for ef in efforts})
    asked: NDArray[np.float32]
    own: Sequence[str | None]
    if vectors is None:
        own, asked = _draw_queries(store, queries, where, seed)
    else:
        asked = np.asarray(vectors, np.float32)
        own = [None] * len(asked)
    check_count("Queries", len(asked), 1)
    rows = store.count(where)

    def ask(ef: int | None, *, exact: bool = False) -> tuple[list[Hits], NDArray[np.float64]]:
        return _time(lambda each: store.search(each, k + 1, where=where, ef=ef, exact=exact, include=()), asked)

    ask(None, exact=True)  # opens connections and reads files, which the first search would be charged with
    truths, times = ask(None, exact=True)
    truth = _Truth(truths, own, k, min(1.0, k / max(rows, 1)), seed)
    steps = tuple(truth.judge(ef, *ask(ef)) for ef in chosen)
    default = truth.judge(None, *ask(None))
    return Sweep(steps, default, truth.judge(None, truths, times), rows, len(asked), k)


@dataclass(frozen=True, slots=True, eq=False)
class _Truth:
    """The exact answers, which others are compared with."""

    hits: Sequence[Hits]
    own: Sequence[str | None]
    k: int
    chance: float
    seed: int

    def judge(self, ef: int | None, found: Sequence[Hits], times: NDArray[np.float64]) -> SweepStep:
        from ..calibration.recall import compute_recall

        recalls = np.array([
            compute_recall(self._cut(each, own), self._cut(true, own))
            for each, true, own in zip(found, self.hits, self.own, strict=True)
        ])  # fmt: skip
        p50, p95, p99 = (np.percentile(times, [50, 95, 99]) * 1_000).tolist()
        figure = average(f"recall@{self.k}", recalls, self.chance, "chance", seed=self.seed)
        return SweepStep(
            ef, figure, float(np.percentile(recalls, 5)), float(recalls.min()), p50, p95, p99,
            len(times) / float(times.sum()), all(each.exact for each in found),
        )  # fmt: skip

    def _cut(self, hits: Hits, own: str | None) -> Any:
        from ..calibration.recall import Answer

        kept = [hit for hit in hits if hit.id != own][: self.k]
        return Answer([hit.id for hit in kept], np.array([hit.score for hit in kept]), hits.exact)


def _time(
    search: Callable[[NDArray[np.float32]], Hits], queries: NDArray[np.float32]
) -> tuple[list[Hits], NDArray[np.float64]]:
    found, times = [], np.empty(len(queries))
    for row, query in enumerate(queries):
        began = time.perf_counter()
        found.append(search(query))
        times[row] = time.perf_counter() - began
    return found, times


def _draw_queries(
    store: VectorStore, queries: int, where: Filter | Mapping[str, Any] | None, seed: int
) -> tuple[Sequence[str], NDArray[np.float32]]:
    from ..calibration.rotation import FAR, NEAR, NEIGHBOUR, SHARES, turn_vectors

    sample = draw_sample(store, queries, seed=seed, where=where, texts=False)
    check_count("Records with a vector", len(sample), FEWEST)
    if store.schema.metric is Metric.IP:  # see `turn_vectors`
        return sample.ids, turn_vectors(sample.vectors, np.roll(sample.vectors, len(sample) // 2, axis=0), SHARES[FAR])
    others = sample.vectors.copy()
    for start in range(0, len(sample), 50):
        part = slice(start, start + 50)
        near = store.search_many(sample.vectors[part], NEIGHBOUR + 1, where=where, exact=True, include=("vector",))
        for row, hits in enumerate(near, start):
            kept = [hit.vector for hit in hits if hit.id != sample.ids[row] and hit.vector is not None]
            if kept:
                others[row] = kept[-1]
    return sample.ids, turn_vectors(sample.vectors, others, SHARES[NEAR])
