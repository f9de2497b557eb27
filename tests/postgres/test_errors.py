"""Timeouts, and secrecy: errors, logs and reprs contain no password, text or vector."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine

import vecstore
from tests.batches import DIM, batch, checked_answer, schema, vector_of
from tests.secrets import NUMBER, PASSWORD, TEXT, change_url, expect_error
from vecstore import (
    BackendUnavailable,
    Database,
    F,
    Record,
    RecordExists,
    StorageFailed,
    StoreCorrupt,
    StoreLocked,
    Timeout,
    VecstoreError,
    VectorStore,
)
from vecstore.backends.postgres.failures import translate

from .catalogues import format_statement
from .own_server import OwnServer
from .stores import open_database, prepare_namespace


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, lock_timeout=0.3, timeout=5) as database:
        yield database


class TestWaiting:
    def test_a_pool_that_is_exhausted_times_out(self, store: VectorStore, postgres_url: str, namespace: str) -> None:
        store.upsert(batch(2))
        with open_database(postgres_url, namespace, pool_size=2, timeout=1) as small:
            busy = small.open("a")
            other = small.create("b", schema())
            pooled = busy._backend
            with pooled.builder(pooled.find(name="a").uid), pooled.builder(pooled.find(name="b").uid):
                with expect_error(Timeout, "pool_size"):
                    busy.count()
                with expect_error(Timeout, "pool_size"):
                    other.upsert(batch(1))
            assert busy.count() == 40

    def test_a_statement_that_takes_too_long(self, store: VectorStore, postgres_url: str, namespace: str) -> None:
        with open_database(postgres_url, namespace, timeout=1) as hasty, table_lock(postgres_url, namespace):
            found = hasty.open("a")
            with expect_error(Timeout, "timeout"):
                found.search(vector_of(1))
        checked_answer(store, 1)

    def test_a_write_waits_for_a_switch_no_longer_than_it_should(
        self, store: VectorStore, postgres_url: str, namespace: str
    ) -> None:
        with psycopg.connect(postgres_url) as switching:
            switching.execute(format_statement("SELECT 1 FROM {}.vecstore_store FOR UPDATE", namespace))
            with expect_error(StoreLocked, "lock_timeout"):
                store.upsert(batch(2))
        assert store.upsert(batch(2)) == 20

    def test_a_write_waits_for_a_record_no_longer_than_it_should(self, store: VectorStore, postgres_url: str) -> None:
        engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as other:
            store.using(other).delete(ids=["b00001-00"])
            with expect_error(StoreLocked, "lock_timeout"):
                store.upsert(batch(1))
        engine.dispose()
        assert store.upsert(batch(1)) == 20

    def test_a_serializable_transaction_that_conflicts(self, store: VectorStore, postgres_url: str) -> None:
        engine = create_engine(
            postgres_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="SERIALIZABLE"
        )
        with engine.connect() as one:
            assert store.using(one).count() == 20
            store.update(ids=["b00001-00"], metadata={"tag": 5})
            with expect_error(StoreLocked, "Repeat"):
                store.using(one).update(ids=["b00001-00"], metadata={"tag": 6})
            assert store.using(one).count({"tag": 1}) == 20  # the SAVEPOINT kept the transaction usable
            one.rollback()
            assert store.using(one).update(ids=["b00001-00"], metadata={"tag": 6}) == 1
            one.commit()
        engine.dispose()
        assert store.count({"tag": 6}) == 1

    def test_transactions_that_wait_for_each_other(self, store: VectorStore, postgres_url: str, namespace: str) -> None:
        engine = create_engine(
            postgres_url.replace("postgresql:", "postgresql+psycopg:"),
            connect_args={"options": "-c deadlock_timeout=100ms"},
        )
        meeting, failures = threading.Barrier(2), []

        def cross(store: VectorStore, first: str, second: str) -> None:
            with opened_joined(engine, store) as joined:
                joined.update(ids=[first], metadata={"tag": 2})
                meeting.wait(60)
                try:
                    joined.update(ids=[second], metadata={"tag": 2})
                except StoreLocked as error:
                    failures.append(error)

        pair = ("b00001-00", "b00001-01")
        # The other one waits until the one that gave up has ended its transaction, however long that takes.
        with open_database(postgres_url, namespace, lock_timeout=60) as patient, ThreadPoolExecutor(2) as threads:
            list(threads.map(cross, [patient.open("a")] * 2, pair, reversed(pair)))
        engine.dispose()
        assert len(failures) == 1
        assert store.count() == 20


@contextmanager
def opened_joined(engine: object, store: VectorStore) -> Iterator[VectorStore]:
    with engine.begin() as connection:  # type: ignore[attr-defined]
        yield store.using(connection)


@contextmanager
def table_lock(postgres_url: str, namespace: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url) as blocker:
        [(generation,)] = blocker.execute(
            format_statement("SELECT active FROM {}.vecstore_store", namespace)
        ).fetchall()
        blocker.execute(format_statement("LOCK TABLE {}.{} IN ACCESS EXCLUSIVE MODE", namespace, generation))
        yield blocker


def test_no_secret_is_shown_anywhere(
    store: VectorStore, database: Database, postgres_url: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("psycopg", "sqlalchemy.engine", "sqlalchemy.pool", "vecstore"):
        caplog.set_level(logging.DEBUG, logger=name)
    record = Record("canary", [NUMBER] * DIM, TEXT, {"word": TEXT, "more": TEXT})
    assert store.upsert([record]) == 1
    faults: list[tuple[type[VecstoreError], Callable[[], object]]] = [
        (RecordExists, lambda: store.insert([record])),
        (Timeout, lambda: search_locked_table(postgres_url, namespace)),
        (BackendUnavailable, lambda: vecstore.connect(change_url(postgres_url, password=PASSWORD))),
        (StorageFailed, lambda: write_without_table(store, record, postgres_url, namespace)),
    ]
    for kind, fault in faults:
        with expect_error(kind):
            fault()
    assert caplog.records
    shown = [*(f"{each.getMessage()} {each.exc_text}" for each in caplog.records), repr(database), repr(store)]
    shown += [repr(store._backend._client._connections._engine), repr(store._backend._client.options)]  # type: ignore[attr-defined]
    password = urlsplit(postgres_url).password
    assert password
    for text in shown:
        assert not any(secret in text for secret in (PASSWORD, password, TEXT, str(NUMBER))), text


def search_locked_table(postgres_url: str, namespace: str) -> None:
    with open_database(postgres_url, namespace, timeout=1) as hasty, table_lock(postgres_url, namespace):
        hasty.open("a").search([NUMBER] * DIM, where=F.word == TEXT)


def write_without_table(store: VectorStore, record: Record, postgres_url: str, namespace: str) -> None:
    """Write to a table that lacks a column; PostgreSQL's error quotes the row."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        [(generation,)] = admin.execute(format_statement("SELECT active FROM {}.vecstore_store", namespace)).fetchall()
        statement = "ALTER TABLE {}.{} ADD CONSTRAINT refused CHECK (id <> 'canary') NOT VALID"
        admin.execute(format_statement(statement, namespace, generation))
    store.upsert([record])


