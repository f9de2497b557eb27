"""Measure what each cache of the file backend saves: ``python -m benchmarks.file_caches``.

Every row compares searches as they are with searches without one of the caches, in turns within one process,
on a flat store of clustered vectors with a text of 200 words each. No two queries are equal: what is found
again is found by the filter or the row. A cache stays where a row shows at least 10 %.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import vecstore
from vecstore import Flat, Record, Schema, VectorStore, fields
from vecstore.backends.file.search import search
from vecstore.backends.file.search.exact_codes import CodedRows
from vecstore.backends.file.search.filter_cache import FilterCache
from vecstore.backends.file.search.row_cache import RowCache

ROWS, DIM, CLUSTERS = 60_000, 384, 300
SPREAD = 0.7
"""The noise within a cluster, beside centres of variance 1."""
TURNS, QUERIES, MANY = 8, 40, 200
PER_MILLE = 1_000
TEXT = " ".join(["passage"] * 200)


def without_row_cache() -> AbstractContextManager[object]:
    """Read every row from SQLite."""
    return patch.multiple(RowCache, find=lambda _cache, _rids: {}, keep=lambda _cache, _rows: None)


def without_filter_matches() -> AbstractContextManager[object]:
    """Test every row against the filter in each search."""
    return patch.object(FilterCache, "find", lambda _cache, _condition: None)


def without_narrowing() -> AbstractContextManager[object]:
    """Pass over rows that do not match in each search."""
    return patch.object(CodedRows, "narrow", lambda rows: rows)


def without_products() -> AbstractContextManager[object]:
    """Answer many queries one by one."""
    return patch.object(search, "_MANY", sys.maxsize)


Queries = NDArray[np.float32]
Call = Callable[[VectorStore, Queries, int], object]
"""Takes the number of the turn too: filters that differ by it select the same rows, and share no cache."""


def search_each(per_mille: int | None) -> Call:
    """Return a call that searches with each query, under a filter that so many in a thousand rows match."""

    def call(store: VectorStore, queries: Queries, turn: int) -> None:
        where = None if per_mille is None else {"part": {"$lt": per_mille, "$gte": -turn}}
        for query in queries:
            store.search(query, where=where, exact=True)

    return call


def search_together(store: VectorStore, queries: Queries, _turn: int) -> None:
    """Search with all queries in one call."""
    store.search_many(queries, exact=True)


COMPARISONS: Sequence[tuple[str, str, Callable[[], AbstractContextManager[object]], Call]] = (
    ("row cache", "no filter", without_row_cache, search_each(None)),
    ("row cache", "0.5 % match", without_row_cache, search_each(5)),
    ("row cache", "2 % match", without_row_cache, search_each(20)),
    ("filter matches", "0.5 % match", without_filter_matches, search_each(5)),
    ("filter matches", "2 % match", without_filter_matches, search_each(20)),
    ("filter matches", "30 % match", without_filter_matches, search_each(300)),
    ("narrowed codes", "0.5 % match", without_narrowing, search_each(5)),
    ("narrowed codes", "2 % match", without_narrowing, search_each(20)),
    ("matrix products", f"{MANY} queries at once", without_products, search_together),
)


def draw(random: np.random.Generator, centres: Queries, size: int) -> Queries:
    """Draw vectors around the centres of clusters."""
    noise = SPREAD * random.standard_normal((size, DIM))
    return np.asarray(centres[random.integers(0, CLUSTERS, size)] + noise, np.float32)


@contextmanager
def open_store(random: np.random.Generator, centres: Queries, rows: int) -> Iterator[VectorStore]:
    """Give a store with all rows, in a directory that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder, vecstore.connect(f"file:{folder}") as database:
        store = database.create("docs", Schema(dim=DIM, index=Flat(), fields={"part": fields.Int()}))
        parts = random.permutation(rows) % PER_MILLE
        vectors = draw(random, centres, rows)
        store.upsert(
            Record(f"id{number}", vector, TEXT, {"part": int(part)})
            for number, (vector, part) in enumerate(zip(vectors, parts, strict=True))
        )
        store.compact()
        yield store


def compare(
    store: VectorStore, call: Call, without: Callable[[], AbstractContextManager[object]], queries: Iterator[Queries]
) -> tuple[float, float]:
    """Return the median milliseconds of a query with a cache and without it."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(3):
        call(store, next(queries), 0)
    for turn in range(2 * TURNS):
        with ExitStack() as stack:
            if turn % 2:
                stack.enter_context(without())
            # Once to fill the caches of this turn.
            call(store, next(queries), turn)
            some = next(queries)
            start = time.perf_counter()
            call(store, some, turn)
            times[turn % 2].append((time.perf_counter() - start) * 1e3 / len(some))
    return statistics.median(times[0]), statistics.median(times[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.file_caches", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args(arguments).rows
    random = np.random.default_rng(1)
    centres = random.standard_normal((CLUSTERS, DIM)).astype(np.float32)
    print(f"{rows:,} x {DIM}, ms a query\n{'without':20} {'search':22} {'as is':>8} {'without':>8} {'saved':>6}")
    with open_store(random, centres, rows) as store:
        for name, what, without, call in COMPARISONS:
            size = MANY if call is search_together else QUERIES
            queries = (draw(random, centres, size) for _ in count())
            with_cache, without_cache = compare(store, call, without, queries)
            saved = 1 - with_cache / without_cache
            print(f"{name:20} {what:22} {with_cache:8.3f} {without_cache:8.3f} {saved:6.0%}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
