"""What a directory may hold, and who may read it."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import numpy as np
import pytest

from tests.file.samples import (
    Store,
    connect_backend,
    list_reads,
    make_busy_store,
    make_generation,
    make_rows,
    read_contents,
)
from vecstore import Schema, fields
from vecstore.backend import Superseded
from vecstore.backends.file.storage import os_calls
from vecstore.errors import (
    InvalidArgument,
    InvalidUrl,
    StoreCorrupt,
    StoreExists,
    StoreNotFound,
    Unsupported,
    VecstoreError,
)


def test_opening_writes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "a" / "kb"
    backend = connect_backend(place)
    assert backend.names() == []
    with pytest.raises(StoreNotFound):
        backend.find(name="docs")
    for operation in (
        lambda: backend.drop("0" * 32),
        lambda: backend.rename("0" * 32, "other"),
        lambda: backend.switch("0" * 32, "0" * 32, lambda _changes: None),
        lambda: backend.builder("0" * 32).__enter__(),
        lambda: backend.create("docs", make_generation(standby=True)),
    ):
        with pytest.raises(StoreNotFound):
            operation()
    for stranger in (lambda: backend.amend(make_generation()), lambda: backend.count(make_generation(), None)):
        with pytest.raises(Superseded):
            stranger()
    assert list(tmp_path.iterdir()) == []


def test_reading_writes_nothing(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path / "kb")
    store.backend.close()

    def state() -> dict[str, tuple[int, bytes]]:
        return {str(path): (path.stat().st_mtime_ns, (tmp_path / "kb" / path).read_bytes()) for path in paths}

    paths = [tmp_path / "kb" / name for name in store.files()]
    before = state()
    reader = connect_backend(store.place)
    for ask in list_reads(reader, store.active).values():
        ask()
    reader.verify(store.active)
    reader.stats(store.active)
    assert state() == before
    assert [tmp_path / "kb" / name for name in store.files()] == paths


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store = make_busy_store(tmp_path / "kb")
    finally:
        os.umask(old)
    for path in [store.place, *store.place.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_files_are_where_the_documentation_says(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path / "kb")
    shown = {str(path).replace(store.active.id, "ID") for path in store.files() if store.active.id in str(path)}
    segments = {name for name in shown if name.startswith("g/ID/seg/")}
    assert len(segments) == 2
    assert all(name.endswith(".vec") and len(name) == len("g/ID/seg/.vec") + 32 for name in segments)
    assert shown - segments == {"g/ID/rows.db", "g/ID/rows.db-journal", "g/ID/writer.lock"}
    assert {str(path) for path in store.files() if path.parts[0] != "g"} == {"catalog.db", "catalog.lock"}


def test_a_foreign_directory_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all I have")
    with pytest.raises(InvalidUrl, match=r"thesis\.txt"):
        connect_backend(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_directory_that_becomes_foreign_is_not_written(tmp_path: Path) -> None:
    backend = connect_backend(tmp_path)
    (tmp_path / "thesis.txt").write_text("all I have")
    with pytest.raises(InvalidUrl):
        backend.create("docs", make_generation())
    assert sorted(path.name for path in tmp_path.iterdir()) in (["catalog.lock", "thesis.txt"], ["thesis.txt"])


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "kb").write_text("")
    with pytest.raises(InvalidUrl):
        connect_backend(tmp_path / "kb")
    with pytest.raises(VecstoreError):
        connect_backend(tmp_path / "kb" / "below").create("docs", make_generation())


@pytest.mark.parametrize("leftover", ["catalog.lock", "g/0123/rows.db", "catalog.db.tmp"])
def test_a_first_create_that_was_killed_is_no_database_yet(tmp_path: Path, leftover: str) -> None:
    (tmp_path / "catalog.lock").touch()
    path = tmp_path / leftover
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(b"")
    assert connect_backend(tmp_path).names() == []
    store = Store.create(tmp_path)
    store.upsert(range(3), 1)
    store.check()
    assert not (tmp_path / "g" / "0123").exists()
    assert not list(tmp_path.glob("*.tmp*"))


def test_only_garbage_goes_with_the_next_create(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    unborn, dropped, foreign = (tmp_path / "g" / (digit * 32) for digit in "012")
    for orphan in (unborn, dropped, foreign):
        shutil.copytree(tmp_path / "g" / store.active.id, orphan)
    (unborn / "writer.lock").write_bytes(b"")
    (dropped / "dropped").touch()
    # A writer that was killed after the commit of its drop leaves a builder's lock.
    locks = [tmp_path / f"builder-{uid}.lock" for uid in ("3" * 32, store.backend.find(name="docs").uid)]
    for each in locks:
        each.touch()
    assert connect_backend(tmp_path).names() == ["docs"]
    assert unborn.exists()
    assert dropped.exists()
    store.backend.create("other", make_generation())
    assert not unborn.exists()
    assert not dropped.exists()
    assert [each.exists() for each in locks] == [False, True]
    # It was written to and never dropped: perhaps an older catalogue was restored.
    assert foreign.exists()
    store.check()


def test_a_missing_catalogue_is_damage_not_emptiness(tmp_path: Path) -> None:
    make_busy_store(tmp_path).backend.close()
    (tmp_path / "catalog.db").unlink()
    with pytest.raises(StoreCorrupt, match="missing"):
        connect_backend(tmp_path)


def test_a_database_of_another_application(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.execute("CREATE TABLE customers(name)")
    connection.close()
    with pytest.raises(StoreCorrupt, match="not a catalogue of vecstore"):
        connect_backend(tmp_path)


@pytest.mark.parametrize("name", ["catalog.db", "rows.db"])
def test_a_newer_format_is_refused(tmp_path: Path, name: str) -> None:
    store = make_busy_store(tmp_path)
    store.backend.close()
    path = next(tmp_path.rglob(name)) if name == "catalog.db" else tmp_path / "g" / store.active.id / name
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(Unsupported, match=r"format 3 .* newer vecstore"):
        read_contents(connect_backend(tmp_path), store.active)


def test_an_index_kind_of_a_newer_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = connect_backend(tmp_path)
    later = {**Schema(dim=3).to_dict(), "index": {"kind": "ivf"}}
    monkeypatch.setattr(Schema, "to_dict", lambda _self: later)
    backend.create("docs", make_generation())
    monkeypatch.undo()
    with pytest.raises(Unsupported, match="newer vecstore"):
        connect_backend(tmp_path)


@pytest.mark.parametrize(
    "name", ["catalog.db", "catalog.lock", "g", "g/ID", "g/ID/rows.db", "g/ID/seg", "g/ID/seg/*.vec"]
)
def test_links_inside_are_refused(tmp_path: Path, name: str) -> None:
    store = make_busy_store(tmp_path / "kb")
    store.backend.close()
    path = next((tmp_path / "kb").glob(name.replace("ID", store.active.id)))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreCorrupt):
        read_contents(connect_backend(store.place), store.active)


def test_a_link_in_the_place_of_a_lock_is_not_written_through(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path / "kb")
    store.backend.close()
    lock = store.place / "g" / store.active.id / "writer.lock"
    lock.unlink()
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    lock.symlink_to(victim)
    with pytest.raises(StoreCorrupt):
        connect_backend(store.place).write(store.active, make_rows([1], 9), insert=False)
    assert victim.read_bytes() == b"untouched"


def test_a_store_that_is_dropped_elsewhere(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    other = connect_backend(tmp_path)
    store.check()
    other.drop(other.find(name="docs").uid)
    for operation in (
        lambda: store.backend.count(store.active, None),
        lambda: read_contents(store.backend, store.active),
        lambda: store.backend.write(store.active, make_rows([1], 1), insert=False),
        lambda: store.backend.verify(store.active),
    ):
        with pytest.raises(Superseded):
            operation()
    assert os_calls.list_names(tmp_path / "g") == []


def test_a_damaged_store_can_be_dropped(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    shutil.rmtree(tmp_path / "g" / store.active.id)
    with pytest.raises(StoreCorrupt):
        read_contents(connect_backend(tmp_path), store.active)
    backend = connect_backend(tmp_path)
    backend.drop(backend.find(name="docs").uid)
    assert backend.names() == []


def test_many_fields_and_more_than_there_are_columns(tmp_path: Path) -> None:
    def schema(count: int) -> Schema:
        return Schema(dim=2, fields={f"f{number}": fields.Int() for number in range(count)})

    backend = connect_backend(tmp_path)
    active = backend.create("wide", make_generation(schema(1_900))).active
    assert backend.count(active, None) == 0
    with pytest.raises(Unsupported, match="1,900"):
        backend.create("wider", make_generation(schema(1_901)))
    assert backend.names() == ["wide"]


def test_a_closed_backend_says_so(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    store.backend.close()
    store.backend.close()
    for operation in (store.backend.names, lambda: store.backend.write(store.active, make_rows([1], 1), insert=False)):
        with pytest.raises(InvalidArgument, match="closed"):
            operation()


def test_names_are_checked_when_the_facade_does_not(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    with pytest.raises(StoreExists):
        store.backend.create("docs", make_generation())
    with pytest.raises(StoreCorrupt):
        store.backend.create("other", type(store.active)("../../etc", store.active.schema))
    with pytest.raises(VecstoreError), store.backend.builder("../x"):
        pass


def test_closing_releases_every_descriptor(tmp_path: Path) -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    store = make_busy_store(tmp_path)
    store.check()
    assert np.isfinite(store.backend.stats(store.active).bytes)
    store.backend.close()
    assert len(os.listdir("/proc/self/fd")) == before
