"""Loads: a store appears whole or not at all, whatever its workers do."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import vecstore
from tests.sources import ROOT
from vecstore import Schema, bulk, fields
from vecstore.bulk.workers import run_tasks
from vecstore.testing import Place
from vecstore.testing.processes import wait_for_lock

from .conftest import long_on_servers
from .workers import DIM, make_hashed, make_table, make_texts, write_and_die, write_one

SCHEMA = Schema(dim=DIM, metric="l2", index=vecstore.Flat(), fields={"year": fields.Int()})


def make_tables(count: int = 6) -> Iterator[pa.Table]:
    return (make_table(50 * n, 50) for n in range(count))


def read_digest(place: Place, name: str = "docs") -> str:
    with vecstore.connect(place.url) as db:
        return db.open(name).digest()


def load_plainly(place: Place, tables: Any, name: str = "plain") -> str:
    with vecstore.connect(place.url) as db:
        store = db.create(name, SCHEMA)
        for table in tables:
            store.upsert(table)
        return store.digest()


def test_a_load_has_the_digest_of_a_plain_loop(place: Place) -> None:
    found = bulk.load(place.url, "docs", make_tables(), SCHEMA)
    assert found.records == 300
    assert read_digest(place) == load_plainly(place, make_tables())
    with vecstore.connect(place.url) as db:
        store = db.open("docs")
        store.upsert(make_table(1_000, 3))
        assert store.count() == 303
        assert store.search(make_table(7, 1)["vector"][0].as_py(), k=1)[0].id == "r000007"
        assert db._backend.find(name="docs").generations == (db._backend.find(name="docs").active,)


def test_nobody_sees_a_load_before_its_end(place: Place) -> None:
    with vecstore.connect(place.url) as db:
        with bulk.begin(place.url, "docs", SCHEMA) as load:
            assert bulk.write_part(load.ticket, make_table(0, 50)) == 50
            assert db.names() == []
            for call in (partial(db.open, "docs"), partial(db.create, "docs", SCHEMA), partial(db.drop, "docs")):
                with pytest.raises(vecstore.StoreLocked, match="being filled by a load"):
                    call()
            with pytest.raises(vecstore.StoreLocked):  # another load, as long as this one lives
                bulk.load(f"{place.url}{'&' if '?' in place.url else '?'}lock_timeout=0.2", "docs", [], SCHEMA)
            load.confirm(50)
        assert db.names() == ["docs"]
    assert load.result is not None
    assert load.result.records == 50


def test_a_load_that_fails_leaves_nothing(place: Place) -> None:
    def tables() -> Iterator[pa.Table]:
        yield make_table(0, 50)
        yield make_table(50, 50).set_column(0, "id", pa.array([""] * 50))

    with pytest.raises(vecstore.InvalidId):
        bulk.load(place.url, "docs", tables(), SCHEMA)
    with vecstore.connect(place.url) as db:
        assert db.names() == []
        with pytest.raises(vecstore.StoreNotFound):
            db.open("docs")
        db.create("docs", SCHEMA)


def test_a_part_that_comes_too_late_is_refused(place: Place) -> None:
    with ExitStack() as block:
        load = block.enter_context(bulk.begin(place.url, "docs", SCHEMA))
        bulk.write_part(load.ticket, make_table(0, 50))
        block.callback(fail)
        with pytest.raises(ZeroDivisionError):
            block.close()
    with pytest.raises(vecstore.StoreLocked, match="has ended or was given up"):
        bulk.write_part(load.ticket, make_table(0, 50))
    with bulk.begin(place.url, "docs", SCHEMA) as load:
        bulk.write_part(load.ticket, make_table(0, 50))
    with pytest.raises(vecstore.StoreLocked, match="has ended or was given up"):
        bulk.write_part(load.ticket, make_table(50, 50))
    with vecstore.connect(place.url) as db:
        assert db.open("docs").count() == 50


@pytest.mark.long
def test_workers_that_die_lose_nothing_anywhere(place: Place, tmp_path: Path) -> None:
    check_that_nothing_is_lost(place, tmp_path / "marks", 4)


def test_workers_that_die_lose_nothing(file_place: Place, tmp_path: Path) -> None:
    check_that_nothing_is_lost(file_place, tmp_path / "marks", 2)


def check_that_nothing_is_lost(place: Place, marks: Path, parts: int) -> None:
    marks.mkdir()
    with bulk.begin(place.url, "docs", SCHEMA) as load:
        tasks = [(load.ticket, marks, 50 * n) for n in range(parts)]
        load.confirm(sum(written for _, written in run_tasks(write_and_die, tasks, 2)))
    assert len(list(marks.iterdir())) == parts
    assert read_digest(place) == load_plainly(place, make_tables(parts))


def test_ids_in_several_tables(file_place: Place) -> None:
    place, tables = file_place, [make_table(0, 50), make_table(40, 50, "later")]
    with pytest.raises(vecstore.DuplicateId, match="10 ids"):
        bulk.load(place.url, "docs", tables, SCHEMA, workers=2)
    assert bulk.load(place.url, "docs", tables, SCHEMA).records == 90
    assert read_digest(place) == load_plainly(place, tables)
    twins = pa.concat_tables(tables)  # of one table, the last one stays
    assert bulk.load(place.url, "other", [twins], SCHEMA, workers=2).records == 90
    assert read_digest(place, "other") == read_digest(place)


def test_a_store_that_is_there_is_refused(place: Place) -> None:
    bulk.load(place.url, "docs", make_tables(1), SCHEMA)
    with pytest.raises(vecstore.StoreExists, match="write_batch"):
        bulk.load(place.url, "docs", make_tables(), SCHEMA)
    with vecstore.connect(place.url) as db:
        assert db.open("docs").count() == 50


def fail() -> None:
    raise ZeroDivisionError


KILLED = """
import os, signal, sys
from tests.bulk.test_loads import SCHEMA, make_table
from vecstore import bulk
with bulk.begin(sys.argv[1], "docs", SCHEMA) as load:
    bulk.write_part(load.ticket, make_table(0, 50))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@long_on_servers
