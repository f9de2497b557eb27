"""Loads, indexes, compacts and searches in a separate process with limited memory.

``python -m tests.file.memory_trial DIRECTORY ROWS DIM MEBIBYTES`` fails if that is not enough memory.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import faiss  # noqa: F401 - the memory of libraries does not count towards the limit
import numpy as np

import vecstore
from vecstore import HNSW, Flat, Record, Schema

TEXT = "a text of some length, as passages are " * 5
SPREAD = 16


def size(name: str) -> int:
    """Return one of the kernel's figures about this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name + ":")).split()[1]) * 1024


def make_records(rows: int, dim: int, stamp: int) -> Iterator[Record]:
    """Draw records whose vectors lie in few dimensions: of many that fill all, so small a graph finds no neighbours."""
    rng = np.random.default_rng(stamp)
    basis = np.random.default_rng(0).standard_normal((SPREAD, dim), np.float32)
    for number in range(rows):
        yield Record(f"r{number:07}", rng.standard_normal(SPREAD, np.float32) @ basis, TEXT, {"stamp": stamp})


def main() -> None:
    directory, rows, dim, limit = sys.argv[1], *map(int, sys.argv[2:])
    before = size("VmData")
    resource.setrlimit(resource.RLIMIT_DATA, (before + (limit << 20), resource.RLIM_INFINITY))
    with vecstore.connect(f"file:{directory}?index_min_rows=1000") as db:
        store = db.create("docs", Schema(dim, "cosine", index=Flat()))
        store.insert(make_records(rows, dim, 1))
        store.upsert(make_records(rows // 3, dim, 2))
        store.reindex(HNSW(m=8, ef_construction=16))
        store.compact()
        found = store.verify()
        assert found.ok, found.problems
        query = np.ones(dim, np.float32)
        assert len(store.search(query, 10_000, include=())) == min(rows, 10_000)
        assert len(store.search(query, 10, exact=True)) == 10
        assert store.count() == rows


if __name__ == "__main__":
    main()
