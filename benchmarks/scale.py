"""Measure what a store costs at growing numbers of rows: ``python -m benchmarks.scale``.

For each place and number of rows: loading columns of ids and vectors, bytes a row before and after the graph, building
the graph, and searches at the calibrated effort and exact ones. The last line projects the bytes, and the times that
grow with the rows, to 10⁷, 10⁸ and 10⁹ rows on a straight line through the origin from the largest number measured;
`docs/scale.md` says what that assumes. Rows beyond those of ``--vectors`` are noisy copies, as in
`benchmarks.partitions`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vecstore
from vecstore import HNSW, Schema, VectorStore
from vecstore.backends.postgres.build_plan import estimate_graph

from . import digest, partitions
from .clock import time_call

NAME = "scale"
ROWS = (10_000, 62_666, 501_328)
EXACT = 20
"""Exact searches that are timed; others are as many as there are queries."""
TITLES = ("rows", "load/s", "B/row", "graph B/row", "build s", "ef", "recall", "search ms", "exact ms")


@dataclass(frozen=True)
class Line:
    """What was measured of one place at one number of rows."""

    rows: int
    loaded: float
    row_bytes: float
    graph_bytes: float
    build: float
    ef: int | None
    recall: float
    search: float
    exact: float

    def __str__(self) -> str:
        rows, loaded, plain, graph, build, ef, recall, search, exact = astuple(self)
        figures = (
            f"{rows:,}", f"{loaded:,.0f}", f"{plain:,.0f}", f"{graph:,.0f}", f"{build:,.1f}", str(ef), f"{recall:.3f}",
            f"{search:.2f}", f"{exact:.1f}",
        )  # fmt: skip
        return "| " + " | ".join(figures) + " |"


def read_bytes(place: str, url: str, store: VectorStore) -> int:
    """Return the bytes of the store: of its files or tables, or of all that is in a server of Redis."""
    if place != "redis":
        return store.stats().bytes
    import redis

    with redis.Redis.from_url(url) as client:
        return int(client.info("memory")["used_memory"])


def extend(url: str, **parameters: int) -> str:
    """Return the URL with more parameters."""
    return url + "".join(f"{'&' if '?' in url else '?'}{name}={value}" for name, value in parameters.items())


def time_searches(store: VectorStore, queries: NDArray[np.float32], *, exact: bool = False) -> float:
    """Return the median milliseconds of a search."""
    seconds = list[float]()
    for query in queries:
        began = time.perf_counter()
        store.search(query, partitions.K, exact=exact)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds) * 1e3)


def measure(place: str, url: str, rows: NDArray[np.float32], queries: NDArray[np.float32]) -> Line:
    """Load, build and search one store, and remove it."""
    if place == "postgres":
        megabytes = -(-estimate_graph(len(rows), rows.shape[1], "vector", partitions.M) * 11 // 10 // (1 << 20))
        url = extend(url, build_memory=megabytes)
    with vecstore.connect(extend(url, index_min_rows=1 << 30)) as database:
        store = database.create(NAME, Schema(rows.shape[1], index=HNSW(m=partitions.M)))
        empty = read_bytes(place, url, store)
        loading, _ = time_call(lambda: partitions.insert_vectors(store, rows))
        plain = read_bytes(place, url, store)
    with vecstore.connect(url) as database:
        store = database.open(NAME)
        building, _ = time_call(store.reindex)
        whole, status = read_bytes(place, url, store), store.index_status()
        true, found = (partitions.find_ids(store, queries, exact=exact) for exact in (True, False))
        line = Line(
            rows=len(rows),
            loaded=len(rows) / loading,
            row_bytes=(plain - empty) / len(rows),
            graph_bytes=(whole - plain) / len(rows),
            build=building,
            ef=status.ef,
            recall=partitions.compare(found, true),
            search=time_searches(store, queries),
            exact=time_searches(store, queries[:EXACT], exact=True),
        )
        database.drop(NAME)
    return line


def project(line: Line) -> list[str]:
    """Return what 10⁷ to 10⁹ rows would take, if everything grew with the rows."""
    made = list[str]()
    for power in (7, 8, 9):
        rows = 10**power
        times = rows / line.rows
        bytes_, days = rows * (line.row_bytes + line.graph_bytes), line.build * times / 86_400
        made.append(
            f"| 10^{power} | {bytes_ / 2**30:,.0f} GiB | load {rows / line.loaded / 3_600:,.1f} h | "
            f"build {days * 24:,.1f} h | exact {line.exact * times / 1e3:,.1f} s |"
        )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", type=int, action="append", help=f"numbers of rows; {', '.join(map(str, ROWS))}")
    parser.add_argument("--place", choices=["file", "postgres", "redis"], action="append")
    parser.add_argument("--vectors", type=Path, help="a file of vectors; without it they are drawn")
    options = parser.parse_args(arguments)
    numbers = sorted(options.rows or ROWS)
    stored, queries = partitions.draw_rows(numbers[-1], options.vectors)
    order = np.random.default_rng(0).permutation(len(stored))
    with tempfile.TemporaryDirectory(prefix="scale-") as made:
        places = options.place or ["file", "postgres", "redis"]
        with digest.open_places(Path(made), places) as urls:
            for place, url in urls.items():
                if place == "postgres":
                    vecstore.connect(url, migrate=True).close()
                print(f"{place}\n| {' | '.join(TITLES)} |\n{'| --- ' * len(TITLES)}|", flush=True)
                for rows in numbers:
                    # Some of all rows, because the noisy copies come behind what they are copies of.
                    line = measure(place, url, stored[order[:rows]], queries)
                    print(line, flush=True)
                print(*project(line), sep="\n", flush=True)
                print(f"load of the machine: {os.getloadavg()[0]:.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
