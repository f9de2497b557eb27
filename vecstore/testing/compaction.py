"""Compaction gives back room and changes nothing that anybody can see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ..backend import Backend, Entry
from ..database import Database
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..index_options import HNSW
from ..store import VectorStore
from .backend_level import (
    make_rows_named,
    new_generation,
    read_changed_ids,
    read_tombstones,
    read_versions,
    write_fenced,
)
from .judgement import to_bits
from .place import Place, Places
from .sample_records import SCHEMA, make_book, make_books, read_contents

INDEXED = SCHEMA.with_index(HNSW(m=8, ef_construction=40))
QUERIES = np.random.default_rng(11).uniform(0, 8, (12, 4))


class CompactionTests(Places):
    """`VectorStore.compact`."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store that was written, changed and thinned out in many steps."""
        store = db.create("docs", INDEXED)
        for start in range(0, 900, 300):
            store.insert(make_books(range(start, start + 300)))
        for start in (0, 100, 450):
            store.upsert([make_book(start + number + 5_000, id=f"book-{start + number:05}") for number in range(60)])
        store.update(where=F.year == 2003, metadata={"lang": "xx"}, text=None)
        store.delete(where=F.tags.contains("t4") | (F.year >= 2014))
        store.upsert(make_books(range(2_000, 2_005)))
        return store

    def test_no_answer_changes(self, place: Place, store: VectorStore) -> None:
        before = collect_answers(store)
        store.compact()
        assert collect_answers(store) == before
        if place.shared:
            with place.connect() as again:
                assert collect_answers(again.open("docs")) == before
        store.compact()
        assert collect_answers(store) == before
        assert store.verify().ok

    def test_readers_go_on(self, place: Place, store: VectorStore) -> None:
        """One in the middle of a scan, and one that has read before and reads on."""
        if not place.shared:
            pytest.skip("a second connection sees nothing of this place")
        with place.connect() as other:
            reader = other.open("docs")
            before = collect_answers(reader)
            scan = reader.scan(batch_size=10)
            seen = [next(scan) for _ in range(25)]
            store.compact()
            assert seen + list(scan) == list(store.scan())
            assert collect_answers(reader) == before
            store.delete(where=F.year < 2005)
            store.compact()
            assert read_contents(reader) == read_contents(store)

    def test_writers_go_on(self, db: Database, store: VectorStore) -> None:
        writer = db.open("docs")
        kept = read_contents(writer)
        for turn in range(4):
            writer.upsert([make_book(turn, id=f"new-{turn}")])
            store.compact()
            writer.update(ids=[f"new-{turn}"], metadata={"year": turn})
            writer.delete(ids=[f"new-{turn - 1}"])
        assert writer.get(["new-3"]) == [make_book(3, id="new-3", metadata={"year": 3})]
        assert read_contents(store) == {**kept, "new-3": make_book(3, id="new-3", metadata={"year": 3})}

    def test_nothing_is_left_to_give_back(self, db: Database, store: VectorStore) -> None:
        store.delete(where=ALL)
        store.compact()
        assert read_contents(store) == {}
        assert len(store.search([1, 2, 3, 4])) == 0
        store.insert(make_books(range(40)))
        store.compact()
        assert len(read_contents(store)) == 40
        empty = db.create("empty", INDEXED)
        empty.compact()
        assert read_contents(empty) == {}

    def test_after_many_deletes_a_search_is_still_complete(self, store: VectorStore) -> None:
        for year in range(2000, 2012):
            store.delete(where=F.year == year)
            if year % 4 == 0:
                store.compact()
            left = store.count()
            for hits in store.search_many(QUERIES, 40):
                assert len(hits) == min(40, left)


def collect_answers(store: VectorStore) -> list[Any]:
    """Return all that a store says about its records, but for what approximates."""
    wheres = [None, F.lang == "xx", F.year < 2007, F.tags.contains("t1") & ~(F.lang == "de")]
    found: list[Any] = [to_bits(record) for record in read_contents(store).values()]
    for where in wheres:
        found.append(store.count(where))
        found += [round_answer(hits) for hits in store.search_many(QUERIES, 15, where=where, exact=True)]
        found += [len(hits) for hits in store.search_many(QUERIES, 15, where=where)]
    return found


def round_answer(hits: Any) -> list[Any]:
    """Return an answer without the last bits of its scores, which depend on the arithmetic."""
    return sorted((round(hit.score, 4), hit.id, hit.text, repr(hit.metadata)) for hit in hits)


class BackendCompactionTests(Places):
    """What no search shows: versions, tombstones, changes that wait for a generation beside."""

    @pytest.fixture
    def backend(self, place: Place) -> Iterator[Backend]:
        backend = place.backend()
        yield backend
        backend.close()

    @pytest.fixture
    def entry(self, backend: Backend) -> Entry:
        """Return a store with fenced records, removed ones, and a standby for which changes are noted."""
        active = backend.create("docs", new_generation(INDEXED)).active
        write_fenced(backend, active, [(f"id{number:04}", number % 7) for number in range(600)])
        backend.delete(active, [f"id{number:04}" for number in range(0, 600, 3)])
        backend.delete(active, ["never"], fence=[9])
        entry = backend.create("docs", new_generation(INDEXED, standby=True))
        write_fenced(backend, active, [(f"id{number:04}", 20) for number in range(90)])
        backend.delete(active, [f"id{number:04}" for number in range(50)])
        return entry

    def test_versions_tombstones_and_changes_stay(self, backend: Backend, entry: Entry) -> None:
        active = entry.active

        def hidden() -> Any:
            return read_versions(backend, active), read_tombstones(backend, active), read_changed_ids(backend, active)

        before = hidden()
        assert all(before)
        backend.compact(active)
        assert hidden() == before
        assert write_fenced(backend, active, [("id0003", 19), ("never", 8), ("id0004", 20)]) == 1

    def test_a_standby_is_compacted_as_well(self, backend: Backend, entry: Entry) -> None:
        standby = entry.standby
        assert standby is not None
        backend.write(standby, make_rows_named(*(f"id{number:04}" for number in range(300))), insert=True)
        backend.delete(standby, [f"id{number:04}" for number in range(0, 300, 2)])
        before = read_versions(backend, standby)
        backend.compact(standby)
        assert read_versions(backend, standby) == before
        backend.tend(standby)
        assert read_versions(backend, standby) == before
