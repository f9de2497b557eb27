"""The connection cache, and the round trips of statements inside a caller's transaction."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from sqlalchemy import create_engine

from tests.batches import batch, schema, vector_of
from tests.lateness import Lateness
from tests.proxy import make_proxy
from vecstore import HNSW, Timeout
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.client import Client

from .stores import open_database, prepare_namespace


def test_a_waiting_call_gets_a_returned_connection(postgres_url: str, namespace: str) -> None:
    """This includes connections that a call might keep in the cache."""
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, pool_size=2, timeout=5) as database:
        store = database.create("a", schema())
        store.insert(batch(1))
        found: list[int] = []

        def search() -> None:
            found.extend(len(store.search(vector_of(1), k=1)) for _ in range(60))

        threads = [threading.Thread(target=search) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [1] * 480


def test_a_rebuild_needs_three_connections(postgres_url: str, namespace: str) -> None:
    """The builder's lock, the switch, and the reads and writes of the last changes."""
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, pool_size=3, timeout=5) as database:
        store = database.create("a", schema())
        store.insert([record for number in range(4) for record in batch(number)])
        assert database.rebuild("a", schema=schema(HNSW(m=8))).records == 80
        assert database.rollback("a").records == 80
        store.reindex(on_progress=lambda phase, done, total: None)


def test_all_connections_in_use_are_a_timeout(postgres_url: str, namespace: str) -> None:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, pool_size=2, timeout=1) as database:
        store = database.create("a", schema())
        store.search(vector_of(1), k=1)
        client = _client_of(database._backend)
        with client.connection(), client.connection(), Lateness() as lateness:
            with pytest.raises(Timeout, match="pool"):
                store.search(vector_of(1), k=1)
            assert lateness.elapsed() > 0.5
            assert lateness.undisturbed() < 2
        store.search(vector_of(1), k=1)


def test_closing_ends_cached_connections(postgres_url: str, namespace: str, admin: psycopg.Connection) -> None:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, application_name=namespace) as database:
        database.create("a", schema()).insert(batch(1))
        assert _count_connections(admin, namespace) >= 1
    _check_ended(admin, namespace)


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_a_connection_in_use_ends_with_its_call_after_closing(
    postgres_url: str, namespace: str, admin: psycopg.Connection, prepare: str
) -> None:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, application_name=namespace, prepare=prepare) as database:
        with _client_of(database._backend).connection():
            database.close()
            assert _count_connections(admin, namespace) == 1
        _check_ended(admin, namespace)


def _count_connections(admin: psycopg.Connection, name: str) -> int:
    [(count,)] = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (name,)).fetchall()
    return int(count)


def _check_ended(admin: psycopg.Connection, name: str) -> None:
    for _ in range(1_000):
        count = _count_connections(admin, name)
        if not count:
            break
        time.sleep(0.05)
    assert count == 0


def test_a_search_in_a_callers_transaction_is_one_round_trip_of_prepared_statements(
    postgres_url: str, namespace: str
) -> None:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as database, make_proxy(postgres_url) as proxy:
        store = database.create("a", schema())
        store.insert(batch(1))
        engine = create_engine(proxy.replace_address(postgres_url).replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            joined = store.using(connection)
            for _ in range(8):
                joined.search(vector_of(1), k=1)
                joined.upsert(batch(2))
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            kept = driver.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'WITH%'").fetchone()
            assert kept == (2,)
        engine.dispose()


def _client_of(backend: object) -> Client:
    assert isinstance(backend, PostgresBackend)
    return backend._client
