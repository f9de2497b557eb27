"""The Redis server of a run: one of its own, or the one that ``VECSTORE_BENCH_REDIS`` names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VARIABLE = "VECSTORE_BENCH_REDIS"
SETTINGS = {"save": '""', "appendonly": "no"}
"""Beside these, a server of its own has Redis's defaults, and those of its search module."""
NAMESPACES = "vecstore_bench_"
"""What all keys and indexes of the benchmark begin with."""
_MANY = 1_000


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Give the URL of a server; one of its own lives in ``folder`` and is stopped afterwards."""
    given = os.environ.get(VARIABLE)
    if given:
        # Its package is there only where this is measured.
        import redis

        try:
            yield given
        finally:
            with redis.Redis.from_url(given) as client:
                cleared(client, NAMESPACES)
        return
    from servers.redis.own_server import OwnServer

    with OwnServer(folder, SETTINGS) as server:
        yield server.socket_url


def cleared(client: Any, prefix: str) -> None:
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
