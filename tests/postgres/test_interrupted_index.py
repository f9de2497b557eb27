"""An interrupted index build: searches stay correct, the state reports it, and reindex() repairs it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import psycopg
import pytest

from vecstore import HNSW, BackendUnavailable, Database, Record, Schema, VectorStore
from vecstore.backends.postgres import index_build
from vecstore.backends.postgres.statements import Statement

from .catalogues import format_statement
from .stores import open_database, prepare_namespace

COUNT, DIM = 1_000, 16
DATA = np.random.default_rng(17).normal(size=(COUNT, DIM)).astype(np.float32)
TRUTH = [set(np.argsort(((DATA - query) ** 2).sum(axis=1))[:10].tolist()) for query in DATA[:3]]

_PHASES = (
    "SELECT pid, phase, tuples_done FROM pg_stat_progress_create_index JOIN pg_namespace ON nspname = %s "
    "JOIN pg_class ON pg_class.oid = relid AND relnamespace = pg_namespace.oid"
)
_INDEXES = (
    "SELECT count(*) FILTER (WHERE indisvalid AND indisready), count(*) FROM pg_index "
    "JOIN pg_class name ON name.oid = indexrelid JOIN pg_am ON pg_am.oid = relam AND amname = 'hnsw' "
    "WHERE relnamespace = %s::regnamespace"
)


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, build_workers=0) as database:
        yield database


@pytest.fixture
def store(postgres_url: str, namespace: str, database: Database) -> VectorStore:
    schema = Schema(dim=DIM, metric="l2", index=HNSW(ef_construction=400))
    database.create("a", schema)
    with open_database(postgres_url, namespace, index_min_rows=1 << 30) as loading:
        loading.open("a").insert(Record(str(number), row) for number, row in enumerate(DATA))
    return database.open("a")


def count_graphs(admin: psycopg.Connection, namespace: str) -> tuple[int, int]:
    """Return the number of valid graphs, and of all graphs."""
    [(valid, total)] = admin.execute(_INDEXES, (namespace,)).fetchall()
    return valid, total


def check_answers(store: VectorStore) -> None:
    for query, truth in zip(DATA, TRUTH, strict=False):
        assert {int(hit.id) for hit in store.search(query, k=10)} == truth


def kill_when(admin: psycopg.Connection, namespace: str, phase: str, done: int, building: Future[None]) -> None:
    """End the build as soon as it has come that far."""
    while not building.done():
        for pid, now, tuples in admin.execute(_PHASES, (namespace,)).fetchall():
            if now.startswith(phase) and (tuples or 0) >= done:
                admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
                return
    raise AssertionError(f"the build was over before {phase}, {done}: {building.exception()!r}")


def check_rebuild_of_invalid(store: VectorStore, admin: psycopg.Connection, namespace: str) -> None:
    assert store.index_status().state == "invalid"
    assert count_graphs(admin, namespace) == (0, 1)
    assert any("not valid" in problem for problem in store.verify().problems)
    check_answers(store)
    store.reindex()
    assert store.index_status().state == "ready"
    assert count_graphs(admin, namespace) == (1, 1)


@pytest.mark.parametrize("done", [1, COUNT * 3 // 4])
def test_a_build_that_is_killed_while_it_reads(
    store: VectorStore, admin: psycopg.Connection, namespace: str, done: int
) -> None:
    with ThreadPoolExecutor(1) as threads:
        building = threads.submit(store.reindex)
        kill_when(admin, namespace, "building index", done, building)
        with pytest.raises(BackendUnavailable):
            building.result(120)
    check_rebuild_of_invalid(store, admin, namespace)


@pytest.mark.parametrize("phase", ["waiting for writers before build", "waiting for writers before validation"])
def test_a_build_that_is_killed_while_it_waits(
    store: VectorStore, admin: psycopg.Connection, postgres_url: str, namespace: str, phase: str
) -> None:
    [(generation,)] = admin.execute(format_statement("SELECT active FROM {}.vecstore_store", namespace)).fetchall()
    lock = format_statement("LOCK TABLE {}.{} IN ROW EXCLUSIVE MODE", namespace, generation)
    with ThreadPoolExecutor(1) as threads, psycopg.connect(postgres_url) as writer:
        if phase.endswith("build"):
            writer.execute(lock)
        building = threads.submit(store.reindex)
        if phase.endswith("validation"):
            wait_for(admin, namespace, "building index")
            writer.execute(lock)
        kill_when(admin, namespace, phase, 0, building)
        writer.rollback()
        with pytest.raises(BackendUnavailable):
            building.result(120)
    check_rebuild_of_invalid(store, admin, namespace)


def wait_for(admin: psycopg.Connection, namespace: str, phase: str) -> None:
    deadline = time.monotonic() + 120
    while not any(now.startswith(phase) for _, now, _ in admin.execute(_PHASES, (namespace,)).fetchall()):
        assert time.monotonic() < deadline


def test_a_rebuild_that_is_killed_leaves_the_old_index_at_work(
    store: VectorStore, admin: psycopg.Connection, namespace: str
) -> None:
    store.reindex()
    with ThreadPoolExecutor(1) as threads:
        building = threads.submit(lambda: store.reindex(HNSW(m=20, ef_construction=400)))
        kill_when(admin, namespace, "building index", 1, building)
        with pytest.raises(BackendUnavailable):
            building.result(120)
    assert count_graphs(admin, namespace) == (1, 2)
    assert store.index_status().state == "ready"
    assert len(store.search(DATA[0], k=10)) == 10
    store.reindex(HNSW(m=20, ef_construction=400))
    assert count_graphs(admin, namespace) == (1, 1)


def test_an_interrupted_caller_cancels_its_build(
    store: VectorStore, admin: psycopg.Connection, postgres_url: str, namespace: str
) -> None:
    def interrupt() -> None:
        try:
            wait_for(admin, namespace, "waiting for writers before build")
        finally:  # or the test would wait for ever
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    [(generation,)] = admin.execute(format_statement("SELECT active FROM {}.vecstore_store", namespace)).fetchall()
    with psycopg.connect(postgres_url) as writer:
        writer.execute(format_statement("LOCK TABLE {}.{} IN ROW EXCLUSIVE MODE", namespace, generation))
        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        with pytest.raises(KeyboardInterrupt):
            store.reindex()
        interrupting.join()
    signal.signal(signal.SIGINT, before)
    assert admin.execute(_PHASES, (namespace,)).fetchall() == []
    check_rebuild_of_invalid(store, admin, namespace)


def test_an_interrupt_before_the_statement_is_sent_cancels_it_too(
    store: VectorStore, admin: psycopg.Connection, postgres_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ignores the first request, because the connection is idle then."""
    begun, requested = threading.Event(), threading.Event()
    run, cancel = index_build._run, psycopg.Connection.cancel_safe

    def run_late(connection: psycopg.Connection, statement: Statement) -> None:
        if "CREATE INDEX" in statement.text:
            begun.set()
            assert requested.wait(30)
        run(connection, statement)

    def cancel_and_tell(connection: psycopg.Connection) -> None:
        cancel(connection)
        requested.set()

    def interrupt(*_: object) -> None:
        assert begun.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr(index_build, "_run", run_late)
    monkeypatch.setattr(psycopg.Connection, "cancel_safe", cancel_and_tell)
    [(generation,)] = admin.execute(format_statement("SELECT active FROM {}.vecstore_store", namespace)).fetchall()
    with psycopg.connect(postgres_url) as writer, monkeypatch.context() as interrupted:
        # A build that is not cancelled goes on when the server ends this transaction.
        writer.execute("SET idle_in_transaction_session_timeout = '20s'")
        writer.execute(format_statement("LOCK TABLE {}.{} IN ROW EXCLUSIVE MODE", namespace, generation))
        interrupted.setattr(index_build.Builder, "_follow", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.reindex()
    check_rebuild_of_invalid(store, admin, namespace)


def test_a_build_that_the_watching_function_gives_up_leaves_nothing(
    store: VectorStore, admin: psycopg.Connection, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_build, "POLL", 0.01)

    def stop(phase: str, done: int, total: int | None) -> None:
        if phase == "indexing" and 0 < done < COUNT:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.reindex(HNSW(m=64, ef_construction=1000), on_progress=stop)
    assert count_graphs(admin, namespace) == (0, 0)
    assert store.index_status().state == "none"
    check_answers(store)
    store.reindex()
    assert count_graphs(admin, namespace) == (1, 1)
