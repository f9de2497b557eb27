"""What the facade makes of measurements of an index: an effort, or a second build that takes more care."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.graph_backend import GraphBackend
from vecstore import HNSW, Database, Metric, Record, Schema, UnusedIndexWarning, VectorStore, fields
from vecstore.backend import Found, Rows
from vecstore.calibration import calibrate
from vecstore.calibration.effort import LADDER

DIM = 6


@pytest.fixture
def backend() -> GraphBackend:
    return GraphBackend()


@pytest.fixture
def store(backend: GraphBackend) -> VectorStore:
    store = Database(backend).create("docs", Schema(DIM, "l2", index=HNSW(target_recall=0.98)))
    store.insert(some_records(300))
    backend.steps.clear()
    return store


def some_records(count: int, start: int = 0) -> list[Record]:
    rows = np.random.default_rng(start).normal(size=(count, DIM))
    return [Record(f"r{start + number:04}", row) for number, row in enumerate(rows)]


def ef_of(backend: GraphBackend) -> int | None:
    return backend.find(name="docs").active.ef


BUILDS: dict[str, Callable[[VectorStore], object]] = {
    "write": lambda store: store.insert(some_records(1, 950)),
    "reindex": lambda store: store.reindex(),
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_graph_that_misses_the_target_is_built_again_with_more_effort(
    backend: GraphBackend, store: VectorStore, build: Callable[[VectorStore], object]
) -> None:
    backend.best, backend.better = 0.9, 1.0
    backend.built.clear()
    backend.steps.clear()
    build(store)
    assert store.index_status().ef_construction == 200
    assert ef_of(backend) in LADDER
    assert backend.steps.count("build") + backend.steps.count("tend") == 2
    # Nobody asked for another graph.
    backend.steps.clear()
    store.calibrate()
    assert "build" not in backend.steps


def test_the_next_build_begins_with_what_the_last_one_needed(backend: GraphBackend, store: VectorStore) -> None:
    backend.best, backend.better = 0.9, 1.0
    store.reindex()
    for options in (None, HNSW(target_recall=0.98)):
        backend.steps.clear()
        store.reindex(options)
        assert backend.steps.count("build") == 1
        assert (store.index_status().ef_construction, ef_of(backend) in LADDER) == (200, True)
    # Other options are tried from the beginning.
    backend.best = 1.0
    backend.steps.clear()
    store.reindex(HNSW(target_recall=0.9))
    assert (backend.steps.count("build"), store.index_status().ef_construction) == (1, 100)


def test_a_rebuild_that_keeps_the_vectors_begins_there_too(backend: GraphBackend, store: VectorStore) -> None:
    backend.best, backend.better = 0.9, 1.0
    store.reindex()
    backend.steps.clear()
    Database(backend).rebuild("docs", schema=replace(store.schema, fields={"n": fields.Int()}))
    assert backend.steps.count("build") == 1
    assert Database(backend).open("docs").index_status().ef_construction == 200
    backend.steps.clear()
    Database(backend).rebuild("docs", schema=replace(store.schema, fields={}, metric=Metric.COSINE))
    assert backend.steps.count("build") == 2


def test_a_graph_that_needs_much_effort_is_built_again_once(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "MUCH", 16)
    backend.steps.clear()
    store.reindex()
    assert backend.steps.count("build") == 2
    assert (store.index_status().ef_construction, ef_of(backend) in LADDER) == (200, True)


def test_a_number_that_was_given_is_kept(backend: GraphBackend, store: VectorStore) -> None:
    backend.best, backend.better = 0.9, 1.0
    backend.steps.clear()
    with pytest.warns(UnusedIndexWarning):
        store.reindex(HNSW(ef_construction=60))
    assert backend.steps.count("build") == 1
    assert (store.index_status().ef_construction, ef_of(backend)) == (60, None)


def test_what_was_measured_during_a_build_is_not_measured_again(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = backend.build_index

    def build(generation: Any, on_progress: Any, measure: Any, ef_construction: int | None = None) -> None:
        own(generation, on_progress, measure, ef_construction)
        measure(Perfect(), generation.schema.index)

    monkeypatch.setattr(backend, "build_index", build)
    backend.steps.clear()
    store.reindex()
    status = store.index_status()
    assert (status.ef, status.recall, status.measured) == (16, 1.0, "held-out rows")
    assert "exact" not in backend.steps
    store.calibrate()
    assert store.index_status().measured == "near probes"
    monkeypatch.setattr(backend, "hold_waiting", lambda generation: nullcontext(Perfect()))
    assert store.calibrate() == 16
    assert store.index_status().measured == "waiting rows"


def test_held_out_rows_find_an_effort_between_the_rungs(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "hold_waiting", lambda generation: nullcontext(GoodFrom(70)))
    assert store.calibrate() == 72
    assert store.index_status().measured == "waiting rows"
    monkeypatch.setattr(backend, "hold_waiting", lambda generation: nullcontext(None))
    assert store.calibrate() in LADDER


class Perfect:
    """Held-out records in a graph that misses nothing."""

    def __len__(self) -> int:
        return 250

    def find(self, part: slice, k: int, ef: int | None) -> list[Found]:
        rows = Rows([str(place) for place in range(k)], None, None, None, None)
        return [Found(rows, np.arange(k, 0.0, -1), exact=ef is None) for _ in range(part.start, part.stop)]


class GoodFrom(Perfect):
    """Held-out records in a graph that misses one hit in ten below an effort."""

    def __init__(self, ef: int) -> None:
        self.ef = ef

    def find(self, part: slice, k: int, ef: int | None) -> list[Found]:
        if ef is None or ef >= self.ef:
            return super().find(part, k, ef)
        rows = Rows([*map(str, range(k - 1)), "another"], None, None, None, None)
        scores = np.array([*range(k, 1, -1), -1.0])
        return [Found(rows, scores, exact=False) for _ in range(part.start, part.stop)]
