"""What the facade does for an index, on a backend that has one which misses hits."""

# Longer than 300 lines because all tests share one store, whose graph misses hits in a known way.

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import vecstore
from tests.unit.graph_backend import GraphBackend
from vecstore import (
    HNSW,
    Database,
    F,
    Flat,
    Metric,
    Progress,
    Record,
    Schema,
    StorageFailed,
    StoreLocked,
    StoreNotFound,
    Timeout,
    UnknownOutcome,
    UnusedIndexWarning,
    UpkeepWarning,
    VectorStore,
    fields,
)
from vecstore.backend import Found, Generation, Search, Superseded
from vecstore.calibration import calibrate as calibrate_module
from vecstore.calibration import probes as probes_module
from vecstore.calibration.effort import LADDER, Clock
from vecstore.calibration.probes import Probes
from vecstore.calibration.rotation import KINDS

DIM = 6
SCHEMA = Schema(dim=DIM, metric="l2", index=HNSW(target_recall=0.98), fields={"n": fields.Int()})


@pytest.fixture
def backend() -> GraphBackend:
    return GraphBackend()


@pytest.fixture
def db(backend: GraphBackend) -> Database:
    return Database(backend)


@pytest.fixture
def store(backend: GraphBackend, db: Database) -> VectorStore:
    """A store with an index and an effort. To measure one takes longer than most of these tests."""
    store = db.create("docs", SCHEMA)
    backend.error = StoreLocked("somebody else does the upkeep")
    store.insert(some_records(300))
    active, backend.error = backend.find(name="docs").active, None
    backend.built.add(active.id)
    backend.ef_construction = 100
    backend.amend(replace(active, ef=128))
    backend.steps.clear()
    return store


def some_records(count: int, start: int = 0) -> list[Record]:
    rows = np.random.default_rng(start).normal(size=(count, DIM))
    return [Record(f"r{start + number:04}", row, metadata={"n": number}) for number, row in enumerate(rows)]


def ef_of(backend: GraphBackend) -> int | None:
    return backend.find(name="docs").active.ef