RAISING = "DO $$ BEGIN RAISE EXCEPTION 'told by the server' USING ERRCODE = '{}', HINT = '{}'; END $$"


@pytest.mark.parametrize(
    "hint, advice",
    [("max_locks_per_transaction = 64 reicht nicht.", "number of partitions"), ("Mehr Speicher.", "smaller batches")],
)
def test_a_server_without_memory_or_without_locks(postgres_url: str, hint: str, advice: str) -> None:
    with psycopg.connect(postgres_url) as link, pytest.raises(psycopg.errors.OutOfMemory) as raised:
        link.execute(RAISING.format("53200", hint).encode())
    told = translate(raised.value)
    assert isinstance(told, StorageFailed)
    assert advice in str(told)


@pytest.mark.parametrize("state, advice", [("XX000", "log says which"), ("XX001", "restore from a backup")])
def test_an_error_of_the_server_itself_is_called_damage_only_where_it_is(
    postgres_url: str, state: str, advice: str
) -> None:
    with psycopg.connect(postgres_url) as link, pytest.raises(psycopg.InternalError) as raised:
        link.execute(RAISING.format(state, "-").encode())
    told = translate(raised.value)
    assert isinstance(told, StoreCorrupt)
    assert advice in str(told)


@pytest.mark.long
def test_a_divided_store_on_a_server_with_few_locks() -> None:
    folder = Path(tempfile.mkdtemp(prefix="vecstore-pg-"))
    try:
        with (
            OwnServer(folder / "pg", {"max_locks_per_transaction": "10", "max_connections": "10"}) as server,
            vecstore.connect(server.url, migrate=True) as database,
            expect_error(StorageFailed, "max_locks_per_transaction"),
        ):
            database.create("many", schema().with_partitions(256))
    finally:
        shutil.rmtree(folder)
