from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from vecstore import BackendUnavailable, Database, InvalidArgument, Record, Schema, StoreCorrupt, fields
from vecstore.backend import Backend, Entry, Generation, Update
from vecstore.backends.memory import MemoryBackend
from vecstore.embedders import Identity
from vecstore.rebuild import catch_up as catching_up
from vecstore.rebuild import copy as generation_copy
from vecstore.rebuild import pace
from vecstore.rebuild.catch_up import CatchUp
from vecstore.rebuild.copy import Copy
from vecstore.rebuild.overlap import measure_overlap
from vecstore.rebuild.pace import Pace
from vecstore.rebuild.target import is_same_model, plan_generation
from vecstore.store_embedder import StoreEmbedder
from vecstore.testing.sample_records import SCHEMA, WIDER, key_by_id, make_books, read_contents
from vecstore.testing.toy_embedder import ToyEmbedder


@pytest.fixture
def backend() -> Backend:
    backend = MemoryBackend()
    Database(backend).create("docs", SCHEMA).insert(make_books(range(30)))
    return backend


def building(backend: Backend) -> Entry:
    active = backend.find(name="docs").active
    return backend.create("docs", plan_generation(active, None, None))


def copy_of(entry: Entry, backend: Backend) -> Copy:
    assert entry.building is not None
    return Copy(backend, entry.active, entry.building, StoreEmbedder(), "docs")


def test_backfill_copies_what_is_not_there(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation_copy, "BATCH", 8)
    entry, calls = building(backend), list[tuple[int, int]]()
    first = copy_of(entry, backend)
    first.backfill(Pace(on_progress=lambda phase, done, total: calls.append((done, total or 0))))
    assert (first.copied, calls) == (30, [(8, 30), (16, 30), (24, 30), (30, 30)])
    assert entry.building is not None
    backend.delete(entry.building, ["book-00003", "book-00029"])
    second = copy_of(entry, backend)
    second.backfill(Pace())
    assert second.copied == 2


def test_backfill_goes_no_faster_than_told(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation_copy, "BATCH", 10)
    slept: list[float] = []
    clock = iter(range(100))
    ours = SimpleNamespace(sleep=slept.append, monotonic=lambda: next(clock))  # and not that of other threads
    for module in (pace, generation_copy):
        monkeypatch.setattr(module, "time", ours)
    copy_of(building(backend), backend).backfill(Pace(records_per_second=4))
    assert slept == [1.5, 3.0, 4.5]  # 10, 20 and 30 records are due after 2.5, 5 and 7.5 s; 1, 2 and 3 s have passed


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), True, "1"])
def test_a_rate_is_above_0(rate: float) -> None:
    with pytest.raises(InvalidArgument, match="records_per_second"):
        Pace(records_per_second=rate)


def test_catching_up_leaves_few_changes_to_the_switch(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catching_up, "BATCH", 10)
    monkeypatch.setattr(catching_up, "CALM", 4)
    entry = building(backend)
    copy = copy_of(entry, backend)
    catch_up = CatchUp(copy)
    copy.backfill(Pace())
    backend.update(entry.active, [f"book-{number:05}" for number in range(23)], Update({"lang": "xx"}, {}))
    catch_up.run()
    assert len(backend.changes(entry.active, (), 100)) == 3
    assert catch_up.caught_up == 20


def test_writers_that_never_rest_do_not_keep_it_from_ending(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catching_up, "CALM", 0)
    entry = building(backend)
    copy = copy_of(entry, backend)
    catch_up = CatchUp(copy)
    copy.backfill(Pace())
    apply = catch_up._apply
    backend.update(entry.active, ["book-00001"], Update({"lang": "xx"}, {}))

    def busy(changes: object) -> None:
        apply(changes)  # type: ignore[arg-type]
        backend.update(entry.active, ["book-00001"], Update({"lang": "xx"}, {}))

    monkeypatch.setattr(catch_up, "_apply", busy)
    catch_up.run()
    assert catch_up.caught_up == 50


def tampering(backend: Backend, change: Update | None) -> None:
    """Rebuild, with the copy damaged after the backfill."""

    def damage(phase: str, done: int, total: int | None) -> None:
        target = backend.find(name="docs").building
        assert target is not None
        if change is None:
            backend.delete(target, ["book-00007"])
        else:
            backend.update(target, ["book-00007"], change)

    Database(backend).rebuild("docs", schema=WIDER, on_progress=damage)


