"""Each kind of index of Milvus, from the making of a store to its end, under each metric; and before it is built."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.postgres.followed import RawNotes, get_following
from tests.postgres.followed import database as database
from tests.postgres.followed import notes as notes
from tests.postgres.stores import add_parameters
from vecstore import HNSW, Columns, Database, F, Filter, MilvusIndex, Schema, VectorStore, fields
from vecstore.backends.postgres.followed import following
from vecstore.index_options import IndexOptions

pytestmark = pytest.mark.long
ROWS, DIM, K = 2_000, 32, 10
QUERIES = 20
KINDS: list[IndexOptions] = [
    HNSW(), MilvusIndex("FLAT"), MilvusIndex("HNSW", m=8, ef_construction=64), MilvusIndex("IVF_FLAT", nlist=16),
    MilvusIndex("IVF_SQ8", nlist=16), MilvusIndex("IVF_PQ", nlist=16, m=16), MilvusIndex("SCANN", nlist=16),
]  # fmt: skip
NEXT = dict(zip(map(repr, KINDS), [*KINDS[1:], KINDS[0]], strict=True))
CASES = list(product(KINDS, ["cosine", "ip", "l2"]))
ASK = """
import json, sys
import numpy as np, vecstore
with vecstore.connect(sys.argv[1]) as database:
    store = database.open("kinds")
    queries = np.load(sys.argv[2])
    hits = [store.search(query, k=10) for query in queries]
    status = store.index_status()
    print(json.dumps([[[hit.id for hit in each] for each in hits], [each.exact for each in hits], status.state]))
"""


@pytest.fixture(scope="module")
def space() -> str:
    return "t_followed_kinds"


@pytest.fixture
def name(database: Database) -> Iterator[str]:
    """A store's name, which is free again after the test."""
    yield "kinds"
    if "kinds" in database.names():
        database.drop("kinds")


