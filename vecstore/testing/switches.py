"""Below the facade: the switch from one generation to the next, and what stale ones answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from ..backend import Backend, Change, Entry, Generation, Search, Superseded, Update
from ..errors import StoreNotFound
from ..filters.nodes import ALL
from .backend_level import (
    BackendLevel,
    make_rows_named,
    new_generation,
    read_changed_ids,
    read_tombstones,
    read_versions,
    write_fenced,
)

DATA_METHODS: dict[str, Callable[[Backend, Generation], object]] = {
    "write": lambda backend, each: backend.write(each, make_rows_named("x"), insert=False),
    "insert": lambda backend, each: backend.write(each, make_rows_named("x"), insert=True),
    "fenced write": lambda backend, each: backend.write(each, make_rows_named("x"), insert=False, fence=[9]),
    "update": lambda backend, each: backend.update(each, ["a"], Update({}, {"note": "1"})),
    "update where": lambda backend, each: backend.update(each, ALL, Update({}, {"note": "1"})),
    "delete": lambda backend, each: backend.delete(each, ["a"]),
    "delete where": lambda backend, each: backend.delete(each, ALL),
    "fenced delete": lambda backend, each: backend.delete(each, ["a"], fence=[9]),
    "changes": lambda backend, each: backend.changes(each, (), 10),
    "fetch": lambda backend, each: backend.fetch(each, ["a"]),
    "page": lambda backend, each: backend.page(each, None, None, 10),
    "count": lambda backend, each: backend.count(each, None),
    "search": lambda backend, each: backend.search(each, Search(np.ones((1, 4), np.float32), 1)),
    "tombstones": lambda backend, each: backend.tombstones(each, None, 10),
    "build_index": lambda backend, each: backend.build_index(each),
    "index_state": lambda backend, each: backend.index_state(each),
    "stats": lambda backend, each: backend.stats(each),
    "verify": lambda backend, each: backend.verify(each),
}


class DrainFailure(Exception):
    """An error of the drain's own."""


def copy_everything(backend: Backend, source: Generation, target: Generation) -> Callable[[Sequence[Change]], None]:
    """Return a drain that copies all records, whatever changed."""

    def drain(changes: Sequence[Change]) -> None:
        page = backend.page(source, None, None, 1_000)
        backend.write(target, page, insert=False, fence=page.versions)

    return drain


class SwitchTests(BackendLevel):
    """`Backend.switch`, and what stale generations answer."""

    @pytest.fixture
    def building(self, backend: Backend, entry: Entry) -> Entry:
        """Return the entry of a store with three records and a generation under construction."""
        write_fenced(backend, entry.active, [("a", 1), ("b", 1), ("c", 1)])
        return backend.create("docs", new_generation(standby=True))

    def switched(self, backend: Backend, entry: Entry) -> Entry:
        """Copy everything and switch."""
        assert entry.standby is not None
        return backend.switch(entry.uid, entry.standby.id, copy_everything(backend, entry.active, entry.standby))

    def test_the_standby_becomes_active(self, backend: Backend, building: Entry) -> None:
        after = self.switched(backend, building)
        assert after == backend.find(name="docs")
        assert building.building is not None
        assert after.active == replace(building.building, standby=False)
        assert after.previous == replace(building.active, standby=True)
        assert after.building is None
        assert (
            read_versions(backend, after.active) == read_versions(backend, after.previous) == {"a": 1, "b": 1, "c": 1}
        )

    def test_the_drain_gets_what_is_still_noted(self, backend: Backend, building: Entry) -> None:
        handed: list[list[str]] = []
        write_fenced(backend, building.active, [("b", 2), ("x", 2)])
        first = backend.changes(building.active, (), 10)
        backend.changes(building.active, first, 10)
        write_fenced(backend, building.active, [("c", 2)])
        backend.delete(building.active, ["a"])
        assert building.building is not None
        backend.switch(building.uid, building.building.id, lambda each: handed.append([change.id for change in each]))
        assert handed == [["c", "a"]]

    def test_the_drain_is_called_with_nothing_to_drain(self, backend: Backend, building: Entry) -> None:
        handed: list[Sequence[Change]] = []
        assert building.building is not None
        backend.switch(building.uid, building.building.id, handed.append)
        assert [list(changes) for changes in handed] == [[]]

    def test_both_change_lists_are_empty_afterwards(self, backend: Backend, building: Entry) -> None:
        write_fenced(backend, building.active, [("b", 2)])
        after = self.switched(backend, building)
        assert after.previous is not None
        assert read_changed_ids(backend, after.active) == read_changed_ids(backend, after.previous) == []

    def test_writes_are_noted_for_the_previous_one(self, backend: Backend, building: Entry) -> None:
        after = self.switched(backend, building)
        write_fenced(backend, after.active, [("b", 2)])
        assert read_changed_ids(backend, after.active) == ["b"]

    def test_a_drain_that_fails_leaves_everything_as_it_was(self, backend: Backend, building: Entry) -> None:
        write_fenced(backend, building.active, [("b", 2)])

        def fail(changes: Sequence[Change]) -> None:
            raise DrainFailure

        assert building.building is not None
        with pytest.raises(DrainFailure):
            backend.switch(building.uid, building.building.id, fail)
        assert backend.find(name="docs") == building
        assert read_changed_ids(backend, building.active) == ["b"]
        write_fenced(backend, building.active, [("a", 2)])
        assert self.switched(backend, building).building is None

    def test_back_and_forth(self, backend: Backend, building: Entry) -> None:
        there = self.switched(backend, building)
        write_fenced(backend, there.active, [("d", 3)])
        back = self.switched(backend, there)
        assert back.active.id == building.active.id
        assert read_versions(backend, back.active) == {"a": 1, "b": 1, "c": 1, "d": 3}

    def test_only_the_standby_of_that_id_is_switched_to(self, backend: Backend, building: Entry) -> None:
        assert building.building is not None
        handed: list[Sequence[Change]] = []
        for uid, standby in (
            (building.uid, "0" * 32),
            (building.uid, building.active.id),
            ("0" * 32, building.building.id),
        ):
            with pytest.raises(StoreNotFound):
                backend.switch(uid, standby, handed.append)
        assert handed == []
        assert backend.find(name="docs") == building
        backend.drop(building.uid, building.building.id)
        with pytest.raises(StoreNotFound):
            backend.switch(building.uid, building.building.id, handed.append)

    @pytest.mark.parametrize("method", DATA_METHODS)
    def test_a_stale_generation_is_superseded(self, backend: Backend, building: Entry, method: str) -> None:
        after = self.switched(backend, building)
        assert after.previous is not None
        for stale in (building.active, building.building, replace(after.active, standby=True), new_generation()):
            assert stale is not None
            with pytest.raises(Superseded):
                DATA_METHODS[method](backend, stale)
        assert (
            read_versions(backend, after.active) == read_versions(backend, after.previous) == {"a": 1, "b": 1, "c": 1}
        )
        assert read_tombstones(backend, after.active) == {}

    @pytest.mark.parametrize("method", DATA_METHODS)
    def test_a_dropped_generation_is_superseded(self, backend: Backend, building: Entry, method: str) -> None:
        backend.drop(building.uid)
        for stale in (building.active, building.building):
            assert stale is not None
            with pytest.raises(Superseded):
                DATA_METHODS[method](backend, stale)
