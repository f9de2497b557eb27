"""What docs/citus.md says of a cluster of Citus: ``VECSTORE_TEST_CITUS=<URL of its coordinator> pytest -m citus``."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql

import vecstore
from tests.postgres.namespaces import Namespaces, create_catalogue
from tests.postgres.places import PostgresPlace
from vecstore import HNSW, Database, F, Record, RecordExists, Schema, StoreLocked, Unsupported, VectorStore, fields
from vecstore.testing import Place, StoreSuite

VARIABLE = "VECSTORE_TEST_CITUS"
ROWS = 1_000
SCHEMA = Schema(8, "l2", index=HNSW(m=8, ef_construction=40, target_recall=0.5), fields={"n": fields.Int()})

pytestmark = pytest.mark.citus


@pytest.fixture(scope="session")
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
def url(coordinator: str, namespace: str) -> str:
    return f"{coordinator}?namespace={namespace}&lock_timeout=1"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with vecstore.connect(url, migrate=True) as database:
        yield database


def extend_schema(number: int) -> Schema:
    """Return the schema with more fields, which no record has."""
    more = {f"m{each}": fields.Int() for each in range(number)}
    return Schema(8, "l2", index=SCHEMA.index, fields={"n": fields.Int(), **more})


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


def test_reading_and_searching_in_a_distributed_schema(database: Database, distributed: VectorStore) -> None:
    records, query = make_records(), np.ones(8, np.float32)
    with vecstore.connect("memory:") as reference:
        plain = reference.create("a", Schema(8, "l2", fields={"n": fields.Int()}))
        plain.insert(records)
        nearest = [hit.id for hit in plain.search(query, 5)]
        few = [hit.id for hit in plain.search(query, 5, where=F.n < 40)]
        assert distributed.digest() == plain.digest()
    assert distributed.count(F.n < 40) == 40
    assert distributed.stats().bytes > 100_000  # an empty table takes less than half of that
    assert distributed.get(["r0001", "none"])[0] is not None
    assert [record.id for record in distributed.scan(limit=3)] == ["r0000", "r0001", "r0002"]
    assert [hit.id for hit in distributed.search(query, 5, where=F.n < 40)] == few
    distributed.reindex()
    assert distributed.index_status().state == "ready"
    assert [hit.id for hit in distributed.search(query, 5, exact=True)] == nearest
    assert len(distributed.search(query, 5)) == 5
    assert [hit.id for hit in distributed.search(query, 5, where=F.n < 40)] == few
    assert database.declare("a", {"more": fields.Int()}).records == ROWS
    assert database.open("a").verify().ok


def write_each_way(store: VectorStore, number: int) -> None:
    store.upsert([Record(f"new{number}", np.ones(8), "one", {"n": number})])
    store.upsert([Record(f"r{each:04}", np.full(8, number), "many", {"n": each}) for each in range(900, 1_100)])
    assert store.update(ids=["r0001", "none"], metadata={"n": 5 + number, "else": number}) == 1
    assert store.update(where=F.n.between(10, 20), metadata={"more": [1, "two"]}, unset=["else"]) == 11
    assert store.delete(ids=[f"r003{number}", "none"]) == 1
    assert store.delete(where=F.n == 50 + number) == 1
    with pytest.raises(RecordExists):
        store.insert([Record("r0002", np.ones(8))])
    with pytest.raises(RecordExists):
        store.insert(make_records())


def test_writing_in_a_distributed_schema(database: Database, distributed: VectorStore) -> None:
    """Each kind of write, also while a generation follows, and the way back to that one: the same as in memory."""
    with vecstore.connect("memory:") as reference:
        plain = reference.create("a", Schema(8, "l2", fields={"n": fields.Int()}))
        plain.insert(make_records())
        for number in range(3):
            write_each_way(distributed, number)
            write_each_way(plain, number)
            assert distributed.digest() == plain.digest()
            if number < 2:
                database.rebuild("a", schema=extend_schema(number + 1))
                distributed = database.open("a")
        database.rollback("a")
        assert database.open("a").digest() == plain.digest()


WAITING = "SELECT count(*) FROM citus_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = %s"


def wait_for(coordinator: str, event: str, running: Future[Any]) -> None:
    """Return once a session of a worker waits for this."""
    with psycopg.connect(coordinator, autocommit=True) as link:
        while link.execute(WAITING, [event]).fetchone() == (0,):
            assert not running.done()


def test_a_switch_waits_for_a_write_and_later_writes_wait_for_the_switch(
    database: Database, distributed: VectorStore, admin: psycopg.Connection, coordinator: str, url: str
) -> None:
    database.rebuild("a", schema=extend_schema(1))
    table = database.open("a").stats().details["table"]
    with (
        ThreadPoolExecutor(2) as pool,
        vecstore.connect(url.replace("lock_timeout=1", "lock_timeout=20")) as patient,
    ):
        with admin.transaction():
            admin.execute(f"SELECT id FROM {table} WHERE id = 'r0001' FOR UPDATE".encode())  # noqa: S608 - a table's name
            writing = pool.submit(patient.open("a").update, ids=["r0001"], metadata={"n": -1})
            wait_for(coordinator, "transactionid", writing)
            with pytest.raises(StoreLocked):
                database.rollback("a")
            switching = pool.submit(patient.rollback, "a")
            wait_for(coordinator, "advisory", switching)
            with pytest.raises(StoreLocked):
                database.open("a").update(ids=["r0002"], metadata={"n": -2})
        assert writing.result() == 1
        switching.result()
    assert database.open("a").values("n", F.n < 0) == [(-1, 1)]


class DistributedNamespaces(Namespaces):
    """Namespaces that are distributed schemas, each used once."""

    def take(self) -> str:
        namespace = f"t_{secrets.token_hex(8)}"
        create_catalogue(self._link, namespace)
        self._link.execute("SELECT citus_schema_distribute(%s)", (namespace,))
        return namespace

    def give_back(self, namespace: str) -> None:
        self._link.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(namespace)))


class TestDistributedSchema(StoreSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, coordinator: str) -> Iterator[Callable[[], Place]]:
        with DistributedNamespaces(coordinator) as namespaces:
            yield lambda: PostgresPlace(coordinator, namespaces=namespaces)


def test_a_distributed_table_is_refused(database: Database, admin: psycopg.Connection) -> None:
    """Each of its parts answers for itself: a search found nothing where one of them was empty."""
    store = database.create("a", SCHEMA)
    store.insert(make_records())
    table = store.stats().details["table"]
    admin.execute("SELECT create_distributed_table(%s, 'id', shard_count := 4)", (table,))
    for call in (
        lambda: store.search(np.ones(8), 5),
        lambda: store.search(np.ones(8), 5, exact=True),
        lambda: list(store.scan()),
        lambda: store.get(["r0001"]),
        store.count,
        lambda: store.insert([Record("new", np.ones(8))]),
        lambda: store.upsert(make_records()),
        lambda: store.update(ids=["r0001"], metadata={"n": 5}),
        lambda: store.delete(where=F.n > 3),
        store.reindex,
        store.verify,
        lambda: database.rebuild("a", schema=extend_schema(1)),
    ):
        with pytest.raises(Unsupported, match="undistribute_table"):
            call()
    admin.execute("SELECT undistribute_table(%s)", (table,))
    assert store.count() == ROWS
    assert [hit.id for hit in store.search(np.ones(8), 3)] == [
        hit.id for hit in store.search(np.ones(8), 3, exact=True)
    ]
