"""Damage to every kind of file raises an error or changes no result."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.file.damage_trials import DAMAGES, KINDS
from tests.file.samples import QUERIES, connect_backend, make_busy_store, make_rows, read_contents
from vecstore.backend import Generation, Search
from vecstore.backends.file.backend import FileBackend
from vecstore.errors import StoreCorrupt
from vecstore.testing.chance import fewest_hits

NOTICED = {"catalogue": 0.38, "rows": 0.57, "segment": 0.99, "catalogue lock": 0.0, "writer lock": 0.0}
"""The share of hits that raise an error, of 300 of each kind. The rest fall on bytes that mean nothing, unused space of
a page above all; what locks hold is only compared with what the databases say."""


def run_trials(module: str, *arguments: object) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", f"tests.file.{module}", *map(str, arguments)]
    # OpenMP and a BLAS would have threads when the trials fork.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert [trial for trial in trials if trial["wrong"]] == []
    return trials


def run(directory: Path, kind: str, seed: int, count: int) -> None:
    unharmed, *trials = run_trials("damage_trials", directory, kind, seed, count)
    assert not unharmed["raised"]
    assert len(trials) == count
    noticed, share = sum(bool(trial["raised"]) for trial in trials), NOTICED[kind]
    # The share was itself measured on 300 trials: three standard errors below it is surely exceeded.
    assert noticed >= fewest_hits(count, share - 3 * (share * (1 - share) / 300) ** 0.5)


def run_on_indexes(directory: Path, seed: int, count: int) -> None:
    """Each trial checks that searches, `index_status` and `verify` notice when bytes have changed."""
    unharmed, *trials = run_trials("index_damage_trials", directory, seed, count)
    assert unharmed["state"] == "ready"
    assert len(trials) == count
    assert {trial["damage"] for trial in trials} == {damage.__name__ for damage in DAMAGES}
    # Some damage changes no byte, such as zeros over zeros: fewer than one in ten.
    assert sum(trial["state"] == "invalid" for trial in trials) >= fewest_hits(count, 0.9)


def test_damage_to_an_index_is_noticed_and_repaired(memory_path: Path, seed: int) -> None:
    run_on_indexes(memory_path, seed, 20)


@pytest.mark.long
def test_damage_to_an_index_at_length(memory_path: Path, seed: int, note: Callable[[str], None]) -> None:
    run_on_indexes(memory_path, seed, 300)
    note(f"damage, seed {seed}: 300 times to an index, noticed and repaired")


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_noticed_or_harmless(memory_path: Path, kind: str, seed: int) -> None:
    run(memory_path, kind, seed, 40)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_damage_at_length(memory_path: Path, kind: str, seed: int, note: Callable[[str], None]) -> None:
    run(memory_path, kind, seed, 300)
    note(f"damage, seed {seed}: 300 times to a {kind} file, noticed or harmless")


READS: dict[str, Callable[[FileBackend, Generation], object]] = {
    # Unfiltered searches read few rows, and none of them twice.
    "search": lambda backend, active: backend.search(
        active, Search(QUERIES, 10_000, include=frozenset({"text", "metadata"}))
    ),
    "contents": read_contents,
    "tombstones": lambda backend, active: backend.tombstones(active, None, 10),
    "changes": lambda backend, active: backend.changes(active, (), 10),
    "write": lambda backend, active: backend.write(active, make_rows([700], 9), insert=True),
}


@pytest.mark.parametrize(
    "look,edit",
    [
        ("search", "UPDATE rows SET f0 = 'xx' WHERE f0 = 'en'"),
        ("search", "UPDATE rows SET f2 = 77 WHERE rid = (SELECT max(rid) FROM rows)"),
        ("search", "UPDATE rows SET version = version + 1 WHERE rid = (SELECT max(rid) FROM rows)"),
        ("search", "UPDATE rows SET text = 'forged' WHERE rid = (SELECT max(rid) FROM rows)"),
        ("search", "UPDATE rows SET id = 'forged' WHERE rid = (SELECT max(rid) FROM rows)"),
        ("search", "DELETE FROM rows WHERE rid = (SELECT max(rid) FROM rows)"),
        ("search", "DELETE FROM segments WHERE base = (SELECT max(base) FROM segments)"),
        ("search", "UPDATE segments SET last = last + 1"),
        ("search", "DELETE FROM dead WHERE seq = 1"),
        ("search", "INSERT INTO dead SELECT 1000000, max(rid) FROM rows"),
        ("search", "UPDATE dead SET rid = 5 WHERE seq = 1"),
        ("search", "DELETE FROM hot WHERE rid = (SELECT max(rid) FROM hot)"),
        ("search", "UPDATE hot SET vector = zeroblob(32) WHERE rid = (SELECT max(rid) FROM hot)"),
        ("search", "UPDATE hot SET vector = zeroblob(33) WHERE rid = (SELECT max(rid) FROM hot)"),
        ("search", "UPDATE ledger SET body = replace(body, '\"pruned\": 0', '\"pruned\": 9')"),
        ("search", "DELETE FROM ledger"),
        ("contents", "DELETE FROM rows WHERE rid = (SELECT max(rid) FROM rows)"),
        ("contents", "UPDATE rows SET extra = '{}' WHERE rid = (SELECT max(rid) FROM rows)"),
        ("contents", "INSERT INTO rows SELECT 999999, id, version, body_crc, vector_crc, f0, f1, f2, head_crc, extra, "
         "text FROM rows WHERE rid = (SELECT max(rid) FROM rows)"),
        ("write", "DELETE FROM rows WHERE rid = (SELECT max(rid) FROM rows)"),
        ("tombstones", "DELETE FROM tombstones"),
        ("tombstones", "UPDATE tombstones SET version = 1"),
        ("write", "UPDATE tombstones SET version = 1"),
        ("changes", "DELETE FROM changes WHERE seq = 1"),
        ("changes", "UPDATE changes SET id = 'forged' WHERE seq = 1"),
    ],
)  # fmt: skip
def test_forged_rows_are_noticed(tmp_path: Path, look: str, edit: str) -> None:
    """Random damage seldom hits these."""
    store = make_busy_store(tmp_path)
    store.backend.close()
    connection = sqlite3.connect(tmp_path / "g" / store.active.id / "rows.db")
    assert connection.execute(edit).rowcount > 0
    connection.commit()
    connection.close()
    with pytest.raises(StoreCorrupt):
        READS[look](connect_backend(tmp_path), store.active)
    assert not connect_backend(tmp_path).verify(store.active).ok


@pytest.mark.parametrize("file", ["catalog.db", "g/ID/rows.db"])
def test_a_damaged_schema_whose_name_is_not_utf8(tmp_path: Path, file: str) -> None:
    """SQLite's message quotes the name of the table, which the sqlite3 module cannot decode."""
    store = make_busy_store(tmp_path)
    store.backend.close()
    path = tmp_path / file.replace("ID", store.active.id)
    data = path.read_bytes()
    assert data.count(b"CREATE TABLE ledger") == 1
    path.write_bytes(data.replace(b"ledgerledger", b"ledger\xffedger").replace(b"CREATE TABLE", b"CREATE\xffTABLE"))
    with pytest.raises(StoreCorrupt):
        read_contents(connect_backend(tmp_path), store.active)
    with pytest.raises(StoreCorrupt):
        connect_backend(tmp_path).write(store.active, make_rows([900], 9), insert=True)


