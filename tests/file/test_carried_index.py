"""A rebuild that keeps vectors takes the graph over: it is not built again, whatever happened to its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import vecstore
from tests.force_graph import MIN_ROWS, force_graph
from vecstore import HNSW, Database, Flat, Metric, Record, Schema, VectorStore, fields
from vecstore.backends.file.index import upkeep
from vecstore.testing.carried_indexes import COUNT, DIM, check_found, draw_vectors, fill

SCHEMA = Schema(dim=DIM, metric="l2", index=HNSW(m=8), vectors="optional", dynamic=True)
KEY: dict[str, fields.Field] = {"n": fields.Int()}


class Built(Exception):
    """A graph was built."""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with force_graph(), vecstore.connect(f"file:{tmp_path}/kb?{MIN_ROWS}") as db:
        yield db


@pytest.fixture
def store(db: Database, monkeypatch: pytest.MonkeyPatch) -> VectorStore:
    """Return a store with a graph; from now on none can be built."""
    store = db.create("docs", SCHEMA)
    fill(store)
    refuse_builds(monkeypatch)
    return store


def refuse_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> NoReturn:
        raise Built

    monkeypatch.setattr(upkeep, "_build_graph", refuse)


def list_graphs(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.rglob("*.faiss"))


def test_a_graph_is_taken_over(db: Database, store: VectorStore, tmp_path: Path) -> None:
    before = store.index_status()
    [first] = list_graphs(tmp_path)
    db.declare("docs", KEY)
    check_found(store)
    after = store.index_status()
    assert (after.ef, after.recall, after.measured, after.ef_construction) == (
        before.ef, before.recall, before.measured, before.ef_construction,
    )  # fmt: skip
    assert after.indexed == after.rows - after.without_vector
    [second] = list_graphs(tmp_path)
    assert first != second
    assert second.with_suffix(".rows").exists()
    assert store.verify().ok
    with vecstore.connect(f"file:{tmp_path}/kb?mode=ro") as other:
        check_found(other.open("docs"))
        assert other.open("docs").verify().ok


def test_it_goes_on_growing(db: Database, store: VectorStore) -> None:
    db.undeclare("docs", ["n"])
    db.rebuild("docs", schema=replace(SCHEMA, fields=KEY))
    store.upsert(Record(f"more-{number}", vector) for number, vector in enumerate(draw_vectors(9, 100)))
    assert store.index_status().indexed > COUNT
    check_found(store)
    store.delete(ids=[f"more-{number}" for number in range(50)])
    db.declare("docs", {"m": fields.Int()})
    check_found(store)
    assert store.verify().ok
    db.rebuild("docs", schema=replace(SCHEMA, dynamic=False))
    check_found(store)
    assert store.verify().ok


def test_a_rebuild_that_broke_off_goes_on(db: Database, store: VectorStore) -> None:
    def stop(phase: str, done: int, total: int | None) -> None:
        if phase == "comparing":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        db.declare("docs", KEY, on_progress=stop)
    store.upsert([Record("r100", draw_vectors(1, 1)[0]), Record("other", draw_vectors(2, 1)[0])])
    db.declare("docs", KEY)
    check_found(store)
    assert store.verify().ok


@pytest.mark.parametrize(
    "schema",
    [replace(SCHEMA, metric=Metric.IP), replace(SCHEMA, dtype="float16"), replace(SCHEMA, index=HNSW(m=12))],
    ids=["metric", "dtype", "options"],
)
def test_another_graph_is_built(db: Database, store: VectorStore, schema: Schema) -> None:
    with pytest.raises(Built):
        db.rebuild("docs", schema=schema)


def test_a_worn_graph_is_built_again(db: Database, store: VectorStore) -> None:
    with pytest.raises(Built):
        store.delete(ids=[f"r{number:03}" for number in range(60, 200)])
    with pytest.raises(Built):
        db.declare("docs", KEY)


def test_a_damaged_graph_is_built_again(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = db.create("docs", SCHEMA)
    fill(store)
    [path] = list_graphs(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    db.declare("docs", KEY)
    check_found(store)
    assert store.verify().ok
    [path] = list_graphs(tmp_path)
    path.unlink()
    db.undeclare("docs", ["n"])
    check_found(store)
    refuse_builds(monkeypatch)
    db.rebuild("docs", schema=replace(SCHEMA, index=Flat()))
    assert not list_graphs(tmp_path)[1:]


def test_another_target_is_measured_again(db: Database, store: VectorStore) -> None:
    db.rebuild("docs", schema=replace(SCHEMA, fields=KEY, index=HNSW(m=8, target_recall=0.9)))
    status = store.index_status()
    assert (status.state, status.target_recall) == ("ready", 0.9)
    check_found(store)


def test_rows_in_the_order_of_their_ids(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = db.create("docs", replace(SCHEMA, vectors="required"))
    store.insert(Record(f"r{number:03}", vector) for number, vector in enumerate(draw_vectors(3, COUNT)))
    store.reindex()
    refuse_builds(monkeypatch)
    db.declare("docs", KEY)
    check_found(store)
    assert store.index_status().indexed == COUNT
    queries = np.array(draw_vectors(4, 50))
    assert [len(hits) for hits in store.search_many(queries, 10)] == [10] * 50
