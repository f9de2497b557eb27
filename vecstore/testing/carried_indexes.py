"""What an index finds after a rebuild that kept the vectors, also what changed before and meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from .. import fields
from ..database import Database
from ..index_options import HNSW
from ..metric import Metric
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .indexes import mean_recall
from .place import Place
from .rebuild_fixtures import SmallPages

COUNT = 400
DIM = 8


def draw_vectors(seed: int, count: int) -> np.ndarray:
    """Return random vectors."""
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def fill(store: VectorStore) -> None:
    """Write records in another order than that of their ids, some of them copies of one, and change some."""
    vectors = draw_vectors(5, COUNT)
    vectors[100:120] = vectors[0]
    names = np.random.default_rng(6).permutation(COUNT)
    store.insert(
        Record(f"r{name:03}", vector, f"text {name}", {"n": int(name)})
        for name, vector in zip(names, vectors, strict=True)
    )
    store.reindex()
    store.delete(ids=[f"r{number:03}" for number in range(0, 60, 3)])
    store.update(ids=["r001", "r002"], vector=vectors[7] + 1)
    store.update(ids=["r004"], vector=None)
    store.upsert([Record("late", vectors[9] - 1), Record("r399", vectors[11] * 2, metadata={"n": 0})])


def check_found(store: VectorStore) -> None:
    """Prove that searches find every record that has a vector, and the nearest ones as well as an exact search."""
    present = {record.id for record in store.scan(include=("vector",)) if record.vector is not None}
    queries = draw_vectors(7, 20)
    for query in queries[:3]:
        assert {hit.id for hit in store.search(query, k=2 * COUNT)} == present
    found, truth = ([store.search(query, k=10, exact=exact) for query in queries] for exact in (False, True))
    assert all(len(hits) == 10 for hits in found)
    assert mean_recall(found, truth) > 0.9


class CarriedIndexTests(SmallPages):
    """A generation that has the vectors of another one may take its index over, and finds what it holds."""

    @pytest.mark.parametrize("metric", list(Metric))
    def test_after_changes_before_and_meanwhile(self, place: Place, db: Database, metric: Metric) -> None:
        store = db.create("docs", Schema(dim=DIM, metric=metric, index=HNSW(m=8), vectors="optional", dynamic=True))
        fill(store)
        check_found(store)
        turn = 0

        def disturb(phase: str, done: int, total: int | None) -> None:
            nonlocal turn
            if phase in {"copying", "comparing"} and turn < 12:
                turn += 1
                near = draw_vectors(turn, 3)
                store.upsert([Record(f"r{200 + turn:03}", near[0]), Record(f"new-{turn}", near[1])])
                store.delete(ids=[f"r{300 + turn:03}"])
                store.update(ids=[f"r{100 + turn:03}"], vector=near[2] if turn % 2 else None)

        before = store.index_status()
        db.declare("docs", {"n": fields.Int()}, on_progress=disturb)
        check_found(store)
        db.undeclare("docs", ["n"])
        check_found(store)
        assert store.index_status().state == before.state == ("ready" if place.indexed else "none")
        assert store.verify().ok

    def test_the_effort_stays(self, place: Place, db: Database) -> None:
        store = db.create("docs", Schema(dim=DIM, index=HNSW(m=8)))
        fill_plain(store)
        before = store.index_status()
        db.declare("docs", {"n": fields.Int()})
        after = store.index_status()
        assert (after.state, after.target_recall) == (before.state, before.target_recall)
        if place.indexed:
            assert after.indexed == after.rows == COUNT
        db.rebuild("docs", schema=Schema(dim=DIM, index=HNSW(m=12), fields={"n": fields.Int()}))
        assert [index.m for index in place.indexes("docs")] in ([], [12])


def fill_plain(store: VectorStore) -> None:
    """Write records and build their index."""
    store.insert(Record(f"r{number:03}", vector) for number, vector in enumerate(draw_vectors(8, COUNT)))
    store.reindex()