def test_an_older_copy_of_the_rows_is_named(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path / "kb")
    store.backend.close()
    path = store.place / "g" / store.active.id / "rows.db"
    shutil.copy(path, tmp_path / "old")
    backend = connect_backend(store.place)
    backend.write(store.active, make_rows([900], 9), insert=True)
    backend.close()
    shutil.copy(tmp_path / "old", path)
    for operation in (
        lambda: read_contents(connect_backend(store.place), store.active),
        lambda: connect_backend(store.place).write(store.active, make_rows([901], 9), insert=True),
    ):
        with pytest.raises(StoreCorrupt, match="older copy of itself"):
            operation()
    # What the message advises.
    path.with_name("writer.lock").unlink()
    assert read_contents(connect_backend(store.place), store.active) == store.model


def test_a_file_that_turns_older_under_a_reader(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path / "kb")
    path = store.place / "g" / store.active.id / "rows.db"
    shutil.copy(path, tmp_path / "old")
    store.upsert([900], 9)
    store.check()
    store.backend.close()
    reader = connect_backend(store.place)
    assert read_contents(reader, store.active) == store.model
    path.write_bytes((tmp_path / "old").read_bytes())
    with pytest.raises(StoreCorrupt):
        read_contents(connect_backend(store.place), store.active)


def test_verify_counts_what_it_checked_and_names_the_file(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path / "kb")
    found = store.backend.verify(store.active)
    assert (found.records, found.problems) == (len(store.model), ())
    path = next((store.place / "g" / store.active.id / "seg").glob("*.vec"))
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    found = store.backend.verify(store.active)
    assert not found.ok
    assert path.name in found.problems[0]
