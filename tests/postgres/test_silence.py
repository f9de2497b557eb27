"""A network that goes silent: each call ends within its timeout plus a second and reports the outcome, if known."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import create_engine, text

import vecstore
from tests.batches import batch, checked_answer, schema
from tests.lateness import Lateness
from tests.proxy import Proxy, make_proxy
from tests.silence import READS, TIMEOUT, WRITES, expect_in_time, fail_all_at_once, find_watchers, join_watchers
from vecstore import HNSW, Database, ForkedStore, Timeout, UnknownOutcome, VecstoreError, VectorStore
from vecstore.backends.postgres.backend import PostgresBackend

from .catalogues import format_statement
from .stores import add_parameters, open_database, prepare_namespace, read_stored_ids


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    with make_proxy(postgres_url) as proxy:
        yield proxy


@pytest.fixture
def database(postgres_url: str, namespace: str, proxy: Proxy) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(proxy.replace_address(postgres_url), namespace, timeout=TIMEOUT) as database:
        yield database


@contextmanager
def swallowing(proxy: Proxy) -> Iterator[None]:
    """Make the network lose everything."""
    proxy.swallow_everything()
    yield
    proxy.heal()


@pytest.mark.usefixtures("store")
def test_reads_without_an_answer_time_out(proxy: Proxy, postgres_url: str, namespace: str) -> None:
    url = proxy.replace_address(postgres_url)
    fail_all_at_once(READS, lambda: open_database(url, namespace, timeout=TIMEOUT), swallowing(proxy), Timeout)


@pytest.mark.usefixtures("store")
def test_writes_without_an_answer_have_an_unknown_outcome(proxy: Proxy, postgres_url: str, namespace: str) -> None:
    url = proxy.replace_address(postgres_url)
    fail_all_at_once(WRITES, lambda: open_database(url, namespace, timeout=TIMEOUT), swallowing(proxy), UnknownOutcome)


def test_the_outcome_of_a_commit_without_an_answer_is_unknown(
    proxy: Proxy, database: Database, namespace: str, postgres_url: str
) -> None:
    database.create("a", schema())
    before = proxy.forwarded["client"]
    database.create("b", schema())
    sent = proxy.forwarded["client"] - before
    proxy.cut_after(client_bytes=sent, fate="hole")  # the COMMIT passes, what the server says does not
    with expect_in_time(UnknownOutcome):
        database.create("c", schema())
    proxy.heal()
    with open_database(postgres_url, namespace) as direct:
        assert direct.names() == ["a", "b", "c"]


def test_a_transaction_that_falls_silent_before_its_commit_has_done_nothing(proxy: Proxy, database: Database) -> None:
    database.create("a", schema())
    proxy.cut_after(server_bytes=20, fate="hole")
    with expect_in_time(Timeout):
        database.create("b", schema())
    proxy.heal()
    assert database.names() == ["a"]


def test_connecting_ends_in_time_wherever_the_server_falls_silent(postgres_url: str, namespace: str) -> None:
    def connect(kept: int) -> None:
        with make_proxy(postgres_url) as proxy:
            proxy.cut_after(server_bytes=kept, fate="hole")
            with Lateness() as lateness:
                with pytest.raises(Timeout):
                    vecstore.connect(add_parameters(proxy.replace_address(postgres_url), namespace, timeout=2))
                assert lateness.undisturbed() < 3

    prepare_namespace(postgres_url, namespace)
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(connect, [0, 200, 700, 1_000, 1_400]))


def test_a_statement_in_the_callers_transaction_ends_in_time(
    proxy: Proxy, store: VectorStore, postgres_url: str, namespace: str
) -> None:
    engine = create_engine(proxy.replace_address(postgres_url).replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        store.using(connection).upsert(batch(2))
        proxy.swallow_everything()
        with expect_in_time(Timeout):  # nothing is committed before the caller's COMMIT
            store.using(connection).upsert(batch(4))
        proxy.heal()
        connection.rollback()
        store.using(connection).upsert(batch(5))
        connection.commit()
    engine.dispose()
    assert {id_[:6] for id_ in read_stored_ids(postgres_url, namespace, "a")} == {"b00001", "b00005"}


def test_the_applications_own_engine_is_limited_too(proxy: Proxy, postgres_url: str, namespace: str) -> None:
    prepare_namespace(postgres_url, namespace)
    engine = create_engine(proxy.replace_address(postgres_url).replace("postgresql:", "postgresql+psycopg:"))
    options = {"namespace": namespace, "timeout": str(TIMEOUT)}
    with Database(PostgresBackend.adopt(engine, options)) as database:
        store = database.create("a", schema())
        store.upsert(batch(1))
        calls: list[tuple[Callable[[], object], type[VecstoreError]]] = [
            (lambda: store.upsert(batch(2)), UnknownOutcome),
            (store.count, Timeout),
        ]
        for call, kind in calls:
            proxy.swallow_everything()
            with expect_in_time(kind):
                call()
            proxy.heal()
            assert store.upsert(batch(2)) == 20
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_a_slow_server_is_cut_off_by_its_own_timeout(store: VectorStore, postgres_url: str, namespace: str) -> None:
    with psycopg.connect(postgres_url) as blocker:
        [(generation,)] = blocker.execute(
            format_statement("SELECT active FROM {}.vecstore_store", namespace)
        ).fetchall()
        blocker.execute(format_statement("LOCK TABLE {}.{} IN ACCESS EXCLUSIVE MODE", namespace, generation))
        with expect_in_time(Timeout):
            store.count()
    checked_answer(store, 1)


def test_an_index_may_take_longer_to_build_than_a_call(database: Database, postgres_url: str, namespace: str) -> None:
    store = database.create("a", schema(HNSW(m=4, ef_construction=8)))
    store.insert([record for number in range(3) for record in batch(number)])
    with psycopg.connect(postgres_url) as blocker:
        [(generation,)] = blocker.execute(
            format_statement("SELECT active FROM {}.vecstore_store", namespace)
        ).fetchall()
        blocker.execute(format_statement("LOCK TABLE {}.{} IN ROW EXCLUSIVE MODE", namespace, generation))
        building = threading.Thread(target=store.reindex)
        building.start()
        building.join(TIMEOUT + 1)
        assert building.is_alive()
        assert store.index_status().state == "ready"  # the one that is being replaced
    building.join(60)
    assert not building.is_alive()
    assert store.index_status().state == "ready"


def test_one_thread_watches_and_ends_with_the_database(postgres_url: str, namespace: str) -> None:
    prepare_namespace(postgres_url, namespace)
    before = find_watchers()
    with open_database(postgres_url, namespace) as database:
        store = database.create("a", schema())
        store.upsert(batch(1))
        callers = [threading.Thread(target=store.count) for _ in range(5)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        ours = find_watchers() - before
        assert len(ours) == 1
    join_watchers(ours)


def test_descriptors_go_with_their_connections(proxy: Proxy, store: VectorStore) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    store.count()
    before = count()
    for _ in range(10):
        proxy.cut()
        store.count()
    assert count() <= before + 2  # the proxy's ends are in this process too


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_refused_and_its_parent_goes_on(proxy: Proxy, store: VectorStore) -> None:
    store.count()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.count()
        except ForkedStore:
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert store.count() == 20
    proxy.swallow_everything()
    with expect_in_time(Timeout):
        store.count()