def test_what_a_killed_load_left_is_in_nobodys_way(place: Place) -> None:
    def kill_one() -> None:
        done = subprocess.run([sys.executable, "-c", KILLED, place.url], cwd=ROOT, check=False)
        assert done.returncode == -signal.SIGKILL
        wait_for_lock(place.backend(), "docs")

    kill_one()
    with vecstore.connect(place.url) as db:
        assert db.names() == []
        db.drop("docs", moved=True)
        with pytest.raises(vecstore.StoreNotFound):
            db.drop("docs", moved=True)
    kill_one()
    assert bulk.load(place.url, "docs", make_tables(), SCHEMA).records == 300


def test_texts_are_embedded_by_each_process(file_place: Place) -> None:
    place, tables = file_place, [make_texts(20 * n, 20) for n in range(3)]
    found = bulk.load(place.url, "docs", tables, Schema(), embedder=make_hashed, workers=2)
    assert found.records == 60
    with vecstore.connect(place.url) as db:
        store = db.open("docs", embedder=make_hashed())
        assert store.schema.dim == 4
        assert store.search("text 11", k=1)[0].text == "text 11"
        assert store.embedder_config is not None
    with pytest.raises(vecstore.EmbedderRequired):
        bulk.load(place.url, "other", tables, Schema(dim=4))


def test_the_index_is_built_before_the_store_appears(place: Place) -> None:
    schema = SCHEMA.with_index(vecstore.HNSW(m=4, ef_construction=16))
    bulk.load(place.url, "docs", make_tables(20), schema)
    with vecstore.connect(place.url) as db:
        status = db.open("docs").index_status()
        assert (status.state, status.rows) == ("ready", 1_000)


def test_batches_leave_the_index_to_the_end(file_place: Place) -> None:
    url, seen = file_place.url, list[str]()
    with vecstore.connect(url) as db:
        store = db.create("docs", SCHEMA.with_index(vecstore.HNSW(m=4, ef_construction=16)))
        assert bulk.write_batch(url, "docs", make_table(0, 300)) == 300
        assert store.index_status().state == "none"
        bulk.finish(url, "docs", on_progress=lambda phase, done, total: seen.append(phase))
        assert (store.index_status().state, store.index_status().rows) == ("ready", 300)
    assert {"indexing", "calibrating"} <= {*seen}
    with pytest.raises(vecstore.StoreNotFound):
        bulk.finish(url, "others")
    with pytest.raises(vecstore.Unsupported, match=r"several processes\. Load into files, PostgreSQL or Redis"):
        bulk.write_batch("memory:", "docs", make_table(0, 5))
    with pytest.raises(vecstore.Unsupported, match=r"several processes\. Load into files, PostgreSQL or Redis"):
        bulk.load("memory:", "docs", [], SCHEMA)


