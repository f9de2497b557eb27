"""Rebuilds that are interrupted, killed or disturbed by others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest

from ..backend import Backend, Entry, Generation
from ..database import Database, connect
from ..errors import InvalidArgument, StoreLocked, StoreNotFound
from ..index_options import Flat
from ..rebuild import copy
from ..records import Record
from ..store import VectorStore
from .place import Place, Places
from .processes import TalkingProcess, tell_and_wait, wait_for_lock
from .rebuild_fixtures import OLD, PAGE, PAGES, TEXT_SCHEMA, SmallPages, check_texts, make_texts, new_model
from .sample_records import SCHEMA, WIDER, key_by_id, make_books, read_contents
from .toy_embedder import ToyEmbedder


class Interruption(Exception):
    """What interrupts a rebuild."""


def rebuild_slowly(url: str) -> None:
    """Rebuild the store of texts, and wait after each page."""
    copy.BATCH = PAGE
    with connect(url) as db:
        db.rebuild("texts", embedder=new_model(), on_progress=lambda phase, done, total: tell_and_wait(str(done)))


class InterruptedRebuildTests(SmallPages):
    """A rebuild that broke off goes on where it was."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store of texts, three pages of them."""
        store = db.create("texts", TEXT_SCHEMA, embedder=OLD)
        store.insert(make_texts(PAGES))
        return store

    @staticmethod
    def interrupted(db: Database, embedder: ToyEmbedder) -> None:
        """Rebuild no further than the first page."""

        def stop(phase: str, done: int, total: int | None) -> None:
            raise Interruption

        with pytest.raises(Interruption):
            db.rebuild("texts", embedder=embedder, on_progress=stop)

    def test_nothing_is_embedded_twice(self, db: Database, store: VectorStore) -> None:
        first, second = new_model(), new_model()
        self.interrupted(db, first)
        assert store.search("text 7", k=1)[0].id == "text-00007"
        report = db.rebuild("texts", embedder=second)
        embedded = [text for model in (first, second) for text in model.documents if text.startswith("text ")]
        assert sorted(embedded) == sorted(record.text for record in make_texts(PAGES) if record.text)
        assert 0 < report.copied < PAGES
        check_texts(db.open("texts", embedder=second), key_by_id(make_texts(PAGES)), second)

    def test_what_was_written_in_between_is_there(self, db: Database, store: VectorStore) -> None:
        self.interrupted(db, new_model())
        store.upsert([Record("text-00001", text="changed"), Record("text-00000-new", text="new")])
        store.update(ids=["text-00002", "text-00090"], metadata={"year": 1})
        store.delete(ids=["text-00003", "text-00091"])
        store.delete(ids=["text-00004"])
        store.insert([Record("text-00004", text="again")])
        db.rebuild("texts", embedder=new_model())
        kept = key_by_id(make_texts(PAGES))
        kept["text-00001"] = Record("text-00001", text="changed")
        kept["text-00004"] = Record("text-00004", text="again")
        kept["text-00000-new"] = Record("text-00000-new", text="new")
        for id_ in ("text-00002", "text-00090"):
            kept[id_] = replace(kept[id_], metadata={"year": 1})
        for id_ in ("text-00003", "text-00091"):
            del kept[id_]
        check_texts(db.open("texts", embedder=new_model()), kept, new_model())

    def test_with_other_arguments_it_starts_again(self, db: Database, store: VectorStore) -> None:
        self.interrupted(db, new_model())
        other = ToyEmbedder(5, seed=3, name="third")
        assert db.rebuild("texts", embedder=other).copied == PAGES
        check_texts(db.open("texts", embedder=other), key_by_id(make_texts(PAGES)), other)

    def test_another_index_does_not_restart_it(self, db: Database, store: VectorStore) -> None:
        self.interrupted(db, new_model())
        schema = replace(TEXT_SCHEMA, index=Flat())
        assert db.rebuild("texts", schema=schema, embedder=new_model()).copied < PAGES
        assert db.open("texts").schema.index == Flat()

    def test_it_can_be_given_up(self, place: Place, db: Database, store: VectorStore) -> None:
        before = len(place.generations() or {})
        self.interrupted(db, new_model())
        store.upsert([Record("text-00001", text="changed")])
        assert (db.rollback("texts").records, len(place.generations() or {})) == (PAGES, before)
        kept = key_by_id(make_texts(PAGES))
        kept["text-00001"] = Record("text-00001", text="changed")
        check_texts(store, kept, OLD)
        assert place.backend().changes(place.backend().find(name="texts").active, (), 10) == []
        with pytest.raises(InvalidArgument, match="no previous generation"):
            db.rollback("texts")

    def test_a_killed_builder_holds_nothing(self, place: Place, db: Database, store: VectorStore) -> None:
        if not place.processes:
            pytest.skip("no other process sees this place")
        with TalkingProcess(rebuild_slowly, place.url) as builder:
            assert builder.read() == str(PAGE)
            with pytest.raises(StoreLocked):
                db.rebuild("texts", embedder=new_model())
            store.delete(ids=["text-00001"])
        wait_for_lock(place.backend(), "texts")
        report = db.rebuild("texts", embedder=new_model())
        kept = key_by_id(make_texts(PAGES))
        del kept["text-00001"]
        check_texts(db.open("texts", embedder=new_model()), kept, new_model())
        assert report.copied == PAGES - PAGE

    def test_a_dropped_store_takes_what_was_built_with_it(self, place: Place, db: Database, store: VectorStore) -> None:
        self.interrupted(db, new_model())
        db.drop("texts")
        assert not place.generations()
        db.create("texts", TEXT_SCHEMA, embedder=OLD)
        assert db.rebuild("texts", embedder=new_model()).records == 0


