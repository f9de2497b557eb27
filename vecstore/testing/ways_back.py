"""The way back of a rebuild: a later one that fails, breaks off or changes nothing leaves it as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .. import fields
from ..backend import Backend, Entry, Superseded
from ..database import Database
from ..errors import InvalidArgument, InvalidVector, StoreExists
from ..index_options import HNSW
from ..metric import Metric
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .backend_level import BackendLevel, check_storage, new_generation, read_changed_ids, read_versions, write_fenced
from .interruptions import Interruption
from .place import Place
from .rebuild_fixtures import OLD, TEXT_SCHEMA, SmallPages, check_texts, make_texts, new_model
from .sample_records import SCHEMA, WIDER, SampleStore, key_by_id, make_book, make_books, read_contents
from .switches import DATA_METHODS, copy_everything

HALF = replace(SCHEMA, dtype="float16")


def break_off(phase: str, done: int, total: int | None) -> None:
    """Interrupt a rebuild after its first page."""
    raise Interruption


class WayBackTests(SampleStore, SmallPages):
    """`Database.rollback` after a rebuild that did not come to its end."""

    @staticmethod
    def change(store: VectorStore) -> None:
        """Change records in every way that a change list knows."""
        store.upsert([make_book(20), Record("book-00001", [9, 9, 9, 9], "other")])
        store.update(ids=["book-00002"], metadata={"lang": "xx"})
        store.delete(ids=["book-00003", "book-00004"])
        store.insert([Record("book-00004", [4, 4, 4, 4], "again")])

    @pytest.mark.parametrize("retry", [False, True], ids=["once", "twice"])
    def test_a_rebuild_that_fails(self, place: Place, db: Database, store: VectorStore, *, retry: bool) -> None:
        db.rebuild("docs", schema=WIDER)
        store.upsert([Record("huge", [1e6, 0, 0, 0])])
        for _ in range(1 + retry):
            with pytest.raises(InvalidVector, match="huge"):
                db.rebuild("docs", schema=replace(WIDER, dtype="float16"))
        self.change(store)
        kept = read_contents(store)
        db.rollback("docs")
        assert read_contents(store) == kept
        assert store.schema == db.open("docs").schema == SCHEMA
        assert store.count() == 11
        check_storage(place, place.backend())

    def test_what_is_written_while_it_runs(self, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=WIDER)

        def change_and_break_off(phase: str, done: int, total: int | None) -> None:
            self.change(store)
            raise Interruption

        with pytest.raises(Interruption):
            db.rebuild("docs", schema=HALF, on_progress=change_and_break_off)
        store.delete(ids=["book-00005"])
        kept = read_contents(store)
        report = db.rollback("docs")
        assert (read_contents(store), store.schema) == (kept, SCHEMA)
        assert report.records == 9

    def test_there_and_back_again(self, place: Place, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=WIDER)
        with pytest.raises(Interruption):
            db.rebuild("docs", schema=HALF, on_progress=break_off)
        self.change(store)
        kept = read_contents(store)
        for schema in (SCHEMA, WIDER, SCHEMA):
            db.rollback("docs")
            assert (read_contents(store), store.schema) == (kept, schema)
        check_storage(place, place.backend())

    def test_a_rebuild_that_goes_on_replaces_it(self, place: Place, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=WIDER)
        with pytest.raises(Interruption):
            db.rebuild("docs", schema=HALF, on_progress=break_off)
        self.change(store)
        kept = read_contents(store)
        db.rebuild("docs", schema=HALF)
        assert db.open("docs").schema == HALF
        check_storage(place, place.backend())
        db.rollback("docs")
        assert (read_contents(store), store.schema) == (kept, WIDER)

    def test_it_can_be_dropped_while_another_is_unfinished(
        self, place: Place, db: Database, store: VectorStore
    ) -> None:
        db.rebuild("docs", schema=WIDER)
        with pytest.raises(Interruption):
            db.rebuild("docs", schema=HALF, on_progress=break_off)
        assert db.drop_previous("docs")
        assert not db.drop_previous("docs")
        assert db.rebuild("docs", schema=HALF).copied == 0
        assert db.drop_previous("docs")
        with pytest.raises(Interruption):
            db.rebuild("docs", schema=WIDER, on_progress=break_off)
        db.rollback("docs")  # gives up the unfinished one
        with pytest.raises(InvalidArgument, match="no previous"):
            db.rollback("docs")
        check_storage(place, place.backend())

    def test_a_dropped_store_takes_all_of_it_along(self, place: Place, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=WIDER)
        with pytest.raises(Interruption):
            db.rebuild("docs", schema=HALF, on_progress=break_off)
        db.drop("docs")
        assert not place.generations()
        assert db.create("docs", SCHEMA).count() == 0

    def test_another_connection_finds_it(self, place: Place, db: Database, store: VectorStore) -> None:
        if not place.shared:
            pytest.skip("a second connection sees nothing of this place")
        db.rebuild("docs", schema=WIDER)
        with pytest.raises(Interruption):
            db.rebuild("docs", schema=HALF, on_progress=break_off)
        with place.connect() as other:
            other.rollback("docs")
            assert other.open("docs").schema == SCHEMA
        assert read_contents(store) == key_by_id(make_books(range(10)))

    def test_the_way_back_from_another_model(self, db: Database) -> None:
        new = new_model()
        store = db.create("texts", TEXT_SCHEMA, embedder=OLD)
        store.insert(make_texts(100))
        db.rebuild("texts", embedder=new)
        with pytest.raises(Interruption):
            db.rebuild("texts", schema=Schema(metric="l2"), embedder=new_model(), on_progress=break_off)
        db.open("texts", embedder=new).upsert([Record("text-00001", text="changed"), Record("new", text="new")])
        db.rollback("texts", embedder=OLD)
        kept = key_by_id([*make_texts(100), Record("new", text="new")])
        kept["text-00001"] = Record("text-00001", text="changed")
        check_texts(db.open("texts", embedder=OLD), kept, OLD)


class UnchangedTests(SampleStore):
    """A rebuild that changes nothing copies nothing."""

    @pytest.mark.parametrize("schema", [None, SCHEMA, replace(SCHEMA, dim=None)], ids=["none", "same", "without dim"])
    def test_nothing_is_copied(self, place: Place, db: Database, store: VectorStore, schema: Schema | None) -> None:
        before = place.generations()
        calls: list[tuple[str, int, int | None]] = []
        report = db.rebuild("docs", schema=schema, on_progress=lambda *call: calls.append(call))
        assert (report.records, report.copied, report.caught_up, report.embedded) == (10, 0, 0, False)
        assert report.overlap == 1.0
        assert calls == []
        assert place.generations() == before
        with pytest.raises(InvalidArgument, match="no previous"):
            db.rollback("docs")

    @pytest.mark.parametrize("keep", [True, False], ids=["kept", "not kept"])
    def test_the_way_back_stays(self, db: Database, store: VectorStore, *, keep: bool) -> None:
        db.rebuild("docs", schema=WIDER)
        assert db.rebuild("docs", schema=WIDER, keep_previous=keep).copied == 0
        db.rollback("docs")
        assert db.open("docs").schema == SCHEMA

    def test_what_another_rebuild_left_unfinished_goes(self, place: Place, db: Database, store: VectorStore) -> None:
        with pytest.raises(Interruption):
            db.rebuild("docs", schema=WIDER, on_progress=break_off)
        assert db.rebuild("docs").copied == 0
        check_storage(place, place.backend())
        assert place.backend().find(name="docs").standby is None

    @pytest.mark.parametrize(
        "schema",
        [
            WIDER,
            HALF,
            replace(SCHEMA, metric=Metric.COSINE),
            replace(SCHEMA, fields={**SCHEMA.fields, "year": fields.Float()}),
            SCHEMA.with_index(HNSW(m=8)),
        ],
        ids=["fields", "dtype", "metric", "kind of a field", "index"],
    )
    def test_whatever_changes_is_done(self, db: Database, store: VectorStore, schema: Schema) -> None:
        db.rebuild("docs", schema=schema)
        found = db.open("docs").schema
        assert (found, found.index) == (schema, schema.index)

    def test_the_same_model_under_another_object(self, db: Database) -> None:
        store = db.create("texts", TEXT_SCHEMA, embedder=OLD)
        store.insert(make_texts(10))
        assert db.rebuild("texts", embedder=type(OLD)(8, seed=1, name="old")).copied == 0
        assert db.rebuild("texts", embedder=new_model()).copied == 10


class ParkedTests(BackendLevel):
    """`Backend`: a previous generation while another one is under construction."""

    @pytest.fixture
    def parked(self, backend: Backend, entry: Entry) -> Entry:
        """Return an entry with an active, a building and a previous generation; the records are in all but one."""
        write_fenced(backend, entry.active, [("a", 1), ("b", 1)])
        building = backend.create("docs", new_generation(standby=True))
        assert building.standby is not None
        backend.switch(entry.uid, building.standby.id, copy_everything(backend, entry.active, building.standby))
        return backend.create("docs", new_generation(standby=True))

    def test_it_is_in_the_catalogue(self, backend: Backend, parked: Entry) -> None:
        assert backend.find(name="docs") == parked
        assert parked.building is not None
        assert parked.previous is not None
        assert parked.standby == parked.building
        assert len(parked.generations) == 3

    def test_a_second_one_under_construction_is_refused(self, backend: Backend, parked: Entry) -> None:
        write_fenced(backend, parked.active, [("c", 2)])
        with pytest.raises(StoreExists):
            backend.create("docs", new_generation(standby=True))
        assert backend.find(name="docs") == parked
        assert read_changed_ids(backend, parked.active) == ["c"]

    @pytest.mark.parametrize("method", DATA_METHODS)
    def test_it_answers_nobody(self, backend: Backend, parked: Entry, method: str) -> None:
        assert parked.previous is not None
        for each in (parked.previous, replace(parked.previous, standby=False)):
            with pytest.raises(Superseded):
                DATA_METHODS[method](backend, each)

    def test_it_follows_again_when_the_other_one_is_dropped(self, backend: Backend, parked: Entry) -> None:
        assert parked.building is not None
        assert parked.previous is not None
        write_fenced(backend, parked.active, [("c", 2)])
        backend.drop(parked.uid, parked.building.id)
        entry = backend.find(name="docs")
        assert (entry.building, entry.previous) == (None, parked.previous)
        assert read_versions(backend, parked.previous) == {"a": 1, "b": 1}
        assert read_changed_ids(backend, entry.active) == []
        write_fenced(backend, entry.active, [("d", 3)])
        assert read_changed_ids(backend, entry.active) == ["d"]

    def test_dropping_it_leaves_the_other_one(self, backend: Backend, parked: Entry) -> None:
        assert parked.previous is not None
        write_fenced(backend, parked.active, [("c", 2)])
        backend.drop(parked.uid, parked.previous.id)
        entry = backend.find(name="docs")
        assert (entry.building, entry.previous) == (parked.building, None)
        assert read_changed_ids(backend, entry.active) == ["c"]

    def test_a_switch_ends_it(self, place: Place, backend: Backend, parked: Entry) -> None:
        assert parked.building is not None
        drain = copy_everything(backend, parked.active, parked.building)
        after = backend.switch(parked.uid, parked.building.id, drain)
        assert after.previous == replace(parked.active, standby=True)
        assert after == backend.find(name="docs")
        check_storage(place, backend)

    def test_a_switch_that_fails_leaves_it(self, backend: Backend, parked: Entry) -> None:
        def fail(changes: object) -> None:
            raise Interruption

        assert parked.building is not None
        with pytest.raises(Interruption):
            backend.switch(parked.uid, parked.building.id, fail)
        assert backend.find(name="docs") == parked

    def test_its_description_can_be_amended(self, backend: Backend, parked: Entry) -> None:
        assert parked.previous is not None
        backend.amend(replace(parked.active, ef=32))
        assert backend.find(name="docs").previous == parked.previous
        assert backend.find(name="docs").active.ef == 32
