"""What a Database says of stores whose records are in another Database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from .. import fields
from ..backend import Backend, Entry
from ..database import Database
from ..errors import InvalidArgument, StoreLocked, StoreMoved, StoreNotFound
from ..store import VectorStore
from .backend_level import new_generation
from .place import Place, Places
from .remotes import new_remote
from .sample_records import SCHEMA, WIDER, make_book


class MovedStoreTests(Places):
    """What a Database and open objects say of a store that is elsewhere, or not here yet."""

    @pytest.fixture
    def backend(self, place: Place, db: Database) -> Iterator[Backend]:
        """Return a backend on the place of the database."""
        backend = place.backend()
        yield backend
        backend.close()

    def move(self, backend: Backend, name: str = "docs", kind: str = "move") -> Entry:
        """Make a store point elsewhere."""
        entry = backend.create(name, new_remote(standby=True, kind=kind))
        assert entry.building is not None
        return backend.switch(entry.uid, entry.building.id, lambda _: None)

    def test_an_open_object_never_answers_with_old_data(self, db: Database, backend: Backend) -> None:
        store = db.create("docs", SCHEMA)
        store.upsert([make_book(1)])
        entry = self.move(backend)
        calls: list[Callable[[], object]] = [
            store.count, lambda: store.get(["book-00001"]), lambda: list(store.scan()), store.index_status,
            lambda: store.search([1, 2, 3, 4]), lambda: store.upsert([make_book(2)]),
            lambda: store.delete(ids=["book-00001"]),
            lambda: store.update(ids=["book-00001"], metadata={"year": 1}), store.verify,
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(StoreMoved, match=r"'docs' has moved to store 'theirs' in a Database on file") as caught:
                call()
            assert entry.successor is not None
            assert caught.value.uid == entry.successor.uid
        assert entry.previous is not None
        backend.switch(entry.uid, entry.previous.id, lambda _: None)
        assert store.count() == 1, "the store is back"

    def test_its_name_stays_taken(self, db: Database, backend: Backend) -> None:
        db.create("docs", SCHEMA)
        self.move(backend)
        assert db.names() == ["docs"]
        deeds: list[Callable[[], object]] = [
            lambda: db.open("docs"), lambda: db.create("docs", SCHEMA),
            lambda: db.create("docs", SCHEMA, if_exists="open"), lambda: db.rename("docs", "other"),
            lambda: db.drop("docs"), lambda: db.rebuild("docs", schema=WIDER), lambda: db.rollback("docs"),
            lambda: db.drop_previous("docs"), lambda: db.declare("docs", {"pages": fields.Int()}),
            lambda: db.undeclare("docs", ["year"]),
        ]  # fmt: skip
        for deed in deeds:
            with pytest.raises(StoreMoved):
                deed()
        signpost = backend.find(name="docs").active
        assert signpost.remote is not None
        with pytest.raises(StoreLocked, match="Nothing here says that store 'docs' has arrived"):
            db.drop("docs", moved=True)
        backend.amend(replace(signpost, remote=replace(signpost.remote, arrived=True)))
        db.drop("docs", moved=True)
        assert db.names() == []
        assert isinstance(db.create("docs", SCHEMA), VectorStore)

    def test_moved_is_said_of_moved_stores_only(self, db: Database) -> None:
        db.create("docs", SCHEMA)
        with pytest.raises(InvalidArgument, match="has not moved"):
            db.drop("docs", moved=True)
        with pytest.raises(StoreNotFound):
            db.drop("other", moved=True)
        assert db.names() == ["docs"]

    def test_an_incoming_store_is_locked(self, db: Database, backend: Backend) -> None:
        backend.create("docs", new_remote(standby=False))
        backend.create("docs", new_generation(standby=True))
        assert db.names() == []
        deeds: list[Callable[[], object]] = [
            lambda: db.open("docs"), lambda: db.create("docs", SCHEMA),
            lambda: db.create("docs", SCHEMA, if_exists="open"), lambda: db.rename("docs", "other"),
            lambda: db.drop("docs"), lambda: db.rebuild("docs", schema=WIDER),
            lambda: db.declare("docs", {"pages": fields.Int()}), lambda: db.undeclare("docs", ["year"]),
        ]  # fmt: skip
        for deed in deeds:
            with pytest.raises(StoreLocked, match=r"unfinished target of a move of store 'theirs'"):
                deed()
        with pytest.raises(StoreLocked, match="may be all there is"):
            db.drop("docs", moved=True)

    def test_what_a_copy_has_left_is_removed(self, db: Database, backend: Backend) -> None:
        backend.create("docs", new_remote(standby=False, kind="copy"))
        backend.create("docs", new_generation(standby=True))
        db.drop("docs", moved=True)
        db.create("docs", SCHEMA)

    @pytest.mark.parametrize("kind", ["move", "load"])
    def test_a_rebuild_that_broke_off_is_given_up_where_the_store_came_from_elsewhere(
        self, place: Place, db: Database, backend: Backend, kind: str
    ) -> None:
        store = db.create("docs", SCHEMA)
        store.upsert([make_book(1)])
        entry = self.move(backend, kind=kind)
        assert entry.previous is not None
        came = backend.switch(entry.uid, entry.previous.id, lambda _: None)
        before = len(place.generations() or {})
        backend.create("docs", new_generation(WIDER, standby=True))
        store.upsert([make_book(2)])
        assert db.rollback("docs").records == 2
        assert (backend.find(name="docs"), len(place.generations() or {})) == (came, before)
        store.upsert([make_book(3)])
        assert store.count() == 3
        with pytest.raises(InvalidArgument, match="no previous generation" if kind == "load" else r"move_back\(\)"):
            db.rollback("docs")

    def test_a_rebuild_spares_a_move_that_was_interrupted(self, db: Database, backend: Backend) -> None:
        db.create("docs", SCHEMA)
        entry = backend.create("docs", new_remote(standby=True))
        deeds: list[Callable[[], object]] = [
            lambda: db.rebuild("docs", schema=WIDER),
            lambda: db.rebuild("docs"),
            lambda: db.rollback("docs"),
        ]
        for deed in deeds:
            with pytest.raises(StoreLocked, match=r"abort_move\(\)"):
                deed()
        assert backend.find(name="docs") == entry

    def test_a_store_that_came_from_elsewhere_has_no_rollback(self, db: Database, backend: Backend) -> None:
        backend.create("docs", new_remote(standby=False))
        entry = backend.create("docs", new_generation(standby=True))
        assert entry.building is not None
        backend.switch(entry.uid, entry.building.id, lambda _: None)
        with pytest.raises(InvalidArgument, match=r"move_back\(\)"):
            db.rollback("docs")
        assert db.open("docs").count() == 0
