"""`VectorStore.loading`: writes without upkeep, and one upkeep at the end."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from ..database import Database
from ..errors import InvalidMetadata, PartialWrite, StoreNotFound
from ..index_options import HNSW
from ..progress import Phase
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .indexes import DIM, FIELDS, make_records
from .place import Place, Places
from .threads import run_at_once

COUNT = 240
SCHEMA = Schema(DIM, "l2", "float32", HNSW(target_recall=0.9), FIELDS)


class _CallersError(Exception):
    """An error of the caller's own."""


def insert_and_raise(store: VectorStore, error: BaseException) -> None:
    """Write records in a block, and leave it by an error."""
    with store.loading():
        store.insert(make_records(COUNT))
        raise error


class LoadingTests(Places):
    """Blocks of writes on an index that is built over a few dozen records."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return an empty store."""
        return db.create("loaded", SCHEMA)

    def check_untended(self, place: Place, store: VectorStore) -> None:
        """Require that nothing has been built, and that this delays no record."""
        assert store.index_status().indexed == 0
        assert list(place.indexes("loaded")) == []

    def check_tended(self, place: Place, store: VectorStore, count: int = COUNT) -> None:
        """Require an index over all records where there is one."""
        assert store.count() == count
        assert store.index_status().indexed == (count if place.indexed else 0)
        assert len(place.indexes("loaded")) == (1 if place.indexed else 0)

    def test_the_index_is_built_at_the_end(self, place: Place, store: VectorStore) -> None:
        records = make_records(COUNT)
        with store.loading():
            for start in range(0, COUNT, 60):
                assert store.upsert(records[start : start + 60]) == 60
                self.check_untended(place, store)
                assert store.count() == start + 60
                assert store.search(records[start].vector, 1)[0].id == records[start].id
            assert store.update(ids=["r00001"], metadata={"share": -1}) == 1
            assert store.delete(ids=["r00002"]) == 1
            self.check_untended(place, store)
        self.check_tended(place, store, COUNT - 1)

    def test_after_an_error_too(self, place: Place, store: VectorStore) -> None:
        raised = _CallersError("mine")
        with pytest.raises(_CallersError) as caught:
            insert_and_raise(store, raised)
        assert caught.value is raised
        self.check_tended(place, store)

    def test_batches_of_a_write_that_breaks_off_count(self, place: Place, store: VectorStore) -> None:
        bad = Record("bad", [1.0] * DIM, metadata={"share": "x"})
        with pytest.raises(PartialWrite), store.loading():
            store.insert([*make_records(COUNT), bad], batch_size=60)
        self.check_tended(place, store)

        def give() -> object:
            yield from make_records(60, prefix="s")
            raise _CallersError

        with pytest.raises(_CallersError), store.loading():
            store.insert(give(), batch_size=30)  # type: ignore[arg-type]
        self.check_tended(place, store, COUNT + 60)

    def test_nothing_written_is_nothing_to_do(self, place: Place, store: VectorStore) -> None:
        with store.loading():
            pass
        with pytest.raises(InvalidMetadata), store.loading():
            store.upsert([Record("bad", [1.0] * DIM, metadata={"share": "x"})])
        self.check_untended(place, store)

    def test_blocks_may_be_nested(self, place: Place, store: VectorStore) -> None:
        with store.loading():
            with store.loading():
                store.insert(make_records(COUNT))
            self.check_untended(place, store)
            with pytest.raises(_CallersError), store.loading():
                raise _CallersError
            self.check_untended(place, store)
        self.check_tended(place, store)

    def test_the_last_of_several_threads_does_the_upkeep(self, place: Place, store: VectorStore) -> None:
        together = threading.Barrier(4, timeout=60)

        def load(number: int) -> None:
            with store.loading():
                together.wait()
                store.upsert(make_records(60, prefix=f"t{number}"))
                together.wait()
                self.check_untended(place, store)
                together.wait()

        run_at_once(*(partial(load, number) for number in range(4)))
        self.check_tended(place, store)

    def test_a_write_in_a_thread_counts(self, place: Place, store: VectorStore) -> None:
        with store.loading():
            run_at_once(lambda: store.upsert(make_records(COUNT)), lambda: store.upsert(make_records(COUNT)))
            self.check_untended(place, store)
        self.check_tended(place, store)

    def test_an_interrupt_leaves_the_upkeep_to_the_next_write(self, place: Place, store: VectorStore) -> None:
        with pytest.raises(KeyboardInterrupt):
            insert_and_raise(store, KeyboardInterrupt())
        self.check_untended(place, store)
        store.upsert(make_records(1))
        self.check_tended(place, store)

    def test_the_upkeep_reports(self, place: Place, store: VectorStore) -> None:
        calls: list[Phase] = []
        with store.loading(lambda phase, done, total: calls.append(phase)):
            store.insert(make_records(COUNT))
            assert calls == []
        assert list(dict.fromkeys(calls)) == (["indexing", "calibrating"] if place.indexed else [])

    def test_a_store_that_is_dropped_inside_needs_none(self, db: Database, store: VectorStore) -> None:
        with store.loading():
            store.insert(make_records(COUNT))
            db.drop("loaded")
        with pytest.raises(StoreNotFound):
            store.count()

    def test_a_task_may_be_run_again(self, place: Place, store: VectorStore) -> None:
        for _ in range(2):
            with store.loading():
                assert store.upsert(make_records(COUNT)) == COUNT
        self.check_tended(place, store)