def draw_clusters(rows: int, seed: int) -> NDArray[np.float32]:
    """Return vectors around 40 centres, of lengths that differ."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(40, DIM))
    vectors = centres[draw.integers(0, 40, rows)] + 0.5 * draw.normal(size=(rows, DIM))
    return np.asarray(vectors, np.float32)


def measure(
    store: VectorStore, queries: NDArray[np.float32], where: Filter | None = None, *, by_milvus: bool = True
) -> float:
    """Return the mean recall of searches, each answered by Milvus or not, with k hits and their true scores."""
    recalls = []
    for query in queries:
        hits, true = (store.search(query, k=K, where=where, exact=exact) for exact in (False, True))
        assert (len(hits), hits.exact) == (K, not by_milvus)
        scores = {hit.id: hit.score for hit in true}
        assert all(hit.score == scores[hit.id] for hit in hits if hit.id in scores)
        recalls.append(len(scores.keys() & {hit.id for hit in hits}) / K)
    return float(np.mean(recalls))


@pytest.mark.parametrize("index, metric", CASES, ids=[f"{metric}-{index!r}" for index, metric in CASES])
def test_a_kind_from_its_making_to_its_end(
    database: Database, name: str, notes: RawNotes, postgres_url: str, space: str, milvus_url: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: IndexOptions, metric: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(following, "FEW", 200)
    vectors, queries = draw_clusters(ROWS, 1), draw_clusters(QUERIES, 2)
    store = database.create(name, Schema(DIM, metric=metric, index=index, fields={"n": fields.Int()}))
    store.upsert(Columns(ids=[f"r{n}" for n in range(ROWS)], vectors=vectors, metadata={"n": np.arange(ROWS)}))
    first = check_followed(store, notes, index, queries)
    store.update(ids=["r7"], vector=queries[0] * 3 if metric == "ip" else queries[0])
    store.delete(ids=["r8"])
    assert "r7" in {hit.id for hit in store.search(queries[0], k=K)}
    store.compact()  # which sends what is noted: a record that is sent twice keeps IVF_PQ from being asked
    can_mask = notes.read_follower()["plan"]["name"] != "IVF_PQ"
    assert measure(store, queries, by_milvus=can_mask) >= 0.9
    store.reindex(NEXT[repr(index)])
    second = check_followed(store, notes, NEXT[repr(index)], queries)
    assert second != first
    assert notes.list_left() == []
    np.save(path := tmp_path / "queries.npy", queries)
    url = add_parameters(postgres_url, space, vectors=milvus_url)
    said = subprocess.run([sys.executable, "-W", "error", "-c", ASK, url, path], check=True, capture_output=True)
    ids, exact, state = json.loads(said.stdout)
    assert ids == [[hit.id for hit in store.search(query, k=K)] for query in queries]
    assert (set(exact), state) == ({False}, "ready")
    collections = [get_following(database).feeder.open(store._current.entry.active, name) for name in (first, second)]
    database.drop(name)
    assert not any(each.exists() for each in collections)
    assert (notes.read_follower(), notes.list_left()) == ({}, [])


def check_followed(store: VectorStore, notes: RawNotes, index: IndexOptions, queries: NDArray[np.float32]) -> str:
    """Check that Milvus answers by way of an index as asked for; return the name of the collection."""
    wait_until(lambda: store.index_status().state == "ready")  # a busy server may build longer than one waits for it
    if store.index_status().ef is None:
        store.calibrate()
    status, found = store.index_status(), notes.read_follower()
    assert (status.state, status.reason) == ("ready", None)
    assert found["plan"]["name"] == ("HNSW" if isinstance(index, HNSW) else getattr(index, "name", None))
    assert measure(store, queries) >= 0.9
    can_mask = found["plan"]["name"] != "IVF_PQ"
    assert measure(store, queries, F.n < ROWS // 2, by_milvus=can_mask) >= 0.9
    return str(found["collection"])


def read_growing(database: Database, store: VectorStore) -> int:
    found = get_following(database).upkeep._open(store._current.entry.active)
    assert found is not None
    follower, collection = found
    return collection.read_segments(follower.applied).growing


def wait_until(is_done: Callable[[], bool]) -> None:
    pause, until = threading.Event(), time.monotonic() + 120
    while not is_done() and time.monotonic() < until:
        pause.wait(0.5)


def test_what_an_interim_index_would_lose_is_answered_by_postgresql(
    database: Database, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "FEW", 200)
    draw = np.random.default_rng(3)
    index = MilvusIndex("IVF_FLAT", nlist=64)
    store = database.create(name, Schema(DIM, metric="l2", index=index, fields={"n": fields.Int()}))
    queries = draw.normal(size=(QUERIES, DIM)).astype(np.float32)
    few = F.n < 100

    def write(start: int, rows: int) -> None:
        ids = [f"r{number}" for number in range(start, start + rows)]
        some = draw.integers(0, 1_000, rows)
        store.upsert(Columns(ids=ids, vectors=draw.normal(size=(rows, DIM)), metadata={"n": some}))

    write(0, 3_000)
    assert store.index_status().state == "ready"
    for batch in range(4):  # in parts small enough to be compared one by one, until a feeder has them sealed
        write(3_000 + 1_000 * batch, 1_000)
        assert not store.search(queries[0], k=K).exact
    wait_until(lambda: read_growing(database, store) == 0)
    assert measure(store, queries, few) >= 0.9
    write(7_000, 6_000)
    route = get_following(database).route
    route._segments.clear()
    assert [store.search(query, k=K, where=few).exact for query in queries] == [True] * QUERIES
    status = store.index_status()
    assert status.state == "building"
    assert status.indexed <= 7_000
    assert "PostgreSQL answers" in (status.reason or "")
    wait_until(lambda: not store.search(queries[0], k=K, where=few).exact)
    assert measure(store, queries, few) >= 0.9
    assert store.index_status().state == "ready"
