"""An index that cannot be written, or whose upkeep fails: searches are right without it, and it comes later."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

import vecstore
from tests.file.failpoints import Watch, watch_calls
from tests.file.index_damage_trials import list_indexes
from tests.file.samples import INDEXED, find_inexact, make_busy_store
from tests.force_graph import MIN_ROWS, force_graph
from vecstore import HNSW, Record, Schema, StorageFailed, UpkeepWarning


def fail_call(call: str, error: int, at: int = 0) -> Watch:
    def act() -> None:
        raise OSError(error, os.strerror(error))

    return Watch(at, act, only=call)


def make_records(numbers: range) -> list[Record]:
    vectors = np.random.default_rng(numbers.start).standard_normal((len(numbers), 4))
    return [Record(f"r{number}", vector) for number, vector in zip(numbers, vectors, strict=True)]


@pytest.mark.parametrize("at", [0, 1], ids=["file", "directory"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_an_index_whose_fsync_fails_is_not_named(tmp_path: Path, error: int, at: int) -> None:
    """Nothing that was acknowledged depends on it: the store goes on, unlike after such a failure of a write."""
    store = make_busy_store(tmp_path, INDEXED, index_min_rows="32")
    with watch_calls(fail_call("fsync", error, at)), pytest.raises(StorageFailed):
        store.backend.build_index(store.active)
    assert store.backend.index_state(store.active).state == "none"
    store.upsert([501], 9)
    # Also the file whose name may not be durable is gone.
    assert list_indexes(tmp_path, store.active) == []
    store.backend.build_index(store.active)
    assert store.backend.index_state(store.active).state == "ready"
    with force_graph():
        assert find_inexact(store.backend, store.active) == []
    store.check()


@pytest.mark.parametrize("call", ["fsync", "rename", "lstat"])
def test_upkeep_that_fails_after_a_write_is_a_warning(tmp_path: Path, call: str) -> None:
    with vecstore.connect(f"file:{tmp_path}?{MIN_ROWS}") as db:
        docs = db.create("docs", Schema(4, "l2", index=HNSW()))
        docs.upsert(make_records(range(20)))
        # Few rows need no file of their own: these calls are the index's, or come so late.
        watch = Watch(only=call)
        with watch_calls(watch):
            assert docs.upsert(make_records(range(10))) == 10
        with (
            watch_calls(fail_call(call, errno.EIO, len(watch.calls))),
            pytest.warns(UpkeepWarning, match="records are written"),
        ):
            assert docs.upsert(make_records(range(20, 60))) == 40
        assert docs.count() == 60
        assert docs.index_status().state == "none"
        assert len(docs.search([1, 0, 0, 0], 10)) == 10
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            docs.upsert(make_records(range(60, 62)))
        assert docs.index_status().state == "ready"
        assert docs.verify().ok


def test_an_empty_directory_that_a_copy_lacks(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path, INDEXED, index_min_rows="32")
    (tmp_path / "g" / store.active.id / "idx").rmdir()
    store.upsert([501], 9)
    store.backend.build_index(store.active)
    assert store.backend.index_state(store.active).state == "ready"
    store.check()
