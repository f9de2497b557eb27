"""``on_progress``: what a long call reports, and what an exception of the caller's function leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from ..database import Database
from ..errors import InvalidArgument, StoreLocked
from ..index_options import HNSW
from ..progress import Phase
from ..schema import Schema
from ..store import VectorStore
from .indexes import DIM, FIELDS, draw_clustered, make_records
from .place import Place, Places

COUNT = 400
SCHEMA = Schema(DIM, "l2", "float32", HNSW(target_recall=0.9), FIELDS)
BUILDING: Sequence[Phase] = ("indexing", "calibrating")

Call = tuple[str, int, int | None]


class ProgressTests(Places):
    """Writes that build an index, with a function that watches them."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return an empty store."""
        return db.create("watched", SCHEMA)

    def test_a_write_reports_batches_and_then_the_index(self, place: Place, store: VectorStore) -> None:
        calls: list[Call] = []
        threads: set[threading.Thread] = set()

        def watch(phase: Phase, done: int, total: int | None) -> None:
            calls.append((phase, done, total))
            threads.add(threading.current_thread())

        store.insert(make_records(COUNT), batch_size=150, on_progress=watch)
        assert threads == {threading.current_thread()}
        writing = [("writing", done, COUNT) for done in (150, 300, COUNT)]
        assert calls[:3] == writing
        expected = ["writing", *(BUILDING if place.indexed else ())]
        assert list(dict.fromkeys(phase for phase, *_ in calls)) == expected
        for phase in expected:
            steps = [(done, total or 0) for name, done, total in calls if name == phase]
            assert steps == sorted(steps, key=lambda step: step[0])
            assert all(done <= total for done, total in steps)
            assert steps[-1][0] == steps[-1][1]
        assert {total for phase, _, total in calls if phase == "indexing"} == ({COUNT} if place.indexed else set())

    def test_the_length_of_a_stream_is_unknown(self, store: VectorStore) -> None:
        calls: list[Call] = []
        store.upsert(iter(make_records(20)), batch_size=10, on_progress=lambda *call: calls.append(call))
        assert calls == [("writing", 10, None), ("writing", 20, None)]

    @pytest.mark.parametrize(
        "call",
        [
            lambda store, watch: store.calibrate(on_progress=watch),
            lambda store, watch: store.reindex(on_progress=watch),
            lambda store, watch: store.compact(on_progress=watch),
        ],
        ids=["calibrate", "reindex", "compact"],
    )
    def test_other_calls_report_too(
        self, place: Place, store: VectorStore, call: Callable[[VectorStore, Callable[..., None]], object]
    ) -> None:
        store.insert(make_records(COUNT))
        store.delete(ids=[f"r{number:05}" for number in range(50)])
        calls: list[Call] = []
        call(store, lambda *each: calls.append(each))
        assert {phase for phase, *_ in calls} <= {"indexing", "calibrating", "compacting"}
        assert all(total is not None and done <= total for _, done, total in calls)

    def test_what_cannot_be_called_is_refused_before_anything_is_written(self, store: VectorStore) -> None:
        for call in (
            lambda: store.insert(make_records(3), on_progress="loud"),  # type: ignore[arg-type]
            lambda: store.reindex(HNSW(m=4), on_progress=3),  # type: ignore[arg-type]
        ):
            with pytest.raises(InvalidArgument, match="on_progress"):
                call()
        assert (store.count(), store.schema.index) == (0, SCHEMA.index)

    @pytest.mark.parametrize("phase", ["writing", *BUILDING])
    @pytest.mark.parametrize(
        "error", [ValueError("mine"), OSError(32, "pipe"), StoreLocked("mine"), KeyboardInterrupt()], ids=repr
    )
    def test_an_exception_arrives_as_it_is(
        self, place: Place, db: Database, store: VectorStore, phase: Phase, error: BaseException
    ) -> None:
        """The batches stay, the index is given up, and the next call makes up for it."""
        if phase != "writing" and not place.indexed:
            pytest.skip("this backend builds no graph")

        def fail(now: Phase, done: int, total: int | None) -> None:
            if now == phase:
                raise error

        with pytest.raises(type(error)) as caught:
            store.insert(make_records(COUNT), batch_size=250, on_progress=fail)
        assert caught.value is error
        written = 250 if phase == "writing" else COUNT
        assert str(written) in error.__notes__[-1]
        assert store.count() == db.open("watched").count() == written
        truth = make_records(COUNT)[:written]
        assert {hit.id for hit in store.search(draw_clustered(1, 5)[0][0], written)} == {each.id for each in truth}
        assert len(place.indexes("watched")) == (phase == "calibrating")
        assert store.verify().ok
        store.upsert(make_records(100, 2, "more"))
        status = store.index_status()
        assert (status.state, status.rows) == ("ready" if place.indexed else "none", written + 100)
        assert len(place.indexes("watched")) == place.indexed
        assert (status.reason is None) == (status.ef is not None)
        assert status.reason is None or "never calibrated" not in status.reason

    def test_a_given_up_reindex_keeps_the_former_graph(self, place: Place, store: VectorStore) -> None:
        if not place.indexed:
            pytest.skip("this backend builds no graph")
        store.insert(make_records(COUNT))
        before = place.indexes("watched")

        def fail(phase: Phase, done: int, total: int | None) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.reindex(on_progress=fail)
        assert place.indexes("watched") == before
        assert store.index_status().state == "ready"
        store.reindex()
        assert len(place.indexes("watched")) == 1
