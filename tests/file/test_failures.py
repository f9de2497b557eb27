"""Calls to the operating system that fail, and what is left then."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.file.failpoint_operations import OPERATIONS
from tests.file.failpoints import Watch, watch_calls
from tests.file.samples import Store, connect_backend, make_busy_store, make_model, make_rows, read_contents
from vecstore.backends.file.state.ledger import Ledger
from vecstore.backends.file.storage.connections import SqliteConnection
from vecstore.errors import StorageFailed, StoreCorrupt, Timeout, UnknownOutcome

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run(directory: Path, operations: Iterable[str], seed: int, share: float) -> int:
    """Let a share of the calls that operations make fail in every way; return how often one failed."""
    names = ",".join(operations)
    command = [sys.executable, "-m", "tests.file.failpoint_trials", str(directory), names, str(seed), str(share)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert [trial for trial in trials if trial["wrong"]] == []
    return len(trials)


def test_any_call_may_fail(memory_path: Path, seed: int) -> None:
    """All in one process: to start one takes longer than what is tried of an operation."""
    assert run(memory_path, OPERATIONS, seed, 0.006) > 4


@pytest.mark.long
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_call_fails_in_every_way(
    memory_path: Path, operation: str, seed: int, note: Callable[[str], None]
) -> None:
    failures = run(memory_path, [operation], seed, 1)
    assert failures
    note(f"failing calls, seed {seed}: {failures} failures in {operation}")


def fail_fsync(error: int = errno.EIO, at: int = 0) -> Watch:
    def act() -> None:
        raise OSError(error, os.strerror(error))

    return Watch(at, act, only="fsync")


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("reason", [errno.EIO, errno.EINVAL])
def test_after_a_failed_fsync_nothing_is_acknowledged(tmp_path: Path, at: int, reason: int) -> None:
    store = make_busy_store(tmp_path)
    with watch_calls(fail_fsync(reason, at)), pytest.raises(StorageFailed):
        store.backend.write(store.active, make_rows(range(500, 600), 9), insert=False)
    # The next fsync would succeed, without the pages that were lost.
    for numbers in (range(500, 600), range(1)):
        with pytest.raises(StorageFailed, match="connect"):
            store.backend.write(store.active, make_rows(numbers, 9), insert=False)
    with pytest.raises(StorageFailed, match="connect"):
        store.backend.delete(store.active, ["id-00007"])
    assert read_contents(store.backend, store.active) == store.model
    assert read_contents(connect_backend(tmp_path), store.active) == store.model
    store.backend = connect_backend(tmp_path)
    store.upsert(range(500, 600), 9)
    store.check()


@pytest.mark.parametrize("at", range(3))
def test_after_a_failed_fsync_of_a_create(tmp_path: Path, at: int) -> None:
    backend = connect_backend(tmp_path / "kb")
    with watch_calls(fail_fsync(at=at)), pytest.raises(StorageFailed):
        Store.create(tmp_path / "kb").backend.names()
    assert backend.names() == []
    with watch_calls(fail_fsync(at=at)), pytest.raises(StorageFailed):
        make_busy_store(tmp_path / "other")
    store = Store.create(tmp_path / "kb")
    store.upsert(range(3), 1)
    store.check()


def test_a_full_disk_is_no_reason_to_give_up(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    with watch_calls(fail_fsync(errno.ENOSPC)), pytest.raises(StorageFailed, match="space"):
        store.backend.write(store.active, make_rows(range(500, 600), 9), insert=False)
    assert not list(tmp_path.rglob("*.tmp"))
    store.upsert(range(500, 600), 9)
    store.check()


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    store = make_busy_store(tmp_path)

    class Short(Watch):
        def wrap(self, name: str, function: Any) -> Any:
            if name != "write":
                return function
            return lambda descriptor, data: function(descriptor, data[:size])

    with watch_calls(Short()):
        store.upsert(range(500, 600), 9)
    store.check()


# -- the end of a transaction


class Unlucky:
    """Lets a COMMIT fail, before or after it has happened."""

    def __init__(self, error: BaseException, *, happens: bool) -> None:
        self._error = error
        self._happens = happens

    def __call__(self, connection: SqliteConnection, statement: str) -> sqlite3.Cursor:
        if self._happens:
            sqlite3.Connection.execute(connection, statement)
        raise self._error


def fail_commits(monkeypatch: pytest.MonkeyPatch, error: BaseException, *, happens: bool) -> None:
    unlucky = Unlucky(error, happens=happens)

    def execute(connection: SqliteConnection, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            return unlucky(connection, statement)
        return sqlite3.Connection.execute(connection, statement, *parameters)

    monkeypatch.setattr(SqliteConnection, "execute", execute, raising=False)


def make_sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("numbers", [range(500, 503), range(500, 600)], ids=["few", "many"])
def test_a_commit_that_happened_although_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: range
) -> None:
    store = make_busy_store(tmp_path)
    with monkeypatch.context() as patch:
        fail_commits(patch, make_sqlite_error(sqlite3.SQLITE_IOERR), happens=True)
        store.upsert(numbers, 9)
    store.check()
    store.upsert(range(500, 700), 10)
    store.check()


@pytest.mark.parametrize(
    "code,expected,goes_on",
    [
        (sqlite3.SQLITE_BUSY, Timeout, True),
        (sqlite3.SQLITE_FULL, StorageFailed, True),
        (sqlite3.SQLITE_IOERR, StorageFailed, False),
        (sqlite3.SQLITE_IOERR | 4 << 8, StorageFailed, False),
        (sqlite3.SQLITE_CORRUPT, StoreCorrupt, True),
    ],
)
def test_a_commit_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, code: int, expected: type[Exception], goes_on: bool
) -> None:
    store = make_busy_store(tmp_path)
    with monkeypatch.context() as patch:
        fail_commits(patch, make_sqlite_error(code), happens=False)
        with pytest.raises(expected):
            store.backend.write(store.active, make_rows(range(500, 600), 9), insert=False)
    assert read_contents(store.backend, store.active) == store.model
    if not goes_on:
        with pytest.raises(StorageFailed, match="connect"):
            store.backend.write(store.active, make_rows([1], 9), insert=False)
        store.backend = connect_backend(tmp_path)
    store.upsert(range(500, 600), 10)
    store.check()
    # What the failed one left behind is gone.
    assert len(list((tmp_path / "g" / store.active.id / "seg").iterdir())) == 3


@pytest.mark.parametrize("happens", [True, False])
def test_out_of_memory_in_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, happens: bool) -> None:
    store = make_busy_store(tmp_path)
    with monkeypatch.context() as patch:
        fail_commits(patch, MemoryError(), happens=happens)
        if happens:
            store.upsert(range(500, 503), 9)
        else:
            with pytest.raises(MemoryError):
                store.backend.write(store.active, make_rows(range(500, 503), 9), insert=False)
    store.upsert([501], 10)
    store.check()


@pytest.mark.parametrize("happens", [True, False])
def test_an_interrupt_in_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, happens: bool) -> None:
    store = make_busy_store(tmp_path)
    batch = make_rows(range(500, 600), 9)
    with monkeypatch.context() as patch:
        fail_commits(patch, KeyboardInterrupt(), happens=happens)
        with pytest.raises(KeyboardInterrupt):
            store.backend.write(store.active, batch, insert=False)
    if happens:
        store.model |= make_model(batch)
    store.check()
    store.upsert([501], 10)
    store.check()


def test_a_commit_of_which_nothing_can_be_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_busy_store(tmp_path)
    store.check()
    batch = make_rows(range(500, 600), 9)

    def unreadable(*_args: object) -> None:
        raise make_sqlite_error(sqlite3.SQLITE_IOERR)

    with monkeypatch.context() as patch:
        fail_commits(patch, make_sqlite_error(sqlite3.SQLITE_IOERR), happens=True)
        # The state before must be known already: only the look after the commit fails.
        patch.setattr(
            "vecstore.backends.file.state.open_generation.OpenGeneration._read_ledger",
            lambda opened, _: opened._snapshot.ledger,
        )
        known = store.backend._catalog.read()
        patch.setattr(store.backend._catalog, "read", lambda: known)
        patch.setattr(Ledger, "read", unreadable)
        with pytest.raises(UnknownOutcome):
            store.backend.write(store.active, batch, insert=False)
    store.model |= make_model(batch)
    store.backend = connect_backend(tmp_path)
    store.check()


def test_what_has_not_been_committed_is_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_busy_store(tmp_path)

    def broken(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("a fault in our own code")

    with monkeypatch.context() as patch:
        patch.setattr("vecstore.backends.file.state.transaction.WriteTransaction.note_changes", broken)
        with pytest.raises(RuntimeError):
            store.backend.write(store.active, make_rows(range(500, 600), 9), insert=False)
    store.check()
    store.upsert([501], 10)
    store.check()
