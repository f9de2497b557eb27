"""What calibration finds, and what it is worth: ``python -m benchmarks.calibration DATA URL [--rows 150000] …``.

DATA is ``clusters`` (4,000 centres of Zipf sizes, each spread in 24 of 384 dimensions), ``blobs`` (600 centres of equal
sizes, 40 dimensions, more noise), ``words`` (unnormalised static vectors of invented sentences) or a ``.npy`` file. Of
its rows 2,000, drawn at random, are not stored: ten draws of 200 queries. Each line of the table is one build: how long
it took with its calibration, the effort that was found and how, the recall@10 of the draws at that effort, the
smallest effort of the ladder that has `HNSW.target_recall` over all draws, and the time of a search, one at a time. On
a busy machine the part of it that this process computes says more.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vecstore
from vecstore import HNSW, Flat, Hits, Record, Schema, UnusedIndexWarning, VectorStore
from vecstore.calibration.effort import LADDER

from .corpus import Vectors, normalize

DRAWS, QUERIES, K, TIMED = 10, 200, 10, 500
HEAD = (
    "| data | rows | metric | backend | build s | ef_construction | ef | measured with | recall min | mean "
    "| needed ef | ms a search | of them in this process's CPU |\n|" + " --- |" * 13
)


def draw_clusters(
    rows: int, seed: int, *, centres: int, inner: int, spread: float, noise: float, power: float, dim: int = 384
) -> Vectors:
    """Return unit vectors around centres, each spread in a few dimensions of its group; ``power`` 1 is Zipf's law."""
    draw = np.random.default_rng(seed)
    weights = 1 / np.arange(1, centres + 1) ** power
    own = draw.choice(centres, rows, p=weights / weights.sum())
    middles = draw.normal(size=(centres, dim))
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    bases = np.stack([np.linalg.qr(draw.normal(size=(dim, inner)))[0] for _ in range(50)])
    vectors = np.empty((rows, dim), np.float32)
    for start in range(0, rows, 10_000):
        some = own[start : start + 10_000]
        within = np.einsum("nij,nj->ni", bases[some % 50], draw.normal(size=(len(some), inner)) * spread)
        vectors[start : start + 10_000] = middles[some] + within + draw.normal(size=(len(some), dim)) * noise
    return normalize(vectors)


def draw_sentences(rows: int, seed: int) -> Vectors:
    """Return means of word vectors of differing norms, as static embedders make them: few words make long vectors."""
    draw = np.random.default_rng(seed)
    words = draw.normal(size=(20_000, 256)) * draw.lognormal(0, 0.5, (20_000, 1))
    frequencies = 1 / np.arange(1, 20_001)
    vectors = np.empty((rows, 256), np.float32)
    for row, length in enumerate(draw.integers(3, 30, rows)):
        vectors[row] = words[draw.choice(20_000, length, p=frequencies / frequencies.sum())].mean(axis=0)
    return vectors


DATA: Mapping[str, Callable[[int, int], Vectors]] = {
    "clusters": lambda rows, seed: draw_clusters(
        rows, seed, centres=4_000, inner=24, spread=0.2, noise=0.002, power=1.0
    ),
    "blobs": lambda rows, seed: draw_clusters(rows, seed, centres=600, inner=40, spread=0.12, noise=0.01, power=0.0),
    "words": draw_sentences,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("url")
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--metric", default="cosine")
    parser.add_argument("--builds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ef-construction", type=int)
    given = parser.parse_args(arguments)
    print(HEAD, flush=True)
    for build in range(given.builds):
        every = read_data(given.data, given.rows + DRAWS * QUERIES, given.seed + build)
        stored, queries = every[: -DRAWS * QUERIES], every[-DRAWS * QUERIES :]
        index = HNSW(ef_construction=given.ef_construction)
        cells = measure(stored, queries, given.url, given.metric, index)
        name = Path(given.data).stem
        backend = given.url.partition(":")[0]
        print("|", " | ".join([name, f"{len(stored):,}", given.metric, backend, *cells]), "|", flush=True)


def read_data(name: str, rows: int, seed: int) -> Vectors:
    """Return rows in random order."""
    if name in DATA:
        return DATA[name](rows, seed)
    every = np.load(name, mmap_mode="r")
    places = np.random.default_rng(seed).permutation(len(every))[:rows]
    return np.asarray(every[np.sort(places)], np.float32)[np.argsort(np.argsort(places))]


def measure(stored: Vectors, queries: Vectors, url: str, metric: str, index: HNSW) -> list[str]:
    """Build a store and return its cells of the table."""
    with vecstore.connect(url, migrate=url.startswith("postgresql")) as db:
        store = db.create("calibrated", Schema(stored.shape[1], metric, index=Flat()))
        try:
            store.insert(Record(f"r{row:07}", vector) for row, vector in enumerate(stored))
            began = time.perf_counter()
            with warnings.catch_warnings(action="ignore", category=UnusedIndexWarning):
                store.reindex(index)
            seconds = time.perf_counter() - began
            return [f"{seconds:.0f}", *describe(store, queries)]
        finally:
            db.drop("calibrated")


def describe(store: VectorStore, queries: Vectors) -> list[str]:
    """Return what was found, what it is worth, and what would have been enough."""
    status = store.index_status()
    truth = ask(store, queries, exact=True)
    recalls = measure_recalls(ask(store, queries), truth)
    draws = recalls.reshape(DRAWS, QUERIES).mean(axis=1)
    target = status.target_recall or 0
    needed = next((ef for ef in LADDER if measure_recalls(ask(store, queries, ef=ef), truth).mean() >= target), None)
    began, busy = time.perf_counter(), time.process_time()
    for query in queries[:TIMED]:
        store.search(query, K)
    spent, busy = (time.perf_counter() - began) / TIMED * 1_000, (time.process_time() - busy) / TIMED * 1_000
    return [
        str(status.ef_construction), str(status.ef), f"{status.measured} ({status.recall or 0:.3f})",
        f"{draws.min():.4f}", f"{draws.mean():.4f}", str(needed), f"{spent:.2f}", f"{busy:.2f}",
    ]  # fmt: skip


def ask(store: VectorStore, queries: Vectors, **options: Any) -> list[Hits]:
    """Return the hits of all queries, without columns."""
    return [
        hits
        for start in range(0, len(queries), QUERIES)
        for hits in store.search_many(queries[start : start + QUERIES], K, include=(), **options)
    ]


def measure_recalls(found: Sequence[Hits], truth: Sequence[Hits]) -> NDArray[np.float64]:
    """Return the share of true hits that were found, or that are as near, for each query."""
    shares = []
    for hits, true in zip(found, truth, strict=True):
        near, floor = {hit.id for hit in true}, true[-1].score - 1e-6 * abs(true[-1].score)
        shares.append(sum(hit.id in near or hit.score >= floor for hit in hits) / len(true))
    return np.array(shares)


if __name__ == "__main__":
    main()
