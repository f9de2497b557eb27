"""Keys and an index of undeclared keys, dates as text and records without a vector, as they were once written."""

from __future__ import annotations

import shutil
from pathlib import Path

import vecstore
from servers.redis.own_server import OwnServer
from tests.golden_stores import NAMESPACE, REDIS, STORE, check


def test_they_are_read_and_written_to(server_folder: Path) -> None:
    server = OwnServer(server_folder / "a", {"appendonly": "no"})
    server.folder.mkdir(parents=True)
    shutil.copy(REDIS / "dump.rdb", server.folder / "dump.rdb")
    with server, vecstore.connect(f"{server.url}?namespace={NAMESPACE}") as db:
        check(db.open(STORE), REDIS)
