"""Stores on a Redis server for tests of failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

import vecstore
from vecstore import Database

from .places import add_parameters, read_hash

NAMESPACE = "tests"


@contextmanager
def open_database(url: str, **parameters: object) -> Iterator[Database]:
    """Open the database of a server, by default in the namespace of these tests."""
    given = {"namespace": NAMESPACE, "index_min_rows": 32, **parameters}
    with vecstore.connect(add_parameters(url, **given)) as database:
        yield database


def load_generation(client: redis.Redis, store: str, namespace: str = NAMESPACE) -> str:
    """Return the id of a store's active generation."""
    uid = read_hash(client, f"{namespace}:names")[store].decode()
    return read_hash(client, f"{namespace}:store:{uid}")["active"].decode()


def read_stored_ids(client: redis.Redis, store: str, namespace: str = NAMESPACE) -> list[str]:
    """Read the ids in one transaction from the keys of the records, and check that the list of ids is the same."""
    generation = load_generation(client, store, namespace)
    prefix = f"{namespace}:rec:{generation}:".encode()
    with client.pipeline(transaction=True) as moment:
        moment.execute_command("KEYS", prefix + b"*")
        moment.execute_command("ZRANGE", f"{namespace}:ids:{generation}", 0, -1)
        keys, listed = moment.execute()
    assert listed == sorted(key.removeprefix(prefix) for key in keys)
    return [id_.decode() for id_ in listed]