@pytest.mark.parametrize(
    "change",
    [
        None,
        Update({"lang": "xx"}, {}),
        Update({}, {"note": "1"}),
        Update({}, {}, sets_text=True, text="other"),
        Update({}, {}, vector=np.ones(4, np.float32)),
    ],
    ids=["record lost", "field", "metadata", "text", "vector"],
)
def test_a_copy_that_differs_is_not_switched_to(backend: Backend, change: Update | None) -> None:
    before = backend.find(name="docs").active
    with pytest.raises(StoreCorrupt, match="not switched"):
        tampering(backend, change)
    entry = backend.find(name="docs")
    assert (entry.active, entry.standby) == (before, None)
    db = Database(backend)
    assert read_contents(db.open("docs")) == key_by_id(make_books(range(30)))
    assert db.rebuild("docs", schema=WIDER).records == 30


def test_a_standby_that_vanishes_is_said_to_be_someone_elses_doing(backend: Backend) -> None:
    def drop(phase: str, done: int, total: int | None) -> None:
        entry = backend.find(name="docs")
        assert entry.building is not None
        backend.drop(entry.uid, entry.building.id)

    with pytest.raises(BackendUnavailable, match="another rebuild") as caught:
        Database(backend).rebuild("docs", schema=WIDER, on_progress=drop)
    assert caught.value.retryable


def test_overlap_is_the_share_of_common_neighbours(backend: Backend) -> None:
    entry = building(backend)
    assert entry.building is not None
    copy = copy_of(entry, backend)
    assert measure_overlap(copy) == 1.0  # nothing to compare
    copy.backfill(Pace())
    assert measure_overlap(copy) == 1.0
    backend.delete(entry.building, [f"book-{number:05}" for number in range(1, 30)])
    assert measure_overlap(copy) == 0


GIVEN = Generation("0" * 32, Schema(dim=4, metric="ip", fields={"n": fields.Int()}))
TOY = ToyEmbedder(6)


def test_what_is_wanted_by_default_is_what_is_there() -> None:
    wanted = plan_generation(GIVEN, None, None)
    assert (wanted.schema, wanted.identity, wanted.standby) == (GIVEN.schema, None, True)
    assert wanted.id != GIVEN.id
    assert plan_generation(GIVEN, replace(GIVEN.schema, dim=None), None).schema == GIVEN.schema


def test_the_embedder_decides_the_dim() -> None:
    for schema in (None, replace(GIVEN.schema, dim=None), replace(GIVEN.schema, dim=6)):
        wanted = plan_generation(GIVEN, schema, TOY)
        assert wanted.schema == replace(GIVEN.schema, dim=6)
        assert wanted.identity == Identity.of(TOY).to_json()
    with pytest.raises(InvalidArgument, match="dim=5, but the embedder makes 6"):
        plan_generation(GIVEN, replace(GIVEN.schema, dim=5), TOY)
    with pytest.raises(InvalidArgument, match="4 dimensions, not 5"):
        plan_generation(GIVEN, replace(GIVEN.schema, dim=5), None)


def test_models_are_compared_by_their_canaries() -> None:
    def generation(embedder: ToyEmbedder | None, dim: int = 6) -> Generation:
        identity = Identity.of(embedder).to_json() if embedder else None
        return Generation("1" * 32, Schema(dim=dim), identity)

    assert is_same_model(generation(None), generation(None))
    assert is_same_model(generation(TOY), generation(ToyEmbedder(6, name="other name")))
    assert not is_same_model(generation(TOY), generation(ToyEmbedder(6, seed=1)))
    assert not is_same_model(generation(TOY), generation(None))
    assert not is_same_model(generation(None), generation(TOY))
    assert not is_same_model(generation(None), generation(None, dim=5))


def test_a_report_tells_what_happened(backend: Backend) -> None:
    db = Database(backend)
    report = db.rebuild("docs", schema=replace(SCHEMA, dtype="float16"))
    assert (report.records, report.copied, report.caught_up, report.embedded) == (30, 30, 0, False)
    assert report.overlap == 1.0
    assert report.seconds > 0
    db.open("docs").upsert([Record("new", [1, 2, 3, 4])])
    assert db.rollback("docs").caught_up == 1