@long_on_servers
def test_batches_into_a_store_that_is_there(place: Place) -> None:
    with vecstore.connect(place.url) as db:
        db.create("docs", SCHEMA)
    tasks = [(place.url, "docs", 50 * n) for n in (0, 1, 2, 1)]  # one of them repeated
    assert sum(written for _, written in run_tasks(write_one, tasks, 2)) == 200
    bulk.finish(place.url, "docs")
    assert read_digest(place) == load_plainly(place, make_tables(3))


def test_a_batch_finds_a_store_that_was_made_anew(place: Place) -> None:
    with vecstore.connect(place.url) as db:
        for _ in range(2):
            db.create("docs", SCHEMA)
            assert bulk.write_batch(place.url, "docs", make_table(0, 5)) == 5
            db.drop("docs")
    with pytest.raises(vecstore.StoreNotFound):
        bulk.write_batch(place.url, "docs", make_table(0, 5))


def test_a_forked_child_opens_its_own_connection(place: Place) -> None:
    with vecstore.connect(place.url) as db:
        db.create("docs", SCHEMA)
    bulk.write_batch(place.url, "docs", make_table(0, 5))
    child = os.fork()
    if not child:
        written = 0
        try:
            written = bulk.write_batch(place.url, "docs", make_table(5, 5))
        finally:
            os._exit(0 if written == 5 else 1)
    assert os.waitpid(child, 0)[1] == 0
    bulk.write_batch(place.url, "docs", make_table(10, 5))
    assert read_digest(place) == load_plainly(place, [make_table(0, 15)])


@pytest.mark.parametrize(
    "change, error",
    [
        ({"name": "No Name"}, vecstore.InvalidArgument),
        ({"schema": "dim=3"}, vecstore.InvalidArgument),
        ({"schema": Schema()}, vecstore.InvalidArgument),
        ({"workers": 0}, vecstore.InvalidArgument),
        ({"embedder": make_hashed()}, vecstore.InvalidArgument),
        ({"embedder": lambda: make_hashed()}, vecstore.InvalidArgument),
        ({"embedder": "no such model"}, vecstore.InvalidArgument),
        ({"embedder": make_table}, TypeError),
        ({"tables": ["a.parquet"]}, vecstore.InvalidArgument),
        ({"url": "memory:"}, vecstore.Unsupported),
    ],
    ids=[
        "name",
        "no schema",
        "no dim",
        "no workers",
        "a model",
        "a lambda",
        "no such model",
        "no function of a model",
        "paths",
        "memory",
    ],
)
def test_what_is_refused(tmp_path: Path, change: dict[str, Any], error: type[Exception]) -> None:
    arguments = {"url": f"file:{tmp_path}/kb", "name": "docs", "tables": [make_table(0, 5)], "schema": SCHEMA, **change}
    with pytest.raises(error):
        bulk.load(**arguments)
    if change.get("url") is None and (tmp_path / "kb").exists():
        with vecstore.connect(arguments["url"]) as db:
            assert db.names() == []


def test_a_ticket_leads_to_its_place_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of another engine may have another working directory."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with bulk.begin("file:./a kb%3F?lock_timeout=2", "docs", SCHEMA) as load:
        monkeypatch.chdir(elsewhere)
        assert bulk.write_part(load.ticket, make_table(0, 50)) == 50
    assert os.listdir(elsewhere) == []
    assert sorted(os.listdir(tmp_path)) == ["a kb?", "elsewhere"]


def test_a_ticket_does_not_show_its_url() -> None:
    ticket = bulk.Ticket("postgresql://me:secret@host/db", "docs", "0" * 32, "1" * 32, "wordllama")
    assert "secret" not in repr(ticket)
    assert pickle.loads(pickle.dumps(ticket)) == ticket  # noqa: S301 - a program of its own processes
