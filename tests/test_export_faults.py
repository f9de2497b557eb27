"""Exports that cannot be: wrong arguments, interrupted calls, damaged and changed files."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import vecstore
from tests.exported import SEED
from tests.exported import db as db
from tests.exported import file as file
from tests.exported import store as store
from vecstore import (
    Database,
    Flat,
    InvalidArgument,
    InvalidFilter,
    Record,
    Schema,
    SchemaMismatch,
    StorageFailed,
    StoreCorrupt,
    StoreExists,
    StoreMoved,
    Unsupported,
    VecstoreError,
    VectorStore,
)


@pytest.mark.parametrize("wrong", [None, 3, b"x.parquet", "", "a\0b"], ids=ascii)
def test_what_is_no_path(db: Database, store: VectorStore, wrong: Any) -> None:
    with pytest.raises(InvalidArgument):
        store.export(wrong)
    with pytest.raises(InvalidArgument):
        db.create_from("copy", wrong)


def test_places_that_take_no_file(store: VectorStore, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("precious")
    with pytest.raises(InvalidArgument, match="overwrite=True"):
        store.export(taken)
    assert taken.read_text() == "precious"
    with pytest.raises(InvalidArgument, match="exists"):
        store.export(tmp_path, overwrite=True)
    with pytest.raises(InvalidArgument, match="there is no directory"):
        store.export(tmp_path / "no" / "x.parquet")
    with pytest.raises(StorageFailed):
        store.export("/proc/x.parquet")
    with pytest.raises(InvalidFilter):
        store.export(tmp_path / "x.parquet", "en")  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb", "taken"]
    store.export(taken, overwrite=True)
    assert parquet.read_metadata(taken).num_rows == store.count()


def test_targets_that_cannot_be(db: Database, store: VectorStore, file: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreExists):
        db.create_from("docs", file)
    with pytest.raises(InvalidArgument):
        db.create_from("No Name", file)
    with pytest.raises(InvalidArgument, match="Parquet"):
        db.create_from("copy", tmp_path / "missing.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(InvalidArgument, match="Parquet"):
        db.create_from("copy", tmp_path / "text.parquet")
    with vecstore.connect(f"file:{tmp_path}/kb?mode=ro") as reader, pytest.raises(Unsupported):
        reader.create_from("copy", file)
    assert db.names() == ["docs"]


def test_a_store_that_has_moved(db: Database, store: VectorStore, file: Path, tmp_path: Path) -> None:
    digest, url = store.digest(), f"file:{tmp_path}/other"
    with vecstore.connect(url) as other, vecstore.connect(f"file:{tmp_path}/kb", successor=url) as following:
        known = following.open("docs")
        assert store.move_to(other).digest == digest
        for call in (store.digest, partial(store.export, tmp_path / "x"), partial(db.create_from, "docs", file)):
            with pytest.raises(StoreMoved):
                call()
        assert not (tmp_path / "x").exists()
        assert known.digest() == known.export(tmp_path / "y").digest == digest
        with pytest.raises(StoreExists):
            following.create_from("docs", file)


def test_a_rebuild_during_the_export(db: Database, tmp_path: Path) -> None:
    store = db.create("docs", Schema(2))
    store.insert(Record(f"{number:05}", [1, number]) for number in range(2_000))
    done: list[int] = []

    def rebuild_once(phase: str, count: int, total: int | None) -> None:
        if not done:
            done.append(count)
            db.rebuild("docs", schema=Schema(2, dtype="float16"))

    with pytest.raises(SchemaMismatch, match="rebuilt during the export"):
        store.export(tmp_path / "x.parquet", on_progress=rebuild_once)
    assert [path.name for path in tmp_path.iterdir()] == ["kb"]
    assert store.export(tmp_path / "x.parquet", on_progress=rebuild_once).digest == store.digest()


# -- interrupted, damaged, changed

KILLED = """
import os, signal, sys, vecstore

def die(phase, done, total):
    if done >= 1500:
        os.kill(os.getpid(), signal.SIGKILL)

with vecstore.connect(sys.argv[1]) as db:
    if sys.argv[3] == "out":
        db.open("docs").export(sys.argv[2], overwrite=True, on_progress=die)
    else:
        db.create_from("copy", sys.argv[2], on_progress=die)
