"""Servers and connections that are killed: what was acknowledged is stored, batches are whole, the pool recovers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from tests.batch_writer import BatchWriter
from tests.batches import batch, numbers, schema, vector_of
from tests.lateness import Lateness
from vecstore import BackendUnavailable, Database, UnknownOutcome, VectorStore

from .catalogues import format_statement
from .own_server import OwnServer
from .stores import add_parameters, open_database, prepare_namespace, read_stored_ids

_VICTIMS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'vecstore'"


def kill_rounds(server: OwnServer, rounds: int, seed: int) -> None:
    draws = random.Random(seed)
    prepare_namespace(server.url, "kills")
    with open_database(server.url, "kills") as database:
        database.create("a", schema())
    with BatchWriter(add_parameters(server.url, "kills", timeout=5)) as writer:
        for number in range(rounds):
            threading.Event().wait(draws.uniform(0, 0.05))  # the moment of the kill is what is drawn
            if number % 2:
                server.kill()
            else:
                server.stop("immediate")
            server.start()
            with Lateness() as lateness:
                writer.listen_for("lost")
                writer.listen_for("acked")
                assert lateness.undisturbed() < 5
            assert writer.acknowledged <= numbers(read_stored_ids(server.url, "kills", "a"))
        writer.stop()
    stored = numbers(read_stored_ids(server.url, "kills", "a"))
    assert writer.acknowledged <= stored <= writer.acknowledged | {max(writer.acknowledged) + 1}
    assert writer.failures <= {"UnknownOutcome", "BackendUnavailable"}


def test_a_killed_server_keeps_what_was_acknowledged(own_server: OwnServer) -> None:
    kill_rounds(own_server, rounds=6, seed=16)


@pytest.mark.long
def test_a_server_killed_many_times_keeps_what_was_acknowledged(
    own_server: OwnServer, note: Callable[[str], None]
) -> None:
    kill_rounds(own_server, rounds=50, seed=17)
    note("kill -9 and immediate stops of PostgreSQL: 50")


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as database:
        yield database


def terminate(admin: psycopg.Connection) -> None:
    """End all of vecstore's connections; return when they are gone."""
    pids = {pid for (pid,) in admin.execute(_VICTIMS)}
    # One that a Database of an earlier test has closed may end by itself meanwhile: then nothing was terminated.
    admin.execute("SELECT pg_terminate_backend(p, 60000) FROM unnest(%s) p", ([*pids],))
    assert pids
    assert pids.isdisjoint(pid for (pid,) in admin.execute("SELECT pid FROM pg_stat_activity"))


def test_an_idle_connection_that_was_ended_is_not_noticed(store: VectorStore, admin: psycopg.Connection) -> None:
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda _: store.count(), range(20)))
    for number in range(10, 13):
        terminate(admin)
        assert store.count() == 20 * (number - 9)
        terminate(admin)
        assert store.upsert(batch(number)) == 20


@contextmanager
def blocked(postgres_url: str, namespace: str, mode: str) -> Iterator[psycopg.Connection]:
    """Hold a lock on a store's table."""
    with psycopg.connect(postgres_url) as blocker:
        [(generation,)] = blocker.execute(
            format_statement("SELECT active FROM {}.vecstore_store", namespace)
        ).fetchall()
        blocker.execute(format_statement(f"LOCK TABLE {{}}.{{}} IN {mode} MODE", namespace, generation))
        yield blocker


def wait_until_waiting(admin: psycopg.Connection) -> None:
    """Return when a statement of vecstore waits for a lock."""
    deadline = time.monotonic() + 60
    while not admin.execute(f"{_VICTIMS} AND wait_event_type = 'Lock'".encode()).fetchall():
        assert time.monotonic() < deadline


def test_a_read_goes_on_after_its_statement_was_terminated(
    store: VectorStore, admin: psycopg.Connection, postgres_url: str, namespace: str
) -> None:
    with ThreadPoolExecutor(1) as threads, blocked(postgres_url, namespace, "ACCESS EXCLUSIVE") as blocker:
        answer = threads.submit(store.search, vector_of(1))
        wait_until_waiting(admin)
        terminate(admin)
        blocker.rollback()
        assert len(answer.result(60)) == 10


def test_a_write_whose_statement_was_terminated_has_an_unknown_outcome(
    store: VectorStore, admin: psycopg.Connection, postgres_url: str, namespace: str
) -> None:
    with ThreadPoolExecutor(1) as threads, blocked(postgres_url, namespace, "ACCESS EXCLUSIVE") as blocker:
        answer = threads.submit(store.upsert, batch(2))
        wait_until_waiting(admin)
        terminate(admin)
        blocker.rollback()
        with pytest.raises(UnknownOutcome):
            answer.result(60)
    assert store.upsert(batch(2)) == 20
    assert numbers(read_stored_ids(postgres_url, namespace, "a")) == {1, 2}


def test_the_lock_of_a_killed_builder_is_free(
    store: VectorStore, admin: psycopg.Connection, postgres_url: str, namespace: str
) -> None:
    with open_database(postgres_url, namespace) as other:
        backend, uid = store._backend, store._backend.find(name="a").uid
        builder = backend.builder(uid)
        builder.__enter__()
        terminate(admin)
        other.rebuild("a", schema=schema())  # as the other one's lock is gone
        with pytest.raises(BackendUnavailable):
            builder.__exit__(None, None, None)
        assert other.open("a").count() == 20
    assert store.count() == 20