WRITES: dict[str, Callable[[VectorStore], int]] = {
    "insert": lambda store: store.insert(some_records(3, 900)),
    "upsert": lambda store: store.upsert(some_records(3)),
    "update": lambda store: store.update(ids=["r0001", "r0002", "r0003"], metadata={"n": 5}),
    "update where": lambda store: store.update(where=F.n < 3, metadata={"n": 500}),
    "delete": lambda store: store.delete(ids=["r0001", "r0002", "r0003"]),
    "delete where": lambda store: store.delete(where=F.n < 3),
}
IDLE: dict[str, Callable[[VectorStore], int]] = {
    "insert": lambda store: store.insert([]),
    "update": lambda store: store.update(ids=["absent"], metadata={"n": 5}),
    "delete": lambda store: store.delete(where=F.n > 10_000),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_every_write_call_is_followed_by_upkeep_once(
    backend: GraphBackend, store: VectorStore, write: Callable[[VectorStore], int]
) -> None:
    assert write(store) == 3
    assert backend.steps == ["tend"]


@pytest.mark.parametrize("write", IDLE.values(), ids=IDLE)
def test_a_write_that_changed_nothing_is_not(
    backend: GraphBackend, store: VectorStore, write: Callable[[VectorStore], int]
) -> None:
    assert write(store) == 0
    assert backend.steps == []


def test_a_write_in_many_batches_is_followed_by_upkeep_once(backend: GraphBackend, store: VectorStore) -> None:
    store.upsert(some_records(20), batch_size=3)
    assert backend.steps == ["tend"]


def test_an_index_that_a_write_built_is_calibrated(backend: GraphBackend, db: Database) -> None:
    store = db.create("docs", SCHEMA)
    store.insert(some_records(300))
    found = store.index_status()
    assert (found.state, found.ef, found.target_recall) == ("ready", ef_of(backend), 0.98)
    assert ef_of(backend) in LADDER
    assert store.measure_recall().mean >= 0.98
    assert not store.search([1.0] * DIM).exact


def test_no_effort_is_enough(backend: GraphBackend, store: VectorStore) -> None:
    backend.best = 0.9
    with pytest.warns(UnusedIndexWarning, match=r"'docs' .*stay exact: No effort .*target_recall=0\.98.*reindex"):
        assert store.calibrate() is None
    status = store.index_status()
    assert (status.ef, ef_of(backend), "target_recall=0.98" in (status.reason or "")) == (None, None, True)
    assert (store.search([1.0] * DIM).exact, store.search([1.0] * DIM, ef=100).exact) == (True, False)
    backend.best = 1.0
    assert store.calibrate() == ef_of(backend) is not None


def test_measured_recall_is_that_of_searches_as_they_are(backend: GraphBackend, store: VectorStore) -> None:
    backend.amend(replace(backend.find(name="docs").active, ef=4))
    found = store.measure_recall(100)
    assert (found.queries, found.k) == (100, 10)
    assert 0.6 < found.mean < 0.9
    assert found.minimum <= found.p5 <= found.mean
    under = store.measure_recall(50, 3, F.n < 20)
    assert (under.queries, under.k) == (20, 3)
    assert store.measure_recall(50, where=F.n > 10_000) == vecstore.Recall(1.0, 1.0, 1.0, 0, 10)


def test_a_probe_does_not_find_itself(backend: GraphBackend, db: Database) -> None:
    """Twins of one vector: the own id may come anywhere among them, or not among the first at all."""
    store = db.create("twins", replace(SCHEMA, index=Flat()))
    store.insert(Record(f"t{number:02}", [1.0] * DIM) for number in range(30))
    assert store.measure_recall(30, 5) == vecstore.Recall(1.0, 1.0, 1.0, 30, 5)


def test_twins_are_asked_once(backend: GraphBackend, store: VectorStore) -> None:
    store.update(where=F.n >= 8, vector=[1.0] * DIM)
    probes = Probes.draw(backend, backend.find(name="docs").active, 200, 10)
    assert (len(probes), len(probes.deduplicate())) == (200, 7)  # six of the eight others, and the twins


def test_where_exact_answers_are_slow_each_is_asked_for_alone(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many in one statement would not end before the server's timeout."""
    monkeypatch.setattr(probes_module, "PATIENCE", 0.0)
    asked, search = list[int](), backend.search

    def count(generation: Generation, search_: Search) -> Sequence[Found]:
        asked.append(len(search_.queries))
        return search(generation, search_)

    monkeypatch.setattr(backend, "search", count)
    assert store.calibrate() is not None
    assert store.measure_recall(30).queries == 30
    assert set(asked) == {1}


def test_a_timeout_of_exact_searches_ends_no_build(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = backend.search

    def give_up(generation: Generation, search_: Search) -> Sequence[Found]:
        if search_.exact:
            raise Timeout("The server gave up after the timeout.")
        return search(generation, search_)

    monkeypatch.setattr(backend, "search", give_up)
    with pytest.warns(UnusedIndexWarning, match="longer timeout"):
        store.reindex(HNSW(m=8))
    assert (store.index_status().state, store.index_status().ef) == ("ready", None)


@pytest.mark.parametrize("metric", KINDS)
def test_after_a_build_there_is_more_time_for_measuring(
    backend: GraphBackend, db: Database, monkeypatch: pytest.MonkeyPatch, metric: Metric
) -> None:
    store = db.create("docs", replace(SCHEMA, metric=metric))
    store.insert(some_records(100))
    given = list[float]()

    def start(on_progress: Progress | None, seconds: float) -> Clock:
        given.append(seconds)
        return Clock(on_progress, seconds)

    monkeypatch.setattr(calibrate_module, "Clock", start)
    store.reindex(HNSW(m=8))
    after_build = sum(given)
    given.clear()
    store.calibrate()
    assert after_build == pytest.approx(60)
    assert sum(given) == pytest.approx(10)


def test_a_clock_that_runs_out_keeps_the_effort(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate_module, "Clock", lambda on_progress, seconds: Clock(on_progress, -1.0))
    assert store.calibrate() == ef_of(backend) == 128


def test_reindex_builds_and_calibrates(backend: GraphBackend, store: VectorStore) -> None:
    calls: list[tuple[str, int, int | None]] = []
    store.reindex(HNSW(m=8, target_recall=0.9), on_progress=lambda *call: calls.append(call))
    assert calls[0] == ("indexing", 300, 300)
    assert {phase for phase, *_ in calls[1:]} == {"calibrating"}
    assert backend.steps[:2] == ["amend ef=None", "build"]
    assert store.index_status().ef == 16
    store.reindex(Flat())
    status = store.index_status()
    assert (status.kind, status.state, status.ef, status.target_recall) == ("flat", "none", None, None)


def test_reindex_goes_by_the_catalogue(backend: GraphBackend, store: VectorStore, db: Database) -> None:
    db.open("docs").reindex(Flat())
    backend.steps.clear()
    store.reindex()
    assert store.schema.index == Flat()
    assert "build" in backend.steps
    assert store.index_status().kind == "flat"


def test_an_identity_that_came_meanwhile_is_kept(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.amend(replace(backend.find(name="docs").active, ef=None))
    sample = backend.sample

    def claimed(*arguments: Any) -> Any:
        backend.amend(replace(backend.find(name="docs").active, identity={"a": 1}))
        return sample(*arguments)

    monkeypatch.setattr(backend, "sample", claimed)
    assert store.calibrate() is not None
    active = backend.find(name="docs").active
    assert (active.identity, active.ef is not None) == ({"a": 1}, True)


def test_an_effort_of_other_options_is_not_stored(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = backend.sample

    def changed(*arguments: Any) -> Any:
        active = backend.find(name="docs").active
        backend.amend(replace(active, schema=active.schema.with_index(HNSW(m=4)), ef=777))
        return sample(*arguments)

    monkeypatch.setattr(backend, "sample", changed)
    assert store.calibrate() == 777
    assert ef_of(backend) == 777


@pytest.mark.parametrize("state", ["building", "invalid"])
def test_an_unfinished_index_keeps_its_effort(backend: GraphBackend, store: VectorStore, state: Any) -> None:
    before, own = ef_of(backend), backend.index_state
    backend.index_state = lambda generation: replace(own(generation), state=state)  # type: ignore[method-assign]
    assert store.calibrate() == before is not None
    assert backend.steps == []


@pytest.mark.parametrize("state", ["building", "invalid"])
def test_an_index_that_is_not_asked_any_more_keeps_its_effort(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch, state: Any
) -> None:
    """What follows a store stops answering in the middle: that comparing all records costs less would be untrue."""
    before, own = ef_of(backend), backend.index_state
    states: list[Any] = ["ready"]

    def index_state(generation: Generation) -> Any:
        return replace(own(generation), state=states.pop() if states else state)

    monkeypatch.setattr(backend, "index_state", index_state)
    search = backend.search
    monkeypatch.setattr(backend, "search", lambda generation, given: search(generation, replace(given, exact=True)))
    assert store.calibrate() == before is not None
    assert (ef_of(backend), states) == (before, [])


def test_somebody_else_at_the_upkeep_is_no_news(backend: GraphBackend, store: VectorStore) -> None:
    for error in (StoreLocked("another process compacts"), StoreNotFound("docs")):
        backend.error = error
        assert store.upsert(some_records(3)) == 3


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("error", [StorageFailed("disk full."), UnknownOutcome("connection lost."), MemoryError()])
def test_upkeep_that_fails_does_not_make_the_write_fail(
    backend: GraphBackend, store: VectorStore, write: Callable[[VectorStore], int], error: Exception
) -> None:
    backend.error = error
    said = r"records are written .*'docs'.*(disk full|lost|little memory)\..*reindex\(\)"
    with pytest.warns(UpkeepWarning, match=said) as caught:
        assert write(store) == 3
    assert caught[0].filename == __file__, "the warning names the line of the user"


def test_an_interrupt_of_upkeep_says_that_the_records_are_written(backend: GraphBackend, store: VectorStore) -> None:
    backend.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as caught:
        store.upsert(some_records(3))
    assert caught.value.__notes__ == ["vecstore: the 3 records of this call are written; the upkeep was interrupted."]
    backend.error = None
    assert store.count() >= 3


def test_a_calibration_that_fails_does_not_make_the_write_fail(
    backend: GraphBackend, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: Any) -> Any:
        raise StorageFailed("unreadable.")

    backend.built.clear()
    monkeypatch.setattr(backend, "sample", damaged)
    with pytest.warns(UpkeepWarning, match="unreadable"):
        assert store.upsert(some_records(3)) == 3
    with pytest.raises(StorageFailed):
        store.reindex()


def test_upkeep_follows_a_store_whose_generation_changed(backend: GraphBackend, store: VectorStore) -> None:
    own, answers = backend.tend, [Superseded()]

    def tend(generation: Any, on_progress: Any = None, measure: Any = None) -> bool:
        if answers:
            raise answers.pop()
        return own(generation, on_progress, measure)

    backend.tend = tend  # type: ignore[method-assign]
    with warnings.catch_warnings(action="error"):
        assert store.upsert(some_records(3)) == 3
    assert backend.steps == ["tend"]


def test_compact_calibrates_an_index_that_it_built_anew(backend: GraphBackend, store: VectorStore) -> None:
    backend.amend(replace(backend.find(name="docs").active, ef=4))
    backend.steps.clear()
    store.compact()
    assert backend.steps[0] == "compact"
    assert ef_of(backend) in LADDER


def test_a_rebuild_switches_to_a_calibrated_index(
    backend: GraphBackend, db: Database, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = backend.switch

    def switched(uid: str, standby: str, drain: Any) -> Any:
        building = backend.find(uid=uid).standby
        assert building is not None
        assert (building.id in backend.built, building.ef in LADDER) == (True, True)
        return switch(uid, standby, drain)

    monkeypatch.setattr(backend, "switch", switched)
    report = db.rebuild("docs", schema=replace(SCHEMA, dtype="float16"))
    assert (report.records, report.overlap > 0.95) == (300, True)
    assert db.open("docs").index_status().ef == ef_of(backend) is not None
    backend.built.clear()  # the previous generation lost its index
    db.rollback("docs")
    assert not store.search([1.0] * DIM).exact


def test_a_rollback_passes_over_upkeep_that_somebody_else_does(
    backend: GraphBackend, db: Database, store: VectorStore
) -> None:
    db.rebuild("docs", schema=replace(SCHEMA, dtype="float16"))
    backend.error = StoreLocked("compacting")
    assert db.rollback("docs").records == 300


def test_overlap_is_that_of_the_models_not_of_their_indexes(
    backend: GraphBackend, db: Database, store: VectorStore
) -> None:
    backend.best = 0.9
    assert db.rebuild("docs", schema=replace(SCHEMA, index=HNSW(target_recall=0.5))).overlap == 1