"""


def run_killed(url: str, file: Path, way: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, url, str(file), way], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_process_leaves_no_half_file_and_no_half_store(db: Database, tmp_path: Path) -> None:
    store = db.create("docs", Schema(2, index=Flat()))
    store.insert(Record(f"{number:05}", [1, number]) for number in range(20_000))
    url, file = f"file:{tmp_path}/kb", tmp_path / "x.parquet"
    run_killed(url, file, "out")
    assert not file.exists()
    file.write_text("precious")
    run_killed(url, file, "out")
    assert file.read_text() == "precious"
    store.export(file, overwrite=True)
    run_killed(url, file, "in")
    assert [name.partition("_")[0] for name in db.names()] == ["docs", "unfinished"]
    assert db.create_from("copy", file).digest() == store.digest()
    assert db.names() == ["copy", "docs"]


@pytest.mark.parametrize("way", ["out", "in"])
def test_a_function_that_raises(db: Database, store: VectorStore, tmp_path: Path, way: str) -> None:
    def refuse(phase: str, done: int, total: int | None) -> None:
        raise KeyError("mine")

    file = tmp_path / "x.parquet"
    if way == "in":
        store.export(file)
    before = sorted(path.name for path in tmp_path.iterdir())
    call = partial(store.export, file) if way == "out" else partial(db.create_from, "copy", file)
    with pytest.raises(KeyError, match="mine"):
        call(on_progress=refuse)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert db.names() == ["docs"]


def test_damage_is_refused_or_harmless(db: Database, store: VectorStore, file: Path, tmp_path: Path) -> None:
    whole, source, refused = file.read_bytes(), random.Random(SEED), 0
    for number in range(80):
        damaged = bytearray(whole)
        if number % 4:
            damaged[source.randrange(len(whole))] ^= 1 << source.randrange(8)
        else:
            del damaged[source.randrange(len(whole)) :]
        (tmp_path / "damaged.parquet").write_bytes(damaged)
        try:
            made = db.create_from("copy", tmp_path / "damaged.parquet")
        except VecstoreError:
            refused += 1
        else:
            assert made.digest() == store.digest(), f"VECSTORE_SEED={SEED}"
            db.drop("copy")
        assert db.names() == ["docs"]
    assert refused > 20


def rewrite(file: Path, table: pa.Table) -> None:
    """Write a table over an export, with all that the file says of itself."""
    about = {key: value for key, value in parquet.read_metadata(file).metadata.items() if key == b"vecstore"}
    parquet.write_table(table.replace_schema_metadata(about), file)


@pytest.mark.parametrize("change", ["row", "text", "version", "order", "columns", "negative version", "twice"])
def test_a_changed_file(db: Database, store: VectorStore, file: Path, change: str) -> None:
    table = parquet.read_table(file)
    place = table.column_names.index
    match change:
        case "row":
            rewrite(file, table.slice(1))
        case "text":
            texts = pa.array(["other", *table["text"].to_pylist()[1:]], pa.string())
            rewrite(file, table.set_column(place("text"), "text", texts))
        case "version" | "negative version":
            number = 7 if change == "version" else -1
            versions = pa.array([number, *table["_version"].to_pylist()[1:]], pa.int64())
            rewrite(file, table.set_column(place("_version"), "_version", versions))
        case "order":
            rewrite(file, table.take(list(reversed(range(table.num_rows)))))
            assert db.create_from("copy", file).digest() == store.digest()
            return
        case "columns":
            rewrite(file, table.drop_columns("word"))
        case "twice":
            rewrite(file, pa.concat_tables([table, table.slice(0, 1)]))
    with pytest.raises((StoreCorrupt, InvalidArgument)):
        db.create_from("copy", file)
    assert db.names() == ["docs"]


def test_what_is_stored_is_compared_too(
    db: Database, store: VectorStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecstore.exports import parquet_import

    def lose(*arguments: Any) -> Any:
        return "0" * 64

    monkeypatch.setattr(parquet_import, "digest_generation", lose)
    with pytest.raises(StoreCorrupt, match="what was stored is not what was read"):
        db.create_from("copy", file)
    assert db.names() == ["docs"]
