"""What spares a read the question to SQLite: it is believed only while no later commit can have happened."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

import vecstore
from vecstore import Database, Record, Schema, VectorStore
from vecstore.backends.file.state import open_generation
from vecstore.backends.file.state.open_generation import OpenGeneration
from vecstore.backends.file.storage import catalogue_file, commit_mark, lock, os_calls
from vecstore.backends.file.storage.commit_mark import CommitWatch

STATE = (1, 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A lock file that says that commit 7 was the last."""
    place = tmp_path / "writer.lock"
    mark(place, commit_mark.write_mark, 7)
    mark(place, commit_mark.announce, 7)
    return place


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with vecstore.connect(tmp_path / "db") as db:
        db.create("notes", Schema(dim=2)).upsert([Record("a", [1, 0])])
        yield db


def mark(place: Path, write: object, seq: int) -> None:
    descriptor = os_calls.open_lock(place)
    write(descriptor, seq)  # type: ignore[operator]
    os.close(descriptor)


def make_watch(place: Path, seq: int = 7) -> CommitWatch:
    watch = CommitWatch(place)
    watch.note(seq, STATE)
    return watch


def list_open(folder: Path) -> list[str]:
    """Return the files below a folder that this process has open."""
    found = list[str]()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that lists them
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [path for path in found if path.startswith(f"{folder}/")]


def test_the_last_commit_is_known(path: Path) -> None:
    watch = make_watch(path)
    assert watch.is_last(7, STATE)
    watch.close()
    assert not watch.is_last(7, STATE)


def test_a_commit_that_was_not_noted_is_not_believed(path: Path) -> None:
    watch = make_watch(path)
    assert not watch.is_last(8, STATE)
    assert not watch.is_last(7, (1, 3))
    watch.close()


def test_an_older_commit_is_never_the_last(path: Path) -> None:
    watch = make_watch(path, 6)
    assert not watch.is_last(6, STATE)
    watch.close()


@pytest.mark.parametrize("write", [commit_mark.announce, commit_mark.write_mark])
def test_a_commit_that_began_or_ended_since(path: Path, write: object) -> None:
    """A writer that is killed between the two leaves one of them."""
    watch = make_watch(path)
    mark(path, write, 8)
    assert not watch.is_last(7, STATE)
    watch.note(8, (3, 4))
    assert not watch.is_last(8, (3, 4))
    watch.close()


def test_a_read_between_a_commit_and_its_mark_does_not_spoil_the_next_ones(path: Path) -> None:
    mark(path, commit_mark.announce, 8)
    watch = make_watch(path, 8)
    assert not watch.is_last(8, STATE)
    mark(path, commit_mark.write_mark, 8)
    watch.note(8, STATE)
    assert watch.is_last(8, STATE)
    watch.close()


def test_a_read_that_outlives_its_store_opens_nothing(path: Path) -> None:
    """A rebuild closes the generation under readers; each of them would leave a descriptor behind."""
    watch = make_watch(path)
    watch.close()
    watch.note(7, STATE)
    assert watch._descriptor is None
    assert not watch.is_last(7, STATE)


def test_a_lock_file_that_cannot_be_read_says_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may close it between the look at its descriptor and the read."""

    def fail(*_: object) -> bytes:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    watch = make_watch(path)
    with monkeypatch.context() as patch:
        patch.setattr(os_calls, "read_at", fail)
        assert not watch.is_last(7, STATE)
        watch.note(8, STATE)
    assert not watch.is_last(8, STATE)
    watch.close()


def test_what_is_known_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = make_watch(path)
    with monkeypatch.context() as patch:
        patch.setattr(os_calls, "read_at", lambda *_: pytest.fail("read again"))
        watch.note(7, STATE)
    assert watch.is_last(7, STATE)
    watch.close()


def test_a_lock_file_of_another_writer(path: Path) -> None:
    watch = make_watch(path)
    path.unlink()
    assert not watch.is_last(7, STATE)
    mark(path, commit_mark.write_mark, 8)  # an older vecstore announces nothing
    watch.note(8, STATE)
    assert not watch.is_last(8, STATE)
    watch.close()


def test_without_a_lock_file(tmp_path: Path) -> None:
    watch = make_watch(tmp_path / "missing")
    assert not watch.is_last(7, STATE)
    watch.close()


def test_reads_ask_sqlite_only_once_after_a_commit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = database.open("notes")
    assert [hit.id for hit in store.search([1, 0])] == ["a"]
    for module in (open_generation, catalogue_file):
        monkeypatch.setattr(module, "DATA_VERSION", "no statement")
    assert [hit.id for hit in store.search([1, 0])] == ["a"]


def test_a_writer_that_was_killed_before_its_mark(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = database.open("notes")
    assert len(reader.search([1, 0])) == 1
    with vecstore.connect(tmp_path / "db") as other:
        monkeypatch.setattr(lock.HeldLock, "set_mark", lambda self, seq: None)
        other.open("notes").upsert([Record("b", [1, 0])])
        _forget_times(database, reader)
        assert len(reader.search([1, 0])) == 2


def test_a_state_without_fields_is_no_answer_where_they_are_asked_for(database: Database, tmp_path: Path) -> None:
    assert database.names() == ["notes"]
    with vecstore.connect(tmp_path / "db") as other:
        entry = other._backend.find(name="notes").active
        opened: OpenGeneration = other._backend._generations.open(entry)  # type: ignore[attr-defined]
        for _ in range(2):
            assert opened.read_newest_snapshot().view is None
        assert opened.read_newest_snapshot(view=True).view is not None


def test_an_older_vecstore_wrote(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = database.open("notes")
    assert len(reader.search([1, 0])) == 1
    with vecstore.connect(tmp_path / "db") as other, monkeypatch.context() as patch:
        patch.setattr(lock.HeldLock, "announce", lambda self, seq: None)
        other.open("notes").upsert([Record("b", [1, 0])])
        _forget_times(database, reader)
        assert len(reader.search([1, 0])) == 2


def test_a_closed_database_keeps_no_lock_file_open(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "db") as db:
        store = db.create("notes", Schema(dim=2))
        store.upsert([Record("a", [1, 0])])
        assert len(store.search([1, 0])) == 1
        assert list_open(tmp_path)
    assert list_open(tmp_path) == []


@pytest.mark.parametrize("module", [open_generation, catalogue_file])
def test_a_commit_is_announced_before_anybody_can_see_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, module: ModuleType
) -> None:
    steps, announce, commit = list[str](), lock.HeldLock.announce, module.commit

    def note_announcement(held: lock.HeldLock, seq: int) -> None:
        steps.append("announced")
        announce(held, seq)

    def note_commit(*arguments: object) -> object:
        steps.append("committed")
        return commit(*arguments)

    monkeypatch.setattr(lock.HeldLock, "announce", note_announcement)
    monkeypatch.setattr(module, "commit", note_commit)
    if module is open_generation:
        database.open("notes").upsert([Record("b", [1, 0])])
    else:
        database.rename("notes", "others")
    assert steps == ["announced", "committed"]


def _forget_times(database: Database, store: VectorStore) -> None:
    """Make believe that the database file is as it was, as two commits within one tick of the clock leave it."""
    opened: OpenGeneration = database._backend._generations.open(store._current.entry.active)  # type: ignore[attr-defined]
    opened._watch._noted = None if (noted := opened._watch._noted) is None else (noted[0], opened.pool.check_origin())
