"""Below the facade: standby generations and the change list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ..backend import Backend, Entry, Update
from ..errors import StoreExists, StoreLocked, StoreNotFound
from ..filters.nodes import ALL, Compare
from ..index_options import HNSW
from .backend_level import BackendLevel, make_rows_named, new_generation, read_changed_ids, read_versions, write_fenced


class BuilderFailure(Exception):
    """An error in the block that holds the lock of a builder."""


class ChangesTests(BackendLevel):
    """The change list of a store that has a standby generation."""

    @pytest.fixture
    def building(self, backend: Backend, entry: Entry) -> Entry:
        """Return the entry of a store with three records and a generation under construction."""
        write_fenced(backend, entry.active, [("a", 1), ("b", 1), ("c", 1)])
        return backend.create("docs", new_generation(standby=True))

    def test_nothing_is_noted_without_a_standby(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [("a", 1)])
        backend.delete(entry.active, ALL)
        assert read_changed_ids(backend, entry.active) == []

    def test_nothing_from_before_is_noted(self, backend: Backend, building: Entry) -> None:
        assert read_changed_ids(backend, building.active) == []

    @pytest.mark.parametrize(
        "change, ids",
        [
            (lambda b, g: b.write(g, make_rows_named("d", "b"), insert=False), {"b", "d"}),
            (lambda b, g: b.write(g, make_rows_named("e"), insert=True), {"e"}),
            (lambda b, g: write_fenced(b, g, [("a", 2)]), {"a"}),
            (lambda b, g: b.update(g, ["a", "absent"], Update({"lang": "xx"}, {})), {"a"}),
            (lambda b, g: b.update(g, Compare("id", "in", ("b", "c")), Update({"lang": "xx"}, {})), {"b", "c"}),
            (lambda b, g: b.delete(g, ["a", "absent"]), {"a"}),
            (lambda b, g: b.delete(g, ["a"], fence=[1]), {"a"}),
            (lambda b, g: b.delete(g, ALL), {"a", "b", "c"}),
            (lambda b, g: write_fenced(b, g, [("a", 0), ("b", 2)]), {"b"}),
        ],
        ids=[
            "upsert",
            "insert",
            "fenced",
            "update",
            "update where",
            "delete",
            "fenced delete",
            "delete where",
            "held back by its fence",
        ],
    )
    def test_every_change_is_noted(self, backend: Backend, building: Entry, change: Any, ids: set[str]) -> None:
        change(backend, building.active)
        assert set(read_changed_ids(backend, building.active)) == ids

    def test_the_oldest_note_comes_first(self, backend: Backend, building: Entry) -> None:
        for id_ in "zxya":
            write_fenced(backend, building.active, [(id_, 2)])
        assert read_changed_ids(backend, building.active) == list("zxya")
        assert read_changed_ids(backend, building.active, 2) == list("zx")

    def test_notes_stay_until_they_are_settled(self, backend: Backend, building: Entry) -> None:
        for id_ in "zxy":
            write_fenced(backend, building.active, [(id_, 2)])
        first = backend.changes(building.active, (), 2)
        assert backend.changes(building.active, (), 2) == first
        assert [change.id for change in backend.changes(building.active, first, 10)] == ["y"]
        assert read_changed_ids(backend, building.active) == ["y"]
        assert [change.seq for change in first] == sorted({change.seq for change in first})

    def test_settling_an_old_note_leaves_a_new_one(self, backend: Backend, building: Entry) -> None:
        write_fenced(backend, building.active, [("a", 2), ("b", 2)])
        claimed = backend.changes(building.active, (), 10)
        write_fenced(backend, building.active, [("a", 3)])
        left = backend.changes(building.active, claimed, 10)
        assert [change.id for change in left] == ["a"]
        assert left[0].seq > max(change.seq for change in claimed if change.id == "a")
        assert backend.changes(building.active, left, 10) == []

    def test_a_record_that_changes_often_is_found(self, backend: Backend, building: Entry) -> None:
        for version in range(2, 9):
            write_fenced(backend, building.active, [("a", version)])
        changes = backend.changes(building.active, (), 100)
        assert {change.id for change in changes} == {"a"}
        assert backend.changes(building.active, changes, 100) == []

    def test_writes_to_the_standby_are_not_noted(self, backend: Backend, building: Entry) -> None:
        assert building.building is not None
        write_fenced(backend, building.building, [("x", 1)])
        backend.delete(building.building, ["x"])
        assert read_changed_ids(backend, building.active) == read_changed_ids(backend, building.building) == []

    def test_dropping_the_standby_drops_the_list(self, backend: Backend, building: Entry) -> None:
        assert building.building is not None
        write_fenced(backend, building.active, [("a", 2)])
        backend.drop(building.uid, building.building.id)
        assert backend.find(name="docs").standby is None
        backend.create("docs", new_generation(standby=True))
        assert read_changed_ids(backend, building.active) == []
        write_fenced(backend, building.active, [("b", 2)])
        assert read_changed_ids(backend, building.active) == ["b"]


class StandbyTests(BackendLevel):
    """Generations in the catalogue."""

    def test_create_find_and_drop(self, backend: Backend, entry: Entry) -> None:
        wanted = new_generation(standby=True)
        created = backend.create("docs", wanted)
        assert created == backend.find(name="docs") == backend.find(uid=entry.uid)
        assert (created.active, created.building, created.previous) == (entry.active, wanted, None)
        backend.drop(entry.uid, wanted.id)
        assert backend.find(name="docs") == entry

    def test_a_store_has_one_standby(self, backend: Backend, entry: Entry) -> None:
        backend.create("docs", new_generation(standby=True))
        with pytest.raises(StoreExists):
            backend.create("docs", new_generation(standby=True))

    def test_a_standby_needs_its_store(self, backend: Backend, entry: Entry) -> None:
        with pytest.raises(StoreNotFound):
            backend.create("other", new_generation(standby=True))
        assert backend.names() == ["docs"]

    def test_drop_of_a_generation_takes_a_standby_only(self, backend: Backend, entry: Entry) -> None:
        for id_ in (entry.active.id, "0" * 32):
            with pytest.raises(StoreNotFound):
                backend.drop(entry.uid, id_)
        assert backend.count(entry.active, None) == 0

    def test_each_generation_has_its_own_records(self, backend: Backend, entry: Entry) -> None:
        standby = backend.create("docs", new_generation(standby=True)).building
        assert standby is not None
        write_fenced(backend, entry.active, [("a", 1)])
        write_fenced(backend, standby, [("a", 2), ("b", 2)])
        assert read_versions(backend, entry.active) == {"a": 1}
        assert read_versions(backend, standby) == {"a": 2, "b": 2}

    def test_amend_changes_index_identity_and_ef_of_any_generation(self, backend: Backend, entry: Entry) -> None:
        standby = backend.create("docs", new_generation(standby=True)).building
        assert standby is not None
        identity = {"config": {"model": "m", "dim": 4}, "canaries": {"data": "AAAA", "shape": [2, 6, 4]}}
        for each in (entry.active, standby):
            schema = each.schema.with_index(HNSW(m=8, ef_construction=32, target_recall=0.9))
            backend.amend(replace(each, schema=schema, identity=identity, ef=64))
        found = backend.find(name="docs")
        for role in (found.active, found.building):
            assert role is not None
            assert (role.schema.index, role.identity, role.ef) == (HNSW(8, 32, 0.9), identity, 64)
        assert (found.active.id, found.active.standby) == (entry.active.id, False)

    def test_the_uid_outlives_the_name(self, backend: Backend, entry: Entry) -> None:
        backend.rename(entry.uid, "other")
        assert backend.find(uid=entry.uid) == replace(entry, name="other")
        with pytest.raises(StoreNotFound):
            backend.rename("0" * 32, "third")

    def test_one_builder_at_a_time(self, backend: Backend, entry: Entry) -> None:
        other = backend.create("other", new_generation())
        with backend.builder(entry.uid):
            with pytest.raises(StoreLocked), backend.builder(entry.uid):
                pass
            with backend.builder(other.uid):
                pass
        with pytest.raises(BuilderFailure), backend.builder(entry.uid):
            raise BuilderFailure
        with backend.builder(entry.uid):
            pass
