"""Recall after many deletes and updates: kept without a word, restored in full by `compact`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import vecstore
from vecstore import HNSW, Record, Schema
from vecstore.store import VectorStore
from vecstore.testing.chance import lowest_mean


def draw_clustered(rng: np.random.Generator, n: int, dim: int) -> NDArray[np.float32]:
    centres = np.random.default_rng(1).standard_normal((50, dim))
    return (centres[rng.integers(0, 50, n)] + 0.6 * rng.standard_normal((n, dim))).astype(np.float32)


def measure_recalls(store: VectorStore, queries: NDArray[np.float32]) -> list[float]:
    truth = store.search_many(queries, 10, exact=True, include=())
    found = [store.search(query, 10, include=()) for query in queries]
    assert not any(hits.exact for hits in found)
    assert all(len(hits) == 10 for hits in found)
    return [len({hit.id for hit in a} & {hit.id for hit in b}) / 10 for a, b in zip(truth, found, strict=True)]


def drift(directory: Path, rng: np.random.Generator, rows: int, dim: int, cycles: int) -> None:
    """Delete 30 % and move another 30 %, with as many new records, again and again."""
    with vecstore.connect(f"file:{directory}?index_min_rows=1000") as db:
        store = db.create("docs", Schema(dim, "l2", index=HNSW(target_recall=0.99)))
        store.upsert(Record(str(number), vector) for number, vector in enumerate(draw_clustered(rng, rows, dim)))
        alive, last, share = list(range(rows)), rows, int(rows * 0.3)
        queries = draw_clustered(rng, 200, dim)
        for _ in range(cycles):
            chosen = rng.permutation(alive)
            store.delete(ids=[str(number) for number in chosen[:share]])
            moved = [*chosen[share : 2 * share].tolist(), *range(last, last + share)]
            vectors = draw_clustered(rng, len(moved), dim)
            store.upsert(Record(str(number), vector) for number, vector in zip(moved, vectors, strict=True))
            alive, last = sorted({*chosen[share:].tolist(), *moved}), last + share
            assert store.count() == len(alive)
            recalls = measure_recalls(store, queries)
            assert np.mean(recalls) >= lowest_mean(recalls, 0.95)
        store.compact()
        recalls = measure_recalls(store, queries)
        assert np.mean(recalls) >= lowest_mean(recalls, 0.98)
        assert store.measure_recall().mean >= 0.98
        assert store.verify().ok


def test_recall_drift(tmp_path: Path, rng: np.random.Generator) -> None:
    drift(tmp_path / "kb", rng, 3_000, 32, 4)


@pytest.mark.long
def test_long_recall_drift(tmp_path: Path, rng: np.random.Generator) -> None:
    drift(tmp_path / "kb", rng, 20_000, 64, 10)