class RivalsTests(Places):
    """What others do to a store while it is rebuilt."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store with ten books."""
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(10)))
        return store

    @staticmethod
    def during(db: Database, deed: Callable[[], object]) -> None:
        """Rebuild, with something happening after the first page."""

        def progress(phase: str, done: int, total: int | None) -> None:
            if phase == "copying":
                deed()

        db.rebuild("docs", schema=WIDER, on_progress=progress)

    def test_a_second_builder_is_refused(self, place: Place, db: Database, store: VectorStore) -> None:
        refused: list[str] = []

        def rivals() -> None:
            with ExitStack() as stack:
                other = stack.enter_context(place.connect()) if place.shared else db
                for rival in (
                    lambda: other.rebuild("docs", schema=WIDER),
                    lambda: other.rebuild("docs"),
                    lambda: other.rollback("docs"),
                    lambda: other.drop_previous("docs"),
                ):
                    with pytest.raises(StoreLocked) as caught:
                        rival()
                    refused.append(str(caught.value))
                    assert caught.value.retryable

        self.during(db, rivals)
        assert len(refused) == 4
        assert all("load" in each and "'docs'" in each for each in refused)  # a load and a copy hold the same lock
        assert read_contents(store) == key_by_id(make_books(range(10)))
        assert db.rebuild("docs", schema=WIDER).records == 10

    def test_another_store_is_free(self, db: Database, store: VectorStore) -> None:
        db.create("other", SCHEMA).insert(make_books(range(3)))
        self.during(db, lambda: db.rebuild("other", schema=WIDER))
        assert db.open("other").count() == 3

    def test_names_are_swapped_while_it_begins(
        self, place: Place, db: Database, store: VectorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = db.create("other", SCHEMA)
        other.insert(make_books(range(3)))
        create, backend = type(db._backend).create, place.backend()
        uids = {name: backend.find(name=name).uid for name in ("docs", "other")}
        swapped: list[str] = []

        def swap_and_create(self: Backend, name: str, generation: Generation) -> Entry:
            if not swapped:
                swapped.append(name)
                for uid, new in ((uids["docs"], "third"), (uids["other"], "docs"), (uids["docs"], "other")):
                    backend.rename(uid, new)
            return create(self, name, generation)

        monkeypatch.setattr(type(db._backend), "create", swap_and_create)
        assert db.rebuild("docs", schema=WIDER).records == 10
        assert swapped == ["docs"]
        assert (store.count(), store.name, len(store.schema.fields)) == (10, "other", len(WIDER.fields))
        assert (db.open("docs").count(), db.open("docs").schema) == (3, other.schema)
        assert backend.find(name="docs").standby is None

    @pytest.mark.parametrize("again", [False, True], ids=["gone", "created again"])
    def test_a_dropped_store_ends_the_rebuild(self, db: Database, store: VectorStore, *, again: bool) -> None:
        def drop() -> None:
            db.drop("docs")
            if again:
                db.create("docs", SCHEMA)

        with pytest.raises(StoreNotFound, match="'docs'"):
            self.during(db, drop)
        assert db.names() == (["docs"] if again else [])
        if again:
            assert db.open("docs").count() == 0
            assert db.rebuild("docs", schema=WIDER).records == 0

    def test_a_renamed_store_is_rebuilt_under_its_new_name(self, db: Database, store: VectorStore) -> None:
        self.during(db, lambda: db.rename("docs", "renamed"))
        assert read_contents(store) == read_contents(db.open("renamed")) == key_by_id(make_books(range(10)))

    def test_a_previous_generation_that_is_not_kept(self, place: Place, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=WIDER, keep_previous=False)
        assert place.backend().find(name="docs").standby is None
        assert read_contents(store) == key_by_id(make_books(range(10)))
