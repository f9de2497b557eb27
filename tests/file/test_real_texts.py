"""Recall on embeddings of real texts, as a user gets it who names no effort, with and without a filter.

The texts are those of the benchmark. If they are missing, generated texts replace them.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import vecstore
from tests.sources import ROOT
from vecstore import HNSW, F, Record, Schema, fields
from vecstore.embedders import WordLlamaEmbedder
from vecstore.store import VectorStore
from vecstore.testing.chance import lowest_mean

BENCH = ROOT.parent / "shared" / "bench"
WORDS = [
    "a",
    "an",
    "the",
    "of",
    "for",
    "with",
    "library",
    "tool",
    "data",
    "file",
    "system",
    "network",
    "python",
    "fonts",
    "games",
    "server",
    "client",
    "files",
]
QUERIES = 300
SHARES = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8)


def texts(count: int, rng: np.random.Generator) -> list[str]:
    path = BENCH / "debian-packages.jsonl.gz"
    if not path.exists():
        return [" ".join(rng.choice(WORDS, 12)) + f" {number}" for number in range(count)]
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        every = [json.loads(line)["text"] for line in lines]
    return [every[place] for place in rng.permutation(len(every))[:count]]


def minilm(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    path = BENCH / "debian-packages.minilm-384.f16.npy"
    if not path.exists():
        pytest.skip("the embeddings of the benchmark are not here; test_words covers the code")
    every = np.load(path, mmap_mode="r")
    found: NDArray[np.float32] = every[np.sort(rng.permutation(len(every))[:count])].astype(np.float32)
    return rng.permutation(found)


def words(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return WordLlamaEmbedder(normalize=False).embed_documents(texts(count, rng))


def measure_recalls(store: VectorStore, queries: NDArray[np.float32], share: float | None) -> list[float]:
    where = None if share is None else F.share < share
    matching = store.count(where)
    truth = store.search_many(queries, 10, where=where, exact=True, include=())
    values = []
    for query, true in zip(queries, truth, strict=True):
        found = store.search(query, 10, where=where, include=())
        assert len(found) == min(10, matching)
        # As near as the last true hit is as good: texts occur twice.
        floor = true[-1].score - 1e-5 * abs(true[-1].score)
        values.append(sum(hit.score >= floor for hit in found) / len(true))
    return values


def check(directory: Path, vectors: NDArray[np.float32], metric: str, rng: np.random.Generator) -> None:
    queries, stored = vectors[:QUERIES], vectors[QUERIES:]
    shares = rng.permutation(len(stored)) / len(stored)
    with vecstore.connect(f"file:{directory}") as db:
        store = db.create("texts", Schema(stored.shape[1], metric, index=HNSW(), fields={"share": fields.Float()}))
        store.insert(
            Record(str(number), vector, metadata={"share": share})
            for number, (vector, share) in enumerate(zip(stored, shares.tolist(), strict=True))
        )
        status = store.index_status()
        assert status.state == "ready"
        for share in (None, *SHARES):
            recalls = measure_recalls(store, queries if share is None else queries[:50], share)
            # A sample of queries has a sampling error.
            assert np.mean(recalls) >= lowest_mean(recalls, 0.98), share


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_words(tmp_path: Path, rng: np.random.Generator, metric: str) -> None:
    check(tmp_path / "kb", words(12_000 + QUERIES, rng), metric, rng)


@pytest.mark.long
@pytest.mark.parametrize("metric", ["ip", "l2", "cosine"])
def test_all_words(tmp_path: Path, rng: np.random.Generator, metric: str) -> None:
    check(tmp_path / "kb", words(63_000, rng), metric, rng)


@pytest.mark.long
def test_all_sentences(tmp_path: Path, rng: np.random.Generator) -> None:
    check(tmp_path / "kb", minilm(63_000, rng), "cosine", rng)
