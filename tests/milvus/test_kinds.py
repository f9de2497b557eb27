"""Each kind of index on a real server: built, described as it was asked for, and searched with its efforts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from vecstore import HNSW, MilvusIndex, Schema
from vecstore.backends.milvus.answers import CollectionIndex
from vecstore.backends.milvus.client import MilvusClient
from vecstore.backends.milvus.collection import Collection
from vecstore.backends.milvus.indexes import count_candidates, list_efforts
from vecstore.backends.milvus.segments import INDEXED_ROWS

from .collections import draw_vectors, make_plan, open_collection

ROWS, DIM, K = 4_000, 32, 10
PATIENCE = 120.0
BUILT = [
    HNSW(), HNSW(m=8, ef_construction=40), MilvusIndex("FLAT"), MilvusIndex("IVF_FLAT", nlist=32),
    MilvusIndex("IVF_SQ8", nlist=32), MilvusIndex("IVF_PQ", nlist=32, m=16, nbits=8), MilvusIndex("SCANN", nlist=32),
]  # fmt: skip


def count_served(state: CollectionIndex) -> int:
    """Return how many rows are read as the index says. No segment of FLAT is told to have one."""
    return state.segments.served if state.plan.has_interim else state.indexed


def wait_until_built(collection: Collection) -> None:
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while (state := collection.read_index()).pending or not INDEXED_ROWS <= state.indexed <= count_served(state):
        assert state.failure is None
        assert time.monotonic() < deadline, state
        pause.wait(0.2)


def find_exactly(vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> list[set[str]]:
    distances = ((queries[:, None] - vectors[None]) ** 2).sum(axis=2)
    return [set(map(str, order[:K])) for order in np.argsort(distances, axis=1)]


def measure(collection: Collection, queries: NDArray[np.float32], truth: list[set[str]], k: int, effort: int) -> float:
    found = collection.search(queries, k, effort=effort)
    return float(np.mean([len(exact & set(each.ids)) / K for each, exact in zip(found, truth, strict=True)]))


def check_kind(client: MilvusClient, options: HNSW | MilvusIndex, rows: int) -> list[float]:
    """Build an index, and return the recall of each effort."""
    schema = Schema(dim=DIM, metric="l2")
    vectors, queries = draw_vectors(rows, DIM), draw_vectors(20, DIM, seed=1)
    truth = find_exactly(vectors, queries)
    with open_collection(client, schema, options) as collection:
        plan = make_plan(schema, options)
        assert collection.read_index().plan == plan
        collection.upsert([f"{n}" for n in range(rows)], vectors, {}, [0] * rows)
        before = collection.read_index()
        assert (before.indexed, before.segments.served) == (0, 0)
        collection.flush()
        wait_until_built(collection)
        assert collection.read_index().plan == plan
        k = count_candidates(plan, K)
        return [measure(collection, queries, truth, k, effort) for effort in list_efforts(plan, k) or (0,)]


@pytest.mark.long
def test_an_index_is_built_and_searched(client: MilvusClient) -> None:
    recalls = check_kind(client, MilvusIndex("IVF_FLAT", nlist=16), 1_500)
    assert recalls[-1] > 0.99
    assert recalls[0] < recalls[-1]


@pytest.mark.long
@pytest.mark.parametrize("options", BUILT, ids=repr)
def test_every_kind(
    client: MilvusClient, options: HNSW | MilvusIndex, record_property: Callable[[str, object], None]
) -> None:
    recalls = check_kind(client, options, ROWS)
    record_property("summary", f"{options}: recall@{K} {', '.join(f'{recall:.3f}' for recall in recalls)}")
    assert max(recalls) > 0.9
    if make_plan(Schema(dim=DIM), options).effort_name == "nprobe":
        assert recalls == sorted(recalls), "more lists find more, unless another index answered"
