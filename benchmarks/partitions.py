"""Measure a divided store beside one with a single graph: ``python -m benchmarks.partitions``.

Both hold the same rows on a server of PostgreSQL that is started for it. One graph is built in the memory that it
needs, the graphs of the partitions in three tenths of that, with as many processes. ``--rows`` beyond the rows of
``--vectors``, a file of float16 or float32, adds noisy copies of them. Times are of the clock; beside them stands the
processor time of the server's processes, which says more on a machine with other work.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vecstore
from vecstore import HNSW, Columns, Schema, VectorStore
from vecstore.backends.postgres.build_plan import estimate_graph

from . import postgres_server, sources
from .corpus import normalize

M, EF_CONSTRUCTION, K, QUERIES = 16, 100, 10, 200
SHARE = 0.3
"""Of the memory for one graph, what the partitions get."""
SIGMA = 0.02
BATCH = 20_000
BARS = {"build": 1.0, "search": 3.0}
EFFORTS = (*range(12, 64, 4), *range(64, 257, 16))
"""Of partitions, tried one after another for the recall of one graph."""
OF_ONE = (64, 128, 256)
"""Efforts of one graph whose recall the partitions have to reach, beside the effort that it was calibrated to."""

Ids = list[list[str]]


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock, and of the server's processors."""

    clock: float
    processor: float


