"""Where the time of one plain search goes: ``python -m benchmarks.search_budget DIRECTORY STORE VECTORS [--ef 48]``.

A filled store with an index is searched with each row of a ``.npy`` file, text and metadata included. Each line is a
function with what it takes by itself, without the functions below it that have lines of their own: microseconds, the
least of several rounds for each query, the median over all queries. FAISS's own call in a loop of its own is the raw
call that the bars compare with. Clocks add about 0.3 µs to a line.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

import vecstore
from vecstore import store as facade
from vecstore.backends.file import backend, metrics
from vecstore.backends.file.search import hits, row_cache, scoring, search
from vecstore.backends.file.state import open_generation, open_generations, rows
from vecstore.backends.file.storage import catalogue_file
from vecstore.backends.file.vectors import vectors

K, ROUNDS = 10, 7
STAGES: Sequence[tuple[Any, str]] = (
    (facade.VectorStore, "search"),
    (facade, "check_arguments"),
    (facade, "read_plain_query"),
    (facade, "compile_search"),
    (backend.FileBackend, "search"),
    (open_generations.OpenGenerations, "open_current"),
    (catalogue_file.CatalogueFile, "read"),
    (open_generation.OpenGeneration, "read_snapshot"),
    (backend, "find_nearest"),
    (search, "choose_plan"),
    (search, "find_near"),
    (metrics.MetricForm, "encode_query"),
    (metrics.MetricForm, "count_near"),
    (faiss.IndexHNSW, "search"),
    (scoring.Scorer, "score"),
    (vectors.Vectors, "gather"),
    (search, "read_hits"),
    (hits, "needs_view"),
    (row_cache.RowCache, "read"),
    (rows.RowFormat, "fetch"),
    (rows.RowFormat, "_check"),
    (rows.RowFormat, "assemble"),
    (facade, "make_hits"),
)


class Stopwatch:
    """Nanoseconds of wrapped functions by label, each without those that it calls."""

    def __init__(self) -> None:
        self.spent: dict[str, int] = {}
        self._inner: list[int] = []

    def wrap(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock."""

        @wraps(function)
        def clocked(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0)
            began = time.perf_counter_ns()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter_ns() - began
                self.spent[label] = self.spent.get(label, 0) + took - self._inner.pop()
                if self._inner:
                    self._inner[-1] += took

        return clocked


def time_each(call: Callable[[NDArray[np.float32]], object], queries: NDArray[np.float32]) -> float:
    """Return the median over queries of the least microseconds in several rounds."""
    best = np.full(len(queries), np.inf)
    for _ in range(ROUNDS):
        for number, query in enumerate(queries):
            began = time.perf_counter_ns()
            call(query)
            best[number] = min(best[number], time.perf_counter_ns() - began)
    return float(np.median(best)) / 1e3


def read_budget(call: Callable[[NDArray[np.float32]], object], queries: NDArray[np.float32]) -> dict[str, float]:
    """Return the microseconds of each stage of a search; the stages stay wrapped."""
    watch = Stopwatch()
    for owner, name in STAGES:
        label = f"{getattr(owner, '__module__', owner.__name__).removeprefix('vecstore.')}.{name}"
        setattr(owner, name, watch.wrap(label, getattr(owner, name)))
    spent: dict[str, NDArray[np.float64]] = {}
    for _ in range(ROUNDS):
        for number, query in enumerate(queries):
            watch.spent = {}
            call(query)
            for label, took in watch.spent.items():
                least = spent.setdefault(label, np.full(len(queries), np.inf))
                least[number] = min(least[number], took)
    return {label: float(np.median(np.where(np.isinf(each), 0, each))) / 1e3 for label, each in spent.items()}


def forget_rows(store: vecstore.VectorStore) -> None:
    """Empty the row cache, so that each search reads all of its rows."""
    opened = store._backend._generations._open[store._current.entry.active.id]  # type: ignore[attr-defined]
    opened.row_cache = row_cache.RowCache(0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_budget", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("store")
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--ef", type=int, default=48)
    chosen = parser.parse_args(arguments)
    queries = np.load(chosen.vectors)
    with vecstore.connect(chosen.directory) as database:
        store = database.open(chosen.store)

        def call(query: NDArray[np.float32]) -> object:
            return store.search(query, K, ef=chosen.ef)

        for query in queries:
            call(query)
        warm = time_each(call, queries)
        opened = store._backend._generations._open[store._current.entry.active.id]  # type: ignore[attr-defined]
        index = opened.index_cache._graph[1].index
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        parameters = faiss.SearchParametersHNSW(efSearch=chosen.ef)
        raw = time_each(lambda query: index.search(query[None], K, params=parameters), queries)
        faiss.omp_set_num_threads(before)
        forget_rows(store)
        cold = time_each(call, queries)
        budget = read_budget(call, queries)
    print(
        f"search {warm:.0f} µs, {warm / raw:.2f} × the raw call of {raw:.0f} µs; no row known: {cold:.0f} µs, of which"
    )
    for label, took in sorted(budget.items(), key=lambda line: -line[1]):
        print(f"{took:8.1f}  {label}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
