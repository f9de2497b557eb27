"""Generations whose records are in another Database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ..backend import Backend, Entry, Generation, Remote, Superseded
from ..errors import StoreExists, StoreNotFound
from ..swap.arrival import arrive
from .backend_level import BackendLevel, new_generation, read_changed_ids, read_versions, write_fenced
from .switches import DATA_METHODS, DrainFailure


def new_remote(*, standby: bool, kind: Any = "move") -> Generation:
    """Return a remote generation that was not created yet."""
    other = Remote("file", uuid.uuid4().hex, "theirs", uuid.uuid4().hex, kind)
    return replace(new_generation(standby=standby), remote=other)


class RemoteTests(BackendLevel):
    """`Generation.remote` in each role."""

    @pytest.fixture
    def leaving(self, backend: Backend, entry: Entry) -> Entry:
        """Return the entry of a store with two records that a remote generation follows."""
        write_fenced(backend, entry.active, [("a", 1), ("b", 2)])
        return backend.create("docs", new_remote(standby=True))

    @pytest.fixture
    def moved(self, backend: Backend, leaving: Entry) -> Entry:
        """Return the entry of a store that has moved."""
        assert leaving.building is not None
        return backend.switch(leaving.uid, leaving.building.id, lambda _: None)

    @pytest.fixture
    def incoming(self, backend: Backend) -> Iterator[Entry]:
        """Return the entry of a store that comes from elsewhere; it is dropped at the end."""
        made = backend.create("coming", new_remote(standby=False))
        yield backend.create("coming", new_generation(standby=True)) if made.active.remote else made
        backend.drop(made.uid)

    def test_it_is_stored_whole(self, backend: Backend, leaving: Entry) -> None:
        assert leaving == backend.find(name="docs") == backend.find(uid=leaving.uid)
        assert leaving.building is not None
        assert leaving.building.remote is not None
        assert (leaving.building.remote.place, leaving.building.remote.name) == ("file", "theirs")
        assert leaving.building.standby

    def test_both_kinds_are_stored(self, backend: Backend, entry: Entry) -> None:
        copy = backend.create("docs", new_remote(standby=True, kind="copy")).building
        assert copy is not None
        assert copy.remote is not None
        assert backend.find(name="docs").building == copy
        assert copy.remote.kind == "copy"

    def test_writes_are_noted_for_it(self, backend: Backend, leaving: Entry) -> None:
        write_fenced(backend, leaving.active, [("c", 1)])
        backend.delete(leaving.active, ["a"])
        assert read_changed_ids(backend, leaving.active) == ["c", "a"]

    def test_without_it_nothing_is_noted(self, backend: Backend, leaving: Entry) -> None:
        write_fenced(backend, leaving.active, [("c", 1)])
        assert leaving.building is not None
        backend.drop(leaving.uid, leaving.building.id)
        write_fenced(backend, leaving.active, [("d", 1)])
        assert read_changed_ids(backend, leaving.active) == []
        assert backend.find(name="docs").building is None

    def test_there_is_one_at_most(self, backend: Backend, leaving: Entry) -> None:
        for other in (new_remote(standby=True), new_generation(standby=True)):
            with pytest.raises(StoreExists):
                backend.create("docs", other)

    @pytest.mark.parametrize("call", DATA_METHODS.values(), ids=DATA_METHODS)
    def test_it_holds_no_data_as_a_standby(
        self, backend: Backend, leaving: Entry, call: Callable[[Backend, Generation], object]
    ) -> None:
        assert leaving.building is not None
        with pytest.raises(Superseded):
            call(backend, leaving.building)
        assert read_versions(backend, leaving.active) == {"a": 1, "b": 2}

    @pytest.mark.parametrize("call", DATA_METHODS.values(), ids=DATA_METHODS)
    def test_after_the_switch_the_records_are_elsewhere(
        self, backend: Backend, moved: Entry, call: Callable[[Backend, Generation], object]
    ) -> None:
        assert moved.previous is not None
        for each in (moved.active, replace(moved.previous, standby=False)):
            with pytest.raises(Superseded):
                call(backend, each)
        assert read_versions(backend, moved.previous) == {"a": 1, "b": 2}

    def test_the_switch_leaves_a_way(self, backend: Backend, leaving: Entry) -> None:
        write_fenced(backend, leaving.active, [("c", 1)])
        handed: list[str] = []
        assert leaving.building is not None
        after = backend.switch(leaving.uid, leaving.building.id, lambda each: handed.extend(one.id for one in each))
        assert handed == ["c"]
        assert after == backend.find(name="docs")
        assert after.successor == leaving.building.remote
        assert not after.is_incoming
        assert after.previous is not None
        assert after.previous.id == leaving.active.id
        assert "docs" in backend.names()

    def test_a_drain_that_fails_changes_nothing(self, backend: Backend, leaving: Entry) -> None:
        def fail(_: object) -> None:
            raise DrainFailure

        write_fenced(backend, leaving.active, [("c", 1)])
        assert leaving.building is not None
        with pytest.raises(DrainFailure):
            backend.switch(leaving.uid, leaving.building.id, fail)
        assert backend.find(name="docs") == leaving
        assert read_changed_ids(backend, leaving.active) == ["c"]
        write_fenced(backend, leaving.active, [("d", 1)])

    def test_and_back(self, backend: Backend, moved: Entry) -> None:
        assert moved.previous is not None
        write_fenced(backend, moved.previous, [("c", 3)])
        handed: list[int] = []
        back = backend.switch(moved.uid, moved.previous.id, lambda each: handed.append(len(each)))
        assert handed == [0]
        assert back.successor is None
        assert read_versions(backend, back.active) == {"a": 1, "b": 2, "c": 3}
        assert back.previous == replace(moved.active, standby=True)
        write_fenced(backend, back.active, [("d", 1)])
        assert read_changed_ids(backend, back.active) == ["d"], "the other place follows"

    def test_a_rebuild_parks_it_and_its_end_drops_it(self, backend: Backend, moved: Entry) -> None:
        assert moved.previous is not None
        back = backend.switch(moved.uid, moved.previous.id, lambda _: None)
        building = backend.create("docs", new_generation(standby=True)).building
        assert building is not None
        assert backend.find(name="docs").previous == back.previous
        backend.drop(back.uid, building.id)
        assert backend.find(name="docs").standby == back.previous
        building = backend.create("docs", new_generation(standby=True)).building
        assert building is not None
        after = backend.switch(back.uid, building.id, lambda _: None)
        assert [each.remote for each in after.generations] == [None, None]

    def test_an_incoming_store_has_no_name_yet(self, backend: Backend, incoming: Entry) -> None:
        assert incoming.is_incoming
        assert backend.names() == []
        assert backend.find(name="coming") == incoming
        with pytest.raises(StoreExists):
            backend.create("coming", new_generation())
        assert incoming.building is not None
        write_fenced(backend, incoming.building, [("a", 1)])
        after = backend.switch(incoming.uid, incoming.building.id, lambda _: None)
        assert not after.is_incoming
        assert backend.names() == ["coming"]
        assert read_versions(backend, after.active) == {"a": 1}
        write_fenced(backend, after.active, [("b", 1)])
        assert read_changed_ids(backend, after.active) == ["b"]

    def test_where_it_is_can_be_amended(self, backend: Backend, moved: Entry) -> None:
        assert moved.active.remote is not None
        later = replace(moved.active, remote=replace(moved.active.remote, move="1" * 32, kind="back"))
        backend.amend(later)
        assert backend.find(name="docs") == replace(moved, active=later)

    def test_whoever_knows_the_way_completes_a_move(self, backend: Backend, incoming: Entry) -> None:
        assert incoming.active.remote is not None
        way = replace(incoming.active.remote, uid=incoming.uid)
        for other in (replace(way, move="1" * 32), replace(way, kind="copy")):
            assert arrive(backend, other, backend) == incoming, "that is no way here"
        there = arrive(backend, way, backend)
        assert there.active.remote is None
        assert incoming.building is not None
        assert there.active.id == incoming.building.id
        assert there == arrive(backend, way, backend) == backend.find(name="coming")
        with pytest.raises(StoreNotFound):
            arrive(backend, replace(way, uid="1" * 32), backend)

    def test_whoever_knows_the_way_completes_a_way_back(self, backend: Backend, moved: Entry) -> None:
        assert moved.active.remote is not None
        assert moved.previous is not None
        way = replace(moved.active.remote, uid=moved.uid)
        assert arrive(backend, way, backend) == moved, "it has moved on"
        backend.amend(replace(moved.active, remote=replace(moved.active.remote, kind="back")))
        assert arrive(backend, way, backend).active.id == moved.previous.id

    def test_the_way_is_dropped_with_what_was_kept(self, backend: Backend, moved: Entry) -> None:
        backend.drop(moved.uid)
        assert backend.names() == []
        with pytest.raises(StoreNotFound):
            backend.find(uid=moved.uid)
