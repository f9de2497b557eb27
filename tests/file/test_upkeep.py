"""Compaction without being asked to, and what it leaves behind when it fails."""

from __future__ import annotations

import errno
import os
import sqlite3
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.file.compactions import (
    NEVER,
    SMALL,
    compact_in_two_steps,
    count_dead,
    list_segments,
    open_generation,
    read_newest,
)
from tests.file.failpoints import Watch, watch_calls
from tests.file.samples import Store, connect_backend, make_busy_store, make_generation, make_rows
from vecstore import Flat, Schema
from vecstore.backend import Rows, Superseded
from vecstore.backends.file.vectors import compaction
from vecstore.backends.file.vectors.compaction import tend
from vecstore.backends.file.vectors.compaction_policy import may_be_due, select_due
from vecstore.errors import StorageFailed, StoreCorrupt, StoreLocked

# -- automatic


def test_small_thresholds(tmp_path: Path) -> None:
    """Whatever is written, the sizes stay within what the policy allows, and nothing else changes."""
    store = Store.create(tmp_path)
    draw = np.random.default_rng(3)
    done = 0
    for step in range(60):
        start, count = int(draw.integers(300)), int(draw.choice([1, 8, 70, 100]))
        store.upsert(range(start, start + count), step)
        if step % 4 == 0:
            store.delete([int(id_[3:]) for id_ in sorted(store.model)[:10]])
        while tend(open_generation(store), lambda: None, SMALL):
            done += 1
        sizes = compaction._measure(read_newest(store))
        assert len(sizes.rows) <= SMALL.max_segments
        assert sum(sizes.memtable) <= SMALL.max_memtable_rows
        assert sizes.dead < SMALL.min_dead or sizes.dead <= SMALL.max_dead_share * sum(sizes.rows)
        assert sizes.removals <= SMALL.max_removals
        assert len(list_segments(store)) == len(sizes.rows)
    assert done > 10
    store.check()


