"""Backup and restore of a server with Redis' own means, as docs/redis.md describes them."""

from __future__ import annotations

import select
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import redis

from servers.redis.daemon import PATIENCE, PAUSE
from servers.redis.own_server import OwnServer
from vecstore import HNSW, Database, F, IndexNotReady, Record, Schema, StoreNotFound, fields

from .stores import open_database

DIM = 8
ROWS = 64
"""More than ``index_min_rows`` of these tests, so that a graph is built."""
SCHEMA = Schema(dim=DIM, index=HNSW(), fields={"year": fields.Int()})


def vectors() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(7).normal(size=(ROWS, DIM))


def fill(database: Database) -> None:
    store = database.create("notes", SCHEMA)
    store.upsert(Record(f"{row}", each, f"text {row}", {"year": row}) for row, each in enumerate(vectors()))


def assert_is_whole(server: OwnServer) -> None:
    with open_database(server.url) as database:
        store = database.open("notes")
        assert store.count() == ROWS
        assert store.verify().ok
        for row, each in enumerate(vectors()):
            assert store.search(each, k=1)[0].id == f"{row}"
        assert [hit.id for hit in store.search(vectors()[3], where=F.year == 3)] == ["3"]
        store.upsert([Record("later", vectors()[0])])
        assert store.count() == ROWS + 1


def wait_for_snapshot(client: redis.Redis) -> None:
    deadline = time.monotonic() + PATIENCE
    while (state := client.info("persistence"))["rdb_bgsave_in_progress"]:
        assert time.monotonic() < deadline
        select.select([], [], [], PAUSE)
    assert state["rdb_last_bgsave_status"] == "ok"


def test_a_snapshot_of_a_running_server_is_a_backup(tmp_path: Path, server_folder: Path) -> None:
    """The file of a BGSAVE is the whole database at one moment."""
    with OwnServer(server_folder / "a", {"appendonly": "no"}) as server:
        with open_database(server.url) as database:
            fill(database)
        with server.connect() as client:
            client.bgsave()
            wait_for_snapshot(client)
        shutil.copy(server.folder / "dump.rdb", tmp_path / "dump.rdb")
    restored = OwnServer(server_folder / "b", {"appendonly": "no"})
    restored.folder.mkdir(parents=True)
    shutil.copy(tmp_path / "dump.rdb", restored.folder / "dump.rdb")
    with restored:
        assert_is_whole(restored)


def test_a_copy_of_a_stopped_server_s_folder_is_a_backup(tmp_path: Path, server_folder: Path) -> None:
    with OwnServer(server_folder / "a", {"appendfsync": "always"}) as server:
        with open_database(server.url) as database:
            fill(database)
        server.stop()
        shutil.copytree(server.folder / "appendonlydir", tmp_path / "appendonlydir")
    restored = OwnServer(server_folder / "b")
    restored.folder.mkdir(parents=True)
    shutil.copytree(tmp_path / "appendonlydir", restored.folder / "appendonlydir")
    with restored:
        assert_is_whole(restored)


def test_keys_without_the_index_are_completed_by_reindex(own_server: OwnServer) -> None:
    """A tool that copies keys, such as DUMP and RESTORE, leaves out the index, which is no key."""
    with open_database(own_server.url) as database:
        fill(database)
        store = database.open("notes")
        with own_server.connect() as client:
            saved = {key: client.dump(key) for key in client.keys("*")}
            client.flushall()
            with pytest.raises(StoreNotFound):
                database.open("notes")
            for key, value in saved.items():
                client.restore(key, 0, value)
            assert client.execute_command("FT._LIST") == []
        store = database.open("notes")
        with pytest.raises(IndexNotReady):
            store.search(vectors()[0])
        store.reindex()
    assert_is_whole(own_server)
