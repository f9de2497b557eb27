"""What docs/citus.md says of a cluster of Citus: ``VECSTORE_TEST_CITUS=<URL of its coordinator> pytest -m citus``."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from psycopg import sql

import vecstore
from vecstore import HNSW, Database, F, Record, Schema, StorageError, VectorStore, fields

VARIABLE = "VECSTORE_TEST_CITUS"
ROWS = 1_000
SCHEMA = Schema(8, "l2", index=HNSW(m=8, ef_construction=40, target_recall=0.5), fields={"n": fields.Int()})

pytestmark = pytest.mark.citus


@pytest.fixture
def coordinator() -> str:
    """The URL of the coordinator, as a superuser."""
    url = os.environ.get(VARIABLE)
    assert url, f"Set {VARIABLE} to the URL of a coordinator with pgvector and workers, as a superuser."
    return url


@pytest.fixture
def admin(coordinator: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(coordinator, autocommit=True) as link:
        yield link


@pytest.fixture
def namespace(admin: psycopg.Connection) -> Iterator[str]:
    name = f"citus_{secrets.token_hex(4)}"
    yield name
    admin.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


@pytest.fixture
def database(coordinator: str, namespace: str) -> Iterator[Database]:
    with vecstore.connect(f"{coordinator}?namespace={namespace}", migrate=True) as database:
        yield database


def make_records() -> list[Record]:
    vectors = np.random.default_rng(1).standard_normal((ROWS, 8)).astype(np.float32)
    return [Record(f"r{number:04}", vector, "text", {"n": number}) for number, vector in enumerate(vectors)]


@pytest.fixture
def distributed(database: Database, admin: psycopg.Connection, namespace: str) -> VectorStore:
    """A store whose namespace is a distributed schema, filled by COPY."""
    admin.execute("SELECT citus_schema_distribute(%s)", (namespace,))
    store = database.create("a", SCHEMA)
    assert store.insert(make_records()) == ROWS
    return store


def test_what_works_in_a_distributed_schema(database: Database, distributed: VectorStore) -> None:
    records, query = make_records(), np.ones(8, np.float32)
    with vecstore.connect("memory:") as reference:
        plain = reference.create("a", Schema(8, "l2", fields={"n": fields.Int()}))
        plain.insert(records)
        nearest = [hit.id for hit in plain.search(query, 5)]
        assert distributed.digest() == plain.digest()
    assert distributed.count(F.n < 40) == 40
    assert distributed.get(["r0001", "none"])[0] is not None
    assert [record.id for record in distributed.scan(limit=3)] == ["r0000", "r0001", "r0002"]
    distributed.reindex()
    assert distributed.index_status().state == "ready"
    assert [hit.id for hit in distributed.search(query, 5, exact=True)] == nearest
    assert len(distributed.search(query, 5)) == 5
    assert database.declare("a", {"more": fields.Int()}).records == ROWS
    assert database.open("a").verify().ok


def test_what_is_refused_in_a_distributed_schema(distributed: VectorStore) -> None:
    """Should one of these begin to work, the page has to say so."""
    before = distributed.digest()
    for call in (
        lambda: distributed.upsert([Record("new", np.ones(8))]),
        lambda: distributed.upsert(make_records()),
        lambda: distributed.update(ids=["r0001"], metadata={"n": 5}),
        lambda: distributed.delete(ids=["r0001"]),
        lambda: distributed.search(np.ones(8), 5, where=F.n < 40),
    ):
        with pytest.raises(StorageError):
            call()
    assert distributed.digest() == before


def test_a_distributed_table_is_refused(database: Database, admin: psycopg.Connection) -> None:
    store = database.create("a", SCHEMA)
    table = store.stats().details["table"]
    admin.execute("SELECT create_distributed_table(%s, 'id', shard_count := 4)", (table,))
    for call in (
        lambda: store.insert([Record("new", np.ones(8))]),
        lambda: store.search(np.ones(8), 5, exact=True),
        lambda: store.delete(where=F.n > 3),
    ):
        with pytest.raises(StorageError):
            call()
