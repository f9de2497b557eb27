"""Copies of a live directory: whole, consistent, usable at once, and never half of one taken for a whole."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

import vecstore
from vecstore import HNSW, F, InvalidArgument, Record, Schema, StorageFailed, StoreCorrupt, fields
from vecstore.backends.file import backup as module

from .samples import Store, connect_backend, make_busy_store, read_contents

SCHEMA = Schema(4, "l2", index=HNSW(), fields={"batch": fields.Int()})


def make_records(numbers: range, batch: int) -> list[Record]:
    rng = np.random.default_rng(batch)
    return [Record(f"r{number}", rng.standard_normal(4), f"text {number}", {"batch": batch}) for number in numbers]


def test_the_copy_holds_what_the_source_holds(tmp_path: Path) -> None:
    store: Store = make_busy_store(tmp_path / "kb")
    with vecstore.connect(f"file:{tmp_path / 'kb'}") as db:
        db.backup(tmp_path / "copies" / "monday")
    copy = connect_backend(tmp_path / "copies" / "monday")
    entry, source = copy.find(name="docs"), store.backend.find(name="docs")
    assert (entry.uid, entry.active, entry.standby) == (source.uid, source.active, source.standby)
    assert read_contents(copy, entry.active) == store.model
    for listed in (copy, store.backend):
        assert [change.id for change in listed.changes(entry.active, (), 1_000)]
        assert dict(listed.tombstones(entry.active, None, 1_000)) == {"id-00300": 9}
    assert copy.verify(entry.active).problems == ()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "copies" / "monday").rglob("*")} == {0o700, 0o600}
    copy.close()
    store.backend.close()


def test_the_copy_has_the_index(tmp_path: Path) -> None:
    with vecstore.connect(f"file:{tmp_path / 'kb'}?index_min_rows=32") as db:
        docs = db.create("docs", SCHEMA)
        docs.upsert(make_records(range(300), 1))
        db.backup(tmp_path / "copy")
        with vecstore.connect(f"file:{tmp_path / 'copy'}?index_min_rows=32") as other:
            found = other.open("docs")
            assert found.index_status() == docs.index_status()
            assert found.index_status().state == "ready"
            found.upsert(make_records(range(10), 2))
            assert docs.count(F.batch == 2) == 0


def test_each_store_is_copied_at_one_commit(tmp_path: Path) -> None:
    """Writers go on; every batch is in the copy whole or not at all."""
    with vecstore.connect(f"file:{tmp_path / 'kb'}?index_min_rows=32") as db:
        docs = db.create("docs", SCHEMA)
        docs.upsert(make_records(range(200), 0))
        done, written = threading.Event(), []

        def write() -> None:
            for batch in range(1, 10_000):
                docs.upsert(make_records(range(100), batch))
                written.append(batch)
                if done.is_set():
                    return

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                before = len(written)
                db.backup(tmp_path / f"copy-{number}")
                with vecstore.connect(f"file:{tmp_path / f'copy-{number}'}") as copy:
                    first = [record for record in copy.open("docs").scan() if int(record.id[1:]) < 100]
                    batches = {record.metadata["batch"] for record in first}
                    assert len(batches) == 1
                    assert min(batches) >= before
                    assert copy.open("docs").verify().ok
        finally:
            done.set()
            writer.join()


def test_a_copy_that_was_broken_off_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with vecstore.connect(f"file:{tmp_path / 'kb'}") as db:
        db.create("docs", SCHEMA).upsert(make_records(range(200), 1))
        real = module._copy_generation

        def full(*arguments: object) -> None:
            real(*arguments)  # type: ignore[arg-type]
            raise OSError(28, os.strerror(28))

        with monkeypatch.context() as patched:
            patched.setattr(module, "_copy_generation", full)
            with pytest.raises(StorageFailed, match="No space"):
                db.backup(tmp_path / "copy")
        with pytest.raises(vecstore.InvalidUrl):
            vecstore.connect(f"file:{tmp_path / 'copy'}")
        assert db.open("docs").upsert(make_records(range(3), 2)) == 3
        db.backup(tmp_path / "another")


def test_damage_is_not_copied_in_silence(tmp_path: Path) -> None:
    with vecstore.connect(f"file:{tmp_path / 'kb'}") as db:
        db.create("docs", SCHEMA).upsert(make_records(range(500), 1))
        [segment] = (tmp_path / "kb").rglob("*.vec")
        data = bytearray(segment.read_bytes())
        data[200] ^= 1
        segment.write_bytes(bytes(data))
        with pytest.raises(StoreCorrupt, match="copy is damaged"):
            db.backup(tmp_path / "copy")


def test_an_index_that_is_missing_keeps_nobody_from_copying(tmp_path: Path) -> None:
    with vecstore.connect(f"file:{tmp_path / 'kb'}?index_min_rows=32") as db:
        docs = db.create("docs", SCHEMA)
        docs.upsert(make_records(range(300), 1))
        [index] = (tmp_path / "kb").rglob("*.faiss")
        index.unlink()
        db.backup(tmp_path / "copy")
        with vecstore.connect(f"file:{tmp_path / 'copy'}?index_min_rows=32") as copy:
            found = copy.open("docs")
            assert found.index_status().state == "invalid"
            assert len(found.search([1, 0, 0, 0], 10)) == 10
            found.reindex()
            assert found.verify().ok


def test_a_mistyped_path_is_no_backup(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "typo") as db, pytest.raises(InvalidArgument, match="no database in"):
        db.backup(tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_does_not_lie_in_its_source(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "kb") as db:
        db.create("docs", SCHEMA)
        (tmp_path / "link").symlink_to("kb")
        before = sorted(tmp_path.rglob("*"))
        for target in (tmp_path / "kb" / "copy", tmp_path / "link" / "copy"):
            with pytest.raises(InvalidArgument, match="inside the database"):
                db.backup(target)
        assert sorted(tmp_path.rglob("*")) == before


def test_a_database_without_stores_is_copied(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "kb") as db:
        db.create("docs", SCHEMA)
        db.drop("docs")
        db.backup(f"file:{tmp_path}/copy")
    with vecstore.connect(tmp_path / "copy") as copy:
        assert copy.names() == []
    assert (tmp_path / "copy" / "catalog.db").exists()
