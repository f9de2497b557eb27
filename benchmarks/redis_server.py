"""The Redis server of a run: started for it, or the one that ``VECSTORE_BENCH_REDIS`` names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VARIABLE = "VECSTORE_BENCH_REDIS"
SETTINGS = {"save": '""', "appendonly": "no"}
"""A started server has the defaults of Redis and its search module otherwise."""
NAMESPACES = "vecstore_bench_"
"""The prefix of all keys and indexes of the benchmark."""
_MANY = 1_000


@contextmanager
def run_server(folder: Path) -> Iterator[str]:
    """Give the URL of a server; one that is started here uses ``folder`` and is stopped afterwards."""
    given = os.environ.get(VARIABLE)
    if given:
        # Its package is installed only if this is measured.
        import redis

        try:
            yield given
        finally:
            with redis.Redis.from_url(given) as client:
                clear_keys(client, NAMESPACES)
        return
    from servers.redis.own_server import OwnServer

    with OwnServer(folder, SETTINGS) as server:
        yield server.socket_url


def clear_keys(client: Any, prefix: str) -> None:
    """Remove all indexes and keys whose names begin with a prefix."""
    for name in map(bytes.decode, client.execute_command("FT._LIST")):
        if name.startswith(prefix):
            client.execute_command("FT.DROPINDEX", name)
    keys: list[bytes] = []
    for key in client.scan_iter(f"{prefix}*", _MANY):
        keys.append(key)
        if len(keys) == _MANY:
            client.delete(*keys)
            keys.clear()
    if keys:
        client.delete(*keys)
