"""A directory that is replaced under an open handle, as a restore does: the handle is refused, and never answers from
the old files or writes to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

import vecstore
from vecstore import Database, DatabaseReplaced, Record, Schema, StoreCorrupt, VectorStore
from vecstore.backends.file.state import transaction
from vecstore.testing.catalogue import OPERATIONS
from vecstore.testing.lifetimes import DATABASE_OPERATIONS
from vecstore.testing.sample_records import SCHEMA, make_books

Replace = Callable[[Path, Path], None]
"""Puts the backup in the second directory to the place of the first one, or removes what is there."""


def move_over(place: Path, backup: Path) -> None:
    place.rename(place.with_name("old"))
    backup.rename(place)


def remove_and_copy(place: Path, backup: Path) -> None:
    shutil.rmtree(place)
    shutil.copytree(backup, place)


def copy_over(place: Path, backup: Path) -> None:
    """Copy into the files that are there, as ``cp -r``: the inodes stay."""
    shutil.copytree(backup, place, dirs_exist_ok=True)


def unpack_over(place: Path, backup: Path) -> None:
    """Replace each file in the same directory, as ``tar`` and ``rsync`` do."""
    for path in [each for each in backup.rglob("*") if each.is_file()]:
        fresh = place / f"{path.name}.fresh"
        shutil.copyfile(path, fresh)
        fresh.rename(place / path.relative_to(backup))


def link(place: Path, backup: Path) -> None:
    place.rename(place.with_name("old"))
    place.symlink_to(backup)


def replace_catalogue(place: Path, backup: Path) -> None:
    shutil.copyfile(backup / "catalog.db", place / "fresh")
    (place / "fresh").rename(place / "catalog.db")


def replace_rows(place: Path, backup: Path) -> None:
    [path] = place.glob("g/*/rows.db")
    shutil.copyfile(backup / path.relative_to(place), place / "fresh")
    (place / "fresh").rename(path)


RESTORES: Mapping[str, Replace] = MappingProxyType(
    {
        "moved over": move_over,
        "removed and copied": remove_and_copy,
        "unpacked over": unpack_over,
        "linked": link,
        "rows.db": replace_rows,
    }
)


IN_PLACE = {"unpacked over", "copied over", "rows.db"}
"""These leave the lock files, which have the mark of a later commit."""


def remove_rows(place: Path, _: Path) -> None:
    for path in place.glob("g/*/rows.db"):
        path.unlink()


REMOVALS: Mapping[str, Replace] = MappingProxyType(
    {
        "directory": lambda place, _: shutil.rmtree(place),
        "moved away": lambda place, _: move_over(place, Path(shutil.copytree(place, place.with_name("other")) / "g")),
        "catalogue": lambda place, _: (place / "catalog.db").unlink(),
        "rows.db": remove_rows,
    }
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "kb"


@pytest.fixture
def db(place: Path) -> Database:
    """A database that has gone on after its backup was made; `store` and `other` know the newest state."""
    db = vecstore.connect(place)
    store = db.create("docs", SCHEMA)
    store.insert(make_books(range(5)))
    db.backup(place.with_name("backup"))
    store.insert(make_books(range(5, 9)))
    assert store.count() == 9
    return db


def open_backup(db: Database, place: Path) -> tuple[VectorStore, Database, VectorStore, Path]:
    """Return the writer's store, a reader's database and store, and the backup."""
    reader = vecstore.connect(place)
    store = reader.open("docs")
    assert len(store.search([0.0] * 4, k=9)) == 9
    return db.open("docs"), reader, store, place.with_name("backup")


def read_files(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def refuse_all_reads_and_writes(store: VectorStore) -> None:
    """Verify, which judges the files that are there now, is no read of the store."""
    for name, operation in OPERATIONS.items():
        if name == "verify":
            continue
        with pytest.raises(DatabaseReplaced, match=r"Call vecstore\.connect\(\) again") as caught:
            operation(store)
        assert not caught.value.retryable, name


def refuse_all(db: Database, store: VectorStore) -> None:
    refuse_all_reads_and_writes(store)
    with pytest.raises(DatabaseReplaced):
        store.verify()
    for deed in DATABASE_OPERATIONS.values():
        with pytest.raises(DatabaseReplaced, match=r"replaced or removed.*connect\(\) again"):
            deed(db)


@pytest.mark.parametrize("way", [*RESTORES, "copied over"])
def test_every_call_says_to_connect_again(db: Database, place: Path, way: str) -> None:
    store, reader, read, backup = open_backup(db, place)
    kept = shutil.copytree(backup, backup.with_name("kept"))
    replace = copy_over if way == "copied over" else RESTORES[way]
    replace(place, backup)
    before = read_files(place)
    for each, own in ((db, store), (reader, read)):
        if way in {"rows.db", "copied over"}:  # the catalogue is the same
            refuse_all_reads_and_writes(own)
        else:
            refuse_all(each, own)
    assert {name: data for name, data in read_files(place).items() if not name.endswith(".lock")} == {
        name: data for name, data in before.items() if not name.endswith(".lock")
    }
    if way in IN_PLACE:
        with vecstore.connect(place) as again, pytest.raises(StoreCorrupt, match=r"remove the \.lock file"):
            again.open("docs").count()
        for path in place.rglob("*.lock"):
            path.unlink()
    with vecstore.connect(place) as again:
        found = again.open("docs")
        assert found.count() == 5
        assert found.verify().ok
        assert found.upsert(make_books(range(4, 6))) == 2
    assert (kept / "catalog.db").exists()


@pytest.mark.parametrize("what", REMOVALS)
def test_what_is_gone_is_not_answered_from_nor_made_again(db: Database, place: Path, what: str) -> None:
    store, reader, read, backup = open_backup(db, place)
    REMOVALS[what](place, backup)
    left = sorted(place.rglob("*")) if place.exists() else None
    for own in (store, read):
        for call in (
            lambda own=own: own.search([0.0] * 4, k=1),
            own.count,
            lambda own=own: own.upsert(make_books(range(2))),
            lambda own=own: list(own.scan()),
        ):
            with pytest.raises(DatabaseReplaced, match=r"removed.*connect\(\) again"):
                call()
    if what != "rows.db":
        for each in (db, reader):
            with pytest.raises(DatabaseReplaced):
                each.names()
            with pytest.raises(DatabaseReplaced):
                each.create("more", SCHEMA)
    now = sorted(path for path in place.rglob("*") if path.suffix != ".lock") if place.exists() else None
    assert now == (None if left is None else [path for path in left if path.suffix != ".lock"])


def test_a_catalogue_alone(db: Database, place: Path) -> None:
    _, reader, read, backup = open_backup(db, place)
    replace_catalogue(place, backup)
    refuse_all(reader, read)


def test_another_database_at_the_same_place(db: Database, place: Path) -> None:
    _, reader, read, _ = open_backup(db, place)
    shutil.rmtree(place)
    with vecstore.connect(place) as other:
        other.create("docs", Schema(dim=2, metric="l2")).insert([Record("new", [1, 2])])
    refuse_all(reader, read)
    with vecstore.connect(place) as again:
        assert again.open("docs").count() == 1


def test_a_directory_that_is_moved_back_is_the_same_one(db: Database, place: Path) -> None:
    store, _, read, _ = open_backup(db, place)
    place.rename(place.with_name("away"))
    with pytest.raises(DatabaseReplaced):
        read.count()
    place.with_name("away").rename(place)
    assert read.count() == 9
    assert store.upsert(make_books(range(9, 10))) == 1


def test_a_write_into_a_directory_that_is_replaced_meanwhile_is_not_acknowledged(
    db: Database, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _, _, backup = open_backup(db, place)
    add = transaction.WriteTransaction.has_changes.fget  # type: ignore[attr-defined]

    def replace_first(self: transaction.WriteTransaction) -> bool:
        if backup.exists():
            move_over(place, backup)
        return bool(add(self))

    monkeypatch.setattr(transaction.WriteTransaction, "has_changes", property(replace_first))
    with pytest.raises(DatabaseReplaced, match=r"connect\(\) again"):
        store.upsert(make_books(range(20, 22)))
    with vecstore.connect(place) as again:
        assert again.open("docs").count() == 5


def test_a_directory_that_appears_after_connect_is_not_a_replacement(place: Path) -> None:
    db = vecstore.connect(place)
    assert db.names() == []
    with vecstore.connect(place) as other:
        other.create("docs", SCHEMA).insert(make_books(range(3)))
    assert db.open("docs").count() == 3


MOUNTED = """
import subprocess, sys
import vecstore
from vecstore import DatabaseReplaced
place, backup = sys.argv[1:]
store = vecstore.connect(place).open("docs")
assert store.count() == 9
subprocess.run(["mount", "--bind", backup, place], check=True)
try:
    store.count()
except DatabaseReplaced:
    assert vecstore.connect(place).open("docs").count() == 5
    print("noticed")
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True, check=False).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="this machine does not let its users mount",
)
def test_a_directory_that_is_mounted_over(db: Database, place: Path) -> None:
    db.close()
    command = [sys.executable, "-c", MOUNTED, str(place), str(place.with_name("backup"))]
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", *command], capture_output=True, text=True, env={**os.environ}
    )
    assert (done.stdout, done.returncode) == ("noticed\n", 0), done.stderr
