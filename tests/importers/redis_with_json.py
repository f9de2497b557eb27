"""A Redis server that has JSON documents beside its query engine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from servers.redis.own_server import OwnServer
from servers.redis.programs import find_programs
from tests.redis.server import SETTINGS


@contextmanager
def run_server_with_json() -> Iterator[OwnServer]:
    """Run a server in a folder of its own, whose path is short because of the socket."""
    folder = Path(tempfile.mkdtemp(prefix="vecstore-redis-"))
    try:
        with OwnServer(folder / "redis", {**SETTINGS, "enable-module-command": "yes"}) as server:
            with redis.Redis.from_url(server.url) as client:
                client.module_load(str(find_programs().search.with_name("rejson.so")))
            yield server
    finally:
        shutil.rmtree(folder)
