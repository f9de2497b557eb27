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


def measure_searches(
    stores: Sequence[VectorStore], queries: NDArray[np.float32], clock: ServerClock
) -> tuple[list[Cost], list[float], int]:
    """Return the median cost of a search of each store, its recall, and how many exact answers were identical."""
    truth = [[[hit.id for hit in store.search(query, K, exact=True)] for query in queries] for store in stores]
    found, costs, times = list[float](), list[Cost](), list[list[float]]([] for _ in stores)
    for store, true in zip(stores, truth, strict=True):
        answers = [[hit.id for hit in store.search(query, K)] for query in queries]
        pairs = zip(answers, true, strict=True)
        found.append(float(np.mean([len({*mine} & {*theirs}) / K for mine, theirs in pairs])))
    for query in queries:  # in turns
        for store, taken in zip(stores, times, strict=True):
            began = time.perf_counter()
            store.search(query, K)
            taken.append(time.perf_counter() - began)
    for store, taken in zip(stores, times, strict=True):
        whole = clock.time(lambda store=store: [store.search(query, K) for query in queries])  # type: ignore[misc]
        costs.append(Cost(float(np.median(taken)), whole.processor / len(queries)))
    return costs, found, sum(one == other for one, other in zip(*truth, strict=True))


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
            searches, recalls, identical = measure_searches(stores, queries, clock)
            efforts = [store.index_status().ef for store in stores]
    for what, megabytes, building, searching, recall, effort in zip(
        ("one graph", f"{partitions} partitions"), granted.values(), builds, searches, recalls, efforts, strict=True
    ):
        print(
            f"{what}: built in {building.clock:.1f} s ({building.processor:.1f} s of processors) with {megabytes} MB; "
            f"a search {searching.clock * 1e3:.2f} ms ({searching.processor * 1e3:.2f}), recall {recall:.4f}, "
            f"ef {effort}"
        )
    met = identical == len(queries) and recalls[1] >= recalls[0]
    for name, (one, many) in {"build": builds, "search": searches}.items():
        print(f"{name}: {many.clock / one.clock:.2f} × ({many.processor / one.processor:.2f} ×), bar {BARS[name]} ×")
        met = met and many.clock <= BARS[name] * one.clock
    print(f"exact answers: {identical} of {len(queries)} identical; {'met' if met else 'MISSED'}")
    return met


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
