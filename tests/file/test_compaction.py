"""Compaction changes only where vectors are stored, whatever other readers and writers do meanwhile."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from tests.file.compactions import compact_in_two_steps, count_dead, list_segments, read_newest
from tests.file.samples import (
    FIELDS,
    Store,
    connect_backend,
    list_reads,
    make_busy_store,
    make_generation,
    make_rows,
    read_contents,
)
from vecstore import Flat, Record, Schema
from vecstore.backends.file.storage.layout import GenerationLayout
from vecstore.backends.file.vectors.compaction import POLICY
from vecstore.backends.file.vectors.segment import Shape
from vecstore.backends.file.vectors.vectors import Vectors
from vecstore.errors import Timeout


def ask_all(store: Store) -> dict[str, Any]:
    return {name: ask() for name, ask in list_reads(store.backend, store.active).items()}


def test_nothing_but_the_place_changes(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    before = ask_all(store)
    store.backend.compact(store.active)
    assert ask_all(store) == before
    store.check()
    (segment,) = read_newest(store).vectors.segments
    assert not segment.row.is_dense
    assert [path.name for path in list_segments(store)] == [segment.path.name]
    details = store.backend.stats(store.active).details
    assert (details["segments"], details["hot rows"], details["dead share"]) == (1, 0, 0.0)
    store.upsert(range(90, 200), 9)
    store.delete([5, 97, 400])
    store.check()
    store.backend.compact(store.active)
    store.check()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("dim", [1, 3, 8])
def test_every_dtype(tmp_path: Path, dtype: str, dim: int) -> None:
    backend = connect_backend(tmp_path)
    schema = Schema(dim=dim, metric="l2", dtype=dtype, index=Flat(), fields=FIELDS)
    active = backend.create("docs", make_generation(schema)).active
    for stamp, numbers in enumerate((range(100), range(50, 60), range(90, 170), range(3))):
        batch = make_rows(numbers, stamp, dim)
        assert batch.vectors is not None
        backend.write(active, replace(batch, vectors=batch.vectors.astype(dtype)), insert=False)
    before = read_contents(backend, active)
    backend.compact(active)
    assert read_contents(backend, active) == before
    assert read_contents(connect_backend(tmp_path), active) == before
    assert backend.verify(active).ok


def test_nothing_to_gain_is_no_commit(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    for _ in range(2):
        store.backend.compact(store.active)
        assert read_newest(store).ledger.seq == 0
    store.upsert(range(100), 1)
    store.backend.compact(store.active)
    assert read_newest(store).ledger.seq == 1
    store.upsert(range(100), 2)
    store.backend.compact(store.active)
    seq = read_newest(store).ledger.seq
    store.backend.compact(store.active)
    assert read_newest(store).ledger.seq == seq
    assert read_newest(store).vectors.segments[0].row.is_dense
    store.check()


def test_everything_removed(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    store.delete(sorted(int(id_[3:]) for id_ in store.model))
    store.backend.compact(store.active)
    assert list_segments(store) == []
    store.check()
    store.upsert(range(70), 1)
    store.check()


def test_writers_go_on_during_the_copy(tmp_path: Path) -> None:
    """Rows are removed, replaced and added in the memtable and in segments, by this connection and another one."""
    store = make_busy_store(tmp_path)
    reader = connect_backend(tmp_path)
    assert read_contents(reader, store.active) == store.model
    with compact_in_two_steps(store):
        other, first = connect_backend(tmp_path), store.backend
        for backend, numbers in ((other, (1, 2, 30)), (first, (400, 31, 301))):
            store.backend = backend
            store.delete(numbers)
            store.upsert([numbers[0], 50 + numbers[2] % 7], 20)
            store.upsert(range(600, 680), 21)
        store.backend = first
        # This one knows of the removals before it learns of the segment.
        assert read_contents(reader, store.active) == store.model
    assert read_contents(reader, store.active) == store.model
    store.check()
    assert len(list_segments(store)) == 3
    store.backend.compact(store.active)
    assert read_contents(reader, store.active) == store.model
    store.check()


def test_readers_before_during_and_after(tmp_path: Path) -> None:
    """Who has the old files mapped reads on; who comes later finds the new ones; a commit waits for who is between."""
    store = make_busy_store(tmp_path)
    old = read_newest(store)
    held = connect_backend(tmp_path, timeout="0.1")
    reader = connect_backend(tmp_path)
    with (
        held._generations.open(store.active).pool.check_out() as connection,
        held._generations.open(store.active).pin_snapshot(connection),
    ):
        impatient = connect_backend(tmp_path, timeout="0.05")
        with pytest.raises(Timeout):
            impatient.compact(store.active)
        assert all(segment.path.exists() for segment in old.vectors.segments)
    store.check()
    store.backend.compact(store.active)
    assert not any(segment.path.exists() for segment in old.vectors.segments)
    for segment, alive in zip(old.vectors.segments, old.vectors.alive, strict=True):
        places = np.flatnonzero(alive)
        rids = places + segment.row.base
        assert segment.gather(places).tobytes() == read_newest(store).vectors.gather(rids).tobytes()
        assert segment.check() == []
    assert read_contents(reader, store.active) == store.model


def test_who_knows_the_removals_already_learns_of_the_segment(tmp_path: Path) -> None:
    """A view that was loaded after rows were removed sees their removal again."""
    store = Store.create(tmp_path)
    store.upsert(range(20), 1)
    store.upsert(range(100, 170), 1)
    store.delete([3, 101, 150])
    fresh = connect_backend(tmp_path)
    assert read_contents(fresh, store.active) == store.model
    with compact_in_two_steps(store):
        store.delete([4, 102, 151])
    assert read_contents(fresh, store.active) == store.model
    store.check()


def test_removals_are_forgotten_one_compaction_later(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    store.upsert(range(100), 1)
    store.delete(range(10))
    readers = [connect_backend(tmp_path) for _ in range(3)]
    for reader in readers:
        assert read_contents(reader, store.active) == store.model
    store.backend.compact(store.active)
    assert count_dead(store) == 10
    store.upsert(range(50, 60), 2)
    assert read_contents(readers[0], store.active) == store.model
    store.backend.compact(store.active)
    # Those that were replaced after the first compaction wait for the third.
    assert count_dead(store) == 10
    store.upsert([200], 3)
    assert read_contents(readers[1], store.active) == store.model
    store.backend.compact(store.active)
    assert count_dead(store) == 0
    assert read_newest(store).ledger.pruned > 0
    for reader in readers:
        assert read_contents(reader, store.active) == store.model
    store.check()


def test_how_much_a_reader_reads_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one compaction what is new; after two, everything."""
    store = Store.create(tmp_path)
    store.upsert(range(100), 1)
    store.delete(range(10))
    store.backend.compact(store.active)
    begun: list[GenerationLayout] = []
    real = Vectors.make_empty

    def empty(paths: GenerationLayout, shape: Shape) -> Vectors:
        begun.append(paths)
        return real(paths, shape)

    monkeypatch.setattr(Vectors, "make_empty", empty)
    reader = connect_backend(tmp_path)
    assert read_contents(reader, store.active) == store.model
    assert len(begun) == 1
    for compactions, times in ((1, 1), (2, 2), (0, 2)):
        for number in range(compactions):
            store.upsert(range(20 + number, 30 + number), 2)
            store.backend.compact(store.active)
        assert read_contents(reader, store.active) == store.model
        assert len(begun) == times


def test_a_reader_follows_writes_and_compactions(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    reader = connect_backend(tmp_path)
    for step in range(6):
        store.upsert(range(10 * step, 10 * step + (70 if step % 2 else 5)), 30 + step)
        store.delete([10 * step + 1])
        if step % 3:
            store.backend.compact(store.active)
        assert read_contents(reader, store.active) == store.model
    store.check()


def test_a_compaction_within_a_write_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with vecstore.connect(f"file:{tmp_path}") as database, caplog.at_level(logging.INFO, logger="vecstore.upkeep"):
        store = database.create("docs", Schema(dim=2, index=Flat()))
        store.insert([Record("first", [1, 0])])
        assert not caplog.messages
        records = (Record(str(number), [1, number]) for number in range(POLICY.max_memtable_rows))
        store.insert(records, batch_size=100)
    (line,) = caplog.messages
    assert re.fullmatch(r"generation \w+ compacted in \d+\.\d s", line)