class ServerClock:
    """Adds up the processor time of a server's processes, those that have ended included."""

    def __init__(self, data: Path) -> None:
        self._postmaster = int((data / "postmaster.pid").read_text().split()[0])

    def time(self, call: Callable[[], object]) -> Cost:
        """Make a call and return what it cost."""
        before, began = self._read(), time.perf_counter()
        call()
        return Cost(time.perf_counter() - began, self._read() - before)

    def _read(self) -> float:
        ticks = 0
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                figures = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(entry.name) == self._postmaster:
                ticks += sum(map(int, figures[11:15]))
            elif int(figures[1]) == self._postmaster:
                ticks += int(figures[11]) + int(figures[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def draw_rows(rows: int, vectors: Path | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what is stored, and queries that are not."""
    base = (
        sources.generate_corpus(min(rows, 62_666) + QUERIES).vectors
        if vectors is None
        else normalize(np.load(vectors).astype(np.float32))
    )
    order = np.random.default_rng(sources.SEED).permutation(len(base))
    queries, stored = base[order[:QUERIES]], base[order[QUERIES:]]
    tiles = -(-rows // len(stored))
    generator, made = np.random.default_rng(sources.SEED + 1), [stored]
    for _ in range(tiles - 1):
        noise = generator.standard_normal(stored.shape, np.float32) * np.float32(SIGMA / np.sqrt(stored.shape[1]))
        made.append(normalize(stored + noise))
    return np.concatenate(made)[:rows], queries


def fill(url: str, name: str, vectors: NDArray[np.float32], partitions: int) -> None:
    """Make a store without a graph."""
    index = HNSW(m=M, ef_construction=EF_CONSTRUCTION)
    with vecstore.connect(f"{url}&index_min_rows=1000000000") as database:
        store = database.create(name, Schema(vectors.shape[1], index=index, partitions=partitions))
        insert_vectors(store, vectors)


def insert_vectors(store: VectorStore, vectors: NDArray[np.float32]) -> None:
    """Insert ids and vectors, and no texts."""
    for start in range(0, len(vectors), BATCH):
        part = vectors[start : start + BATCH]
        ids = [f"r{number:07}" for number in range(start, start + len(part))]
        store.insert(Columns(ids=ids, vectors=part))


def build(store: VectorStore, clock: ServerClock) -> Cost:
    """Build the graphs and calibrate; return what the build cost without the calibration."""
    began = time.perf_counter()
    ends: list[tuple[float, float]] = []
    before = clock._read()

    def note(phase: str, done: int, total: int | None) -> None:
        if phase == "calibrating" and not ends:
            ends.append((time.perf_counter() - began, clock._read() - before))

    store.reindex(on_progress=note)
    return Cost(*ends[0])


def find_ids(store: VectorStore, queries: NDArray[np.float32], ef: int | None = None, *, exact: bool = False) -> Ids:
    """Return the ids that each search finds, nearest first."""
    return [[hit.id for hit in store.search(query, K, ef=ef, exact=exact)] for query in queries]


def compare(found: Ids, true: Ids) -> float:
    """Return the recall."""
    return float(np.mean([len({*mine} & {*theirs}) / K for mine, theirs in zip(found, true, strict=True)]))


def time_searches(
    asked: Sequence[tuple[VectorStore, int | None]], queries: NDArray[np.float32], clock: ServerClock
) -> list[Cost]:
    """Return the median cost of a search of each store with an effort; the stores are asked in turns."""
    times = [list[float]() for _ in asked]
    for query in queries:
        for (store, ef), taken in zip(asked, times, strict=True):
            began = time.perf_counter()
            store.search(query, K, ef=ef)
            taken.append(time.perf_counter() - began)
    costs = list[Cost]()
    for (store, ef), taken in zip(asked, times, strict=True):
        whole = clock.time(partial(find_ids, store, queries, ef))
        costs.append(Cost(float(np.median(taken)), whole.processor / len(queries)))
    return costs


def find_equal_effort(store: VectorStore, queries: NDArray[np.float32], true: Ids, recall: float) -> int | None:
    """Return the smallest effort at which a store reaches a recall."""
    return next((ef for ef in EFFORTS if compare(find_ids(store, queries, ef), true) >= recall), None)


def compare_costs(what: str, costs: Sequence[Cost]) -> bool:
    """Print how many times what one graph takes the partitions take, and return whether the bar is met."""
    one, many = costs
    clock, processor, bar = many.clock / one.clock, many.processor / one.processor, BARS[what.partition(" ")[0]]
    print(f"{what}: {clock:.2f} × ({processor:.2f} × of processors), bar {bar} ×", flush=True)
    return clock <= bar


@contextmanager
def open_server() -> Iterator[tuple[str, ServerClock]]:
    """Give the URL of a server of this run, with parameters of its own, and its clock."""
    with tempfile.TemporaryDirectory(prefix="parts-") as made, postgres_server.run_server(Path(made) / "pg") as url:
        vecstore.connect(url, migrate=True).close()
        yield url, ServerClock(Path(made) / "pg" / "data")


def measure(rows: int, partitions: int, workers: int, vectors: Path | None) -> bool:
    """Print the figures of both stores, and return whether the bars are met."""
    stored, queries = draw_rows(rows, vectors)
    memory = -(-estimate_graph(rows, stored.shape[1], "vector", M) * 11 // 10 // (1 << 20))
    granted = {1: memory, partitions: int(memory * SHARE)}
    with open_server() as (url, clock):
        builds = list[Cost]()
        for number, megabytes in granted.items():
            fill(url, f"of_{number}", stored, number)
            with vecstore.connect(f"{url}&build_memory={megabytes}&build_workers={workers}") as database:
                builds.append(build(database.open(f"of_{number}"), clock))
        with vecstore.connect(url) as database:
            stores = [database.open(f"of_{number}") for number in granted]
            met = compare_stores(stores, queries, clock, partitions)
        for what, megabytes, building in zip(("one graph", "partitions"), granted.values(), builds, strict=True):
            print(f"{what}: built in {building.clock:.1f} s ({building.processor:.1f} s of processors), {megabytes} MB")
        met = compare_costs("build", builds) and met
    print(f"load of the machine {os.getloadavg()[0]:.1f}; {'met' if met else 'MISSED'}")
    return met


def compare_stores(stores: Sequence[VectorStore], queries: NDArray[np.float32], clock: ServerClock, n: int) -> bool:
    """Print the searches of one graph beside those of partitions, and return whether the bars are met."""
    truths = [find_ids(store, queries, exact=True) for store in stores]
    identical = sum(one == other for one, other in zip(*truths, strict=True))
    recalls = [compare(find_ids(store, queries), true) for store, true in zip(stores, truths, strict=True)]
    costs = time_searches([(store, None) for store in stores], queries, clock)
    for what, store, recall, cost in zip(("one graph", f"{n} partitions"), stores, recalls, costs, strict=True):
        status = store.index_status()
        print(
            f"{what}: a search {cost.clock * 1e3:.2f} ms ({cost.processor * 1e3:.2f} ms of processors), recall "
            f"{recall:.4f}, ef {status.ef}, {status.measured} {status.recall or 0:.4f}"
        )
    met = compare_costs("search at calibrated efforts", costs) and recalls[1] >= recalls[0]
    print(f"exact answers: {identical} of {len(queries)} identical")
    compare_at_equal_recall(stores, queries, truths, clock)
    return met and identical == len(queries)


def compare_at_equal_recall(
    stores: Sequence[VectorStore], queries: NDArray[np.float32], truths: Sequence[Ids], clock: ServerClock
) -> None:
    """Print what the partitions take for the recall that one graph has at each of some efforts."""
    one, many = stores
    calibrated = one.index_status().ef
    for ef in sorted({*OF_ONE, *([calibrated] if calibrated else [])}):
        recall = compare(find_ids(one, queries, ef), truths[0])
        equal = find_equal_effort(many, queries, truths[1], recall)
        if equal is None:
            print(f"search at recall {recall:.3f}, which one graph has at ef {ef}: no effort of partitions reaches it")
            continue
        costs = time_searches([(one, ef), (many, equal)], queries, clock)
        compare_costs(f"search at recall {recall:.3f}, ef {ef} and {equal}", costs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partitions", description=__doc__)
    parser.add_argument("--rows", type=int, default=62_666)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1, help="processes beside the first, as build_workers")
    parser.add_argument("--vectors", type=Path, help="a file of vectors; without it they are drawn")
    options = parser.parse_args(arguments)
    return 0 if measure(options.rows, options.partitions, options.workers, options.vectors) else 1


if __name__ == "__main__":
    sys.exit(main())