def test_removals_of_hot_rows_alone_are_forgotten(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    for step in range(40):
        store.upsert(range(10), step)
        tend(open_generation(store), lambda: None, SMALL)
    assert count_dead(store) <= 2 * SMALL.max_removals + 20
    assert list_segments(store) == []
    store.check()


def test_somebody_else_is_at_it(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    other = connect_backend(tmp_path, lock_timeout="0.05")
    with open_generation(store).lock_upkeep(wait=False):
        assert not tend(other._generations.open(store.active), lambda: None, SMALL)
        with pytest.raises(StoreLocked, match=r"upkeep\.lock"):
            other.compact(store.active)
    seq = read_newest(store).ledger.seq
    before = list_segments(store)
    with open_generation(store).lock_writer():
        assert not tend(other._generations.open(store.active), lambda: None, SMALL)
    # What was copied in vain is gone.
    assert (read_newest(store).ledger.seq, list_segments(store)) == (seq, before)
    assert tend(other._generations.open(store.active), lambda: None, SMALL)
    assert not tend(other._generations.open(store.active), lambda: None, NEVER)
    store.check()


def test_counts_of_the_ledger_never_hide_what_is_due(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    for step in range(40):
        store.upsert(range(step, step + (80 if step % 3 else 9)), step)
        committed = open_generation(store).committed
        assert committed is not None
        for least in range(0, 200, 7):
            for policy in (
                replace(NEVER, min_dead=least, max_dead_share=least / 200),
                replace(NEVER, max_removals=least),
            ):
                possible = may_be_due(policy, committed, open_generation(store).shape.row_bytes)
                assert possible or select_due(policy, compaction._measure(read_newest(store))) is None


def test_a_dropped_store_is_not_compacted(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)

    def check() -> None:
        raise Superseded

    seq, before = read_newest(store).ledger.seq, list_segments(store)
    with pytest.raises(Superseded):
        compaction.compact(open_generation(store), check)
    assert (read_newest(store).ledger.seq, list_segments(store)) == (seq, before)
    other = connect_backend(tmp_path)
    other.drop(other.find(name="docs").uid)
    with pytest.raises(Superseded):
        store.backend.compact(store.active)


# -- leftover files


def test_unfinished_work_is_left_alone_while_its_owner_lives(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    with compact_in_two_steps(store):
        assert len(list_segments(store)) == 3
        connect_backend(tmp_path).write(store.active, make_rows([1], 1), insert=False)
        assert len(list_segments(store)) == 3
    assert len(list_segments(store)) == 1
    garbage = store.place / "g" / store.active.id / "seg" / f"{'0' * 32}.vec.tmp"
    garbage.touch()
    connect_backend(tmp_path).write(store.active, make_rows([1], 1), insert=False)
    assert not garbage.exists()


# -- failures


def break_block(store: Store) -> None:
    path = list_segments(store)[0]
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


def break_memtable_row(store: Store) -> None:
    with sqlite3.connect(store.place / "g" / store.active.id / "rows.db") as connection:
        connection.execute("UPDATE hot SET vector = zeroblob(32) WHERE rid = (SELECT max(rid) FROM hot)")
    connection.close()


def break_removal(store: Store) -> None:
    with sqlite3.connect(store.place / "g" / store.active.id / "rows.db") as connection:
        connection.execute("UPDATE dead SET rid = 5 WHERE seq = 1")
    connection.close()


@pytest.mark.parametrize("known", [True, False], ids=["read before", "not read before"])
@pytest.mark.parametrize("damage", [break_block, break_memtable_row, break_removal])
def test_damage_is_not_laundered(tmp_path: Path, damage: Any, *, known: bool) -> None:
    """Even what this process has read and checked before is checked again when it is copied."""
    store = make_busy_store(tmp_path)
    if known and damage is break_block:
        store.check()
    else:
        store.backend.close()
        store.backend = connect_backend(tmp_path)
    damage(store)
    before = [(path, path.read_bytes()) for path in list_segments(store)]
    with pytest.raises(StoreCorrupt):
        store.backend.compact(store.active)
    assert [(path, path.read_bytes()) for path in list_segments(store) if (path, path.read_bytes()) in before] == before
    assert not connect_backend(tmp_path).verify(store.active).ok


@pytest.mark.parametrize("error,goes_on", [(errno.ENOSPC, True), (errno.EIO, False)])
@pytest.mark.parametrize("call", ["write", "fsync", "rename", "open"])
def test_a_disk_that_fails(tmp_path: Path, call: str, error: int, *, goes_on: bool) -> None:
    store = make_busy_store(tmp_path)
    store.check()
    before = list_segments(store)

    def act() -> None:
        raise OSError(error, os.strerror(error))

    # The first file that is opened is the lock.
    with watch_calls(Watch(1 if call == "open" else 0, act, only=call)), pytest.raises(StorageFailed):
        store.backend.compact(store.active)
    assert list_segments(store) == before
    store.check()
    if not goes_on:
        with pytest.raises(StorageFailed, match="connect"):
            store.backend.compact(store.active)
        store.backend = connect_backend(tmp_path)
    store.backend.compact(store.active)
    assert len(list_segments(store)) == 1
    store.check()


def test_an_old_file_that_cannot_be_removed_goes_later(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)

    def act() -> None:
        raise OSError(errno.EIO, "injected")

    with watch_calls(Watch(0, act, only="unlink")):
        store.backend.compact(store.active)
    assert len(list_segments(store)) == 3
    store.upsert([1], 9)
    assert len(list_segments(store)) == 1
    store.check()


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dim, count = 64, 20_000
    backend = connect_backend(tmp_path)
    active = backend.create("docs", make_generation(Schema(dim=dim, metric="l2", index=Flat()))).active
    vectors = np.random.default_rng(1).standard_normal((count, dim)).astype(np.float32)
    for start in range(0, count, 2_000):
        ids = [f"id-{number}" for number in range(start, start + 2_000)]
        empty: dict[str, Any] = {"texts": [None] * 2_000, "fields": {}, "extras": ["{}"] * 2_000}
        backend.write(active, Rows(ids=ids, vectors=vectors[start : start + 2_000], **empty), insert=False)
    backend.delete(active, [f"id-{number}" for number in range(0, count, 7)])
    backend.close()
    monkeypatch.setattr(compaction, "_BLOCK_BYTES", 1 << 18)
    backend = connect_backend(tmp_path)
    current = backend._generations.open(active)
    with current.pool.check_out() as connection:
        current.read_snapshot(connection)
    tracemalloc.start()
    try:
        backend.compact(active)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Three numbers for each row, and a few blocks; the vectors take 5 MB.
    assert peak < 3 * 8 * count + 6 * (1 << 18)
    assert backend.verify(active).ok
