"""What PostgreSQL's caches and memories bring to a call: ``python -m benchmarks.postgres_caches``.

One store on a server of its own is asked the same with and without each of them, in turns of a few calls, so that what
else runs on the machine slows both alike. A cache stays in the code where a row shows at least 10 %.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from unittest.mock import patch

import numpy as np

import vecstore
from vecstore import HNSW, F, Flat, Record, Schema, VectorStore, fields
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.copy_or_insert import CopyOrInsert
from vecstore.backends.postgres.few_matches_cache import FewMatches

from . import postgres_server

DIM, CLUSTERS = 384, 400
BATCH = 200
TURN = 10
"""Calls before the other side has its turn."""
WORTH = 0.10


@dataclass(frozen=True, slots=True)
class Row:
    """A call, and what is taken away from it."""

    title: str
    without: str
    call: Callable[[VectorStore, int], object]
    calls: int


def make_vectors(count: int, seed: int) -> np.ndarray:
    """Return vectors around centres, shape (count, DIM), float32."""
    centres = np.random.default_rng(1).normal(size=(CLUSTERS, DIM))
    draw = np.random.default_rng(seed)
    return (centres[draw.integers(CLUSTERS, size=count)] + 0.6 * draw.normal(size=(count, DIM))).astype(np.float32)


QUERIES = make_vectors(200, 2)


def search(store: VectorStore, number: int) -> object:
    """Search the graph."""
    return store.search(QUERIES[number % len(QUERIES)], 10)


def search_few(store: VectorStore, number: int) -> object:
    """Search among 0.5 % of the records."""
    return store.search(QUERIES[number % len(QUERIES)], 10, where=F.share < 5)


def fetch(store: VectorStore, number: int) -> object:
    """Get one record by its id."""
    return store.get([f"r{number:06}"])


def replace(store: VectorStore, number: int) -> object:
    """Upsert records of which all are stored."""
    return store.upsert(BATCHES[number % len(BATCHES)])


def replace_one(store: VectorStore, number: int) -> object:
    """Upsert records of which the last one is stored; then remove the others."""
    batch = BATCHES[number % len(BATCHES)]
    store.upsert(batch[-1:])
    written = store.upsert(batch)
    store.delete(ids=[record.id for record in batch[:-1]])
    return written


def make_records(start: int, stop: int) -> list[Record]:
    """Return the records of some numbers."""
    vectors = make_vectors(stop - start, start + 10)
    return [
        Record(f"r{number:06}", vector, "text " * 20, {"share": number * 7 % 1000})
        for number, vector in zip(range(start, stop), vectors, strict=True)
    ]


BATCHES = [make_records(start, start + BATCH) for start in range(0, 10 * BATCH, BATCH)]

SEARCHES = (
    Row("search", "connection cache", search, 600),
    Row("get of one record", "connection cache", fetch, 600),
    Row("search, 0.5 % match", "connection cache", search_few, 300),
    Row("search, 0.5 % match", "few matches", search_few, 300),
)
UPSERTS = (
    Row(f"upsert of {BATCH} stored records", "copy or insert", replace, 200),
    Row(f"upsert of {BATCH} records, 1 stored", "copy or insert", replace_one, 200),
)


class NoFewMatches(FewMatches):
    """Remembers nothing."""

    def remember(self, search: int, *, are_few: bool) -> None:
        """Forget it at once."""


class NoCopyOrInsert(CopyOrInsert):
    """Remembers nothing."""

    def remember_stored(self, generation: str) -> None:
        """Forget it at once."""


@contextmanager
def taken_away(backend: PostgresBackend, what: str) -> Iterator[None]:
    """Do without one of them for a while."""
    with ExitStack() as stack:
        if what == "few matches":
            stack.enter_context(patch.object(backend, "_few_matches", NoFewMatches()))
        elif what == "copy or insert":
            stack.enter_context(patch.object(backend, "_copy_or_insert", NoCopyOrInsert()))
        else:
            stack.enter_context(patch.object(backend._client._connections, "_keeps", False))
        yield


def time_calls(store: VectorStore, row: Row, start: int) -> list[float]:
    """Return the milliseconds of one turn."""
    found = []
    for number in range(start, start + TURN):
        begun = time.perf_counter()
        row.call(store, number)
        found.append((time.perf_counter() - begun) * 1000)
    return found


def compare(store: VectorStore, row: Row) -> tuple[float, float]:
    """Return the median milliseconds of a call with and without."""
    backend = cast("PostgresBackend", store._backend)
    kept: list[float] = []
    bare: list[float] = []
    for turn in range(row.calls // TURN + 1):
        present = time_calls(store, row, turn * TURN)
        with taken_away(backend, row.without):
            absent = time_calls(store, row, turn * TURN)
        if turn:  # the first prepares statements
            kept += present
            bare += absent
    return statistics.median(kept), statistics.median(bare)


def show(store: VectorStore, row: Row) -> None:
    """Print one row of the table."""
    kept, bare = compare(store, row)
    brings = 1 - kept / bare
    verdict = "worth it" if brings >= WORTH else ""
    print(f"| {row.title} | {row.without} | {kept:.3f} | {bare:.3f} | {brings:.0%} | {verdict} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    rows = parser.parse_args(arguments).rows
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server.run_server(Path(folder) / "pg") as url,
        vecstore.connect(url, migrate=True) as db,
    ):
        store = db.create("records", Schema(DIM, "cosine", "float32", HNSW(), {"share": fields.Int()}))
        store.insert(make_records(0, rows))
        print(f"{rows:,} rows of {DIM} dimensions, ef {store.index_status().ef}")
        print("| call | without | ms with | ms without | brings | |\n|---|---|---|---|---|---|")
        for row in SEARCHES:
            show(store, row)
        flat = db.create("flat", Schema(DIM, "cosine", "float32", Flat(), {"share": fields.Int()}))
        flat.insert(make_records(0, 10 * BATCH))
        for row in UPSERTS:
            show(flat, row)


if __name__ == "__main__":
    main()
