"""A network or a server that goes silent. Every call ends within its timeout and a second, with the right error."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis

import vecstore
from servers.redis.own_server import OwnServer
from tests.batches import batch, checked_answer, schema, vector_of
from tests.lateness import Lateness
from tests.proxy import Proxy, make_proxy
from tests.silence import READS, TIMEOUT, WRITES, expect_in_time, fail_all_at_once, find_watchers, join_watchers
from vecstore import BackendUnavailable, Database, ForkedStore, Timeout, UnknownOutcome, VecstoreError, VectorStore
from vecstore.backends.redis.backend import RedisBackend

from .places import add_parameters
from .stores import NAMESPACE, open_database


@pytest.fixture
def proxy(own_server: OwnServer) -> Iterator[Proxy]:
    with make_proxy(own_server.url) as proxy:
        yield proxy


@pytest.fixture
def url(own_server: OwnServer, proxy: Proxy) -> str:
    return proxy.replace_address(own_server.url)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with open_database(url, timeout=TIMEOUT) as database:
        yield database


@pytest.fixture
def store(database: Database) -> VectorStore:
    store = database.create("a", schema())
    store.upsert(batch(1))
    return store


@contextmanager
def swallow_traffic(proxy: Proxy) -> Iterator[None]:
    """Let the network drop everything."""
    proxy.swallow_everything()
    yield
    proxy.heal()


@contextmanager
def stop_process(server: OwnServer) -> Iterator[None]:
    """Stop the process of the server. Its system still accepts what is sent."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("calls, kind", [(READS, Timeout), (WRITES, UnknownOutcome)], ids=["reads", "writes"])
class TestEveryCall:
    def test_ends_in_time_without_an_answer(
        self, proxy: Proxy, url: str, calls: dict[str, Callable[[VectorStore], object]], kind: type[VecstoreError]
    ) -> None:
        fail_all_at_once(calls, lambda: open_database(url, timeout=TIMEOUT), swallow_traffic(proxy), kind)

    def test_ends_in_time_while_the_server_is_stopped(
        self, own_server: OwnServer, calls: dict[str, Callable[[VectorStore], object]], kind: type[VecstoreError]
    ) -> None:
        # The server executes the calls when it continues, so a repeated insert would find its own records.
        repeatable = {name: call for name, call in calls.items() if name != "insert"}
        fail_all_at_once(
            repeatable, lambda: open_database(own_server.url, timeout=TIMEOUT), stop_process(own_server), kind
        )


@pytest.mark.parametrize("call, kind", [(READS["search"], Timeout), (WRITES["upsert"], UnknownOutcome)])
def test_an_answer_that_arrives_byte_by_byte_ends_in_time(
    own_server: OwnServer,
    proxy: Proxy,
    store: VectorStore,
    call: Callable[[VectorStore], object],
    kind: type[VecstoreError],
) -> None:
    """Each byte arrives within the timeout of the driver, which starts again with each byte."""
    call(store)
    before = proxy.forwarded["client"]
    call(store)
    request, pause = proxy.forwarded["client"] - before, threading.Event()
    with ThreadPoolExecutor(1) as threads:
        with stop_process(own_server):
            answer = threads.submit(call, store)
            while proxy.forwarded["client"] < before + 2 * request:
                assert not answer.done()
                pause.wait(0.001)  # the proxy is a thread of this process
            proxy.delay(TIMEOUT / 5, chunk=1)
        with expect_in_time(kind):
            answer.result()
    proxy.heal()
    call(store)
    checked_answer(store, 1)


def test_connecting_ends_in_time_wherever_the_server_falls_silent(own_server: OwnServer) -> None:
    def connect(kept: int) -> None:
        with make_proxy(own_server.url) as proxy:
            proxy.cut_after(server_bytes=kept, fate="hole")
            with Lateness() as lateness:
                with pytest.raises((Timeout, BackendUnavailable)):
                    vecstore.connect(add_parameters(proxy.replace_address(own_server.url), timeout=TIMEOUT))
                assert lateness.undisturbed() < TIMEOUT + 1

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(connect, [0, 10, 200, 700, 2_000]))


def test_connecting_to_a_stopped_server_ends_in_time(own_server: OwnServer) -> None:
    for url in (own_server.url, own_server.socket_url):
        with stop_process(own_server), expect_in_time(Timeout, BackendUnavailable):
            vecstore.connect(add_parameters(url, timeout=TIMEOUT))


def test_catalogue_changes_without_an_answer_have_an_unknown_outcome(
    proxy: Proxy, database: Database, own_server: OwnServer
) -> None:
    database.create("a", schema())
    calls: list[Callable[[], object]] = [
        lambda: database.create("b", schema()),
        lambda: database.rename("a", "c"),
        lambda: database.drop("a"),
    ]
    for call in calls:
        with swallow_traffic(proxy), expect_in_time(UnknownOutcome, Timeout):
            call()
    assert database.names() == ["a"]
    before = proxy.forwarded["client"]
    database.create("b", schema())
    sent = proxy.forwarded["client"] - before
    proxy.cut_after(client_bytes=sent, fate="hole")  # the request passes, the answer does not
    with expect_in_time(UnknownOutcome):
        database.create("c", schema())
    proxy.heal()
    with open_database(own_server.url) as direct:
        assert direct.names() == ["a", "b", "c"]


def test_the_timeout_holds_for_the_applications_own_client(proxy: Proxy, url: str) -> None:
    """The client has no timeout and retries by itself."""
    with redis.Redis.from_url(url, protocol=3) as client:
        options = {"namespace": NAMESPACE, "timeout": str(TIMEOUT)}
        with Database(RedisBackend.adopt(client, options)) as database:
            store = database.create("a", schema())
            store.upsert(batch(1))
            calls: list[tuple[Callable[[], object], type[VecstoreError]]] = [
                (lambda: store.upsert(batch(2)), UnknownOutcome),
                (lambda: store.search(vector_of(1)), Timeout),
            ]
            for call, kind in calls:
                with swallow_traffic(proxy), expect_in_time(kind):
                    call()
                assert store.upsert(batch(2)) == 20
        assert client.ping()


def test_an_exhausted_pool_is_reported(own_server: OwnServer) -> None:
    with open_database(own_server.url, pool_size=4, timeout=TIMEOUT) as database:
        store = database.create("a", schema())
        store.upsert(batch(1))
        client = store._backend._client  # type: ignore[attr-defined]
        with client.hold_connection(), client.hold_connection(), client.hold_connection(), client.hold_connection():
            for call in (lambda: store.upsert(batch(2)), lambda: store.search(vector_of(1))):
                with expect_in_time(Timeout, word="pool_size"):
                    call()
        assert store.count() == 20


def test_one_thread_watches_and_ends_with_the_database(own_server: OwnServer) -> None:
    before = find_watchers()
    with open_database(own_server.url, timeout=TIMEOUT) as database:
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


def test_the_thread_of_a_forgotten_database_ends(own_server: OwnServer) -> None:
    before = find_watchers()
    database = vecstore.connect(add_parameters(own_server.url, timeout=TIMEOUT))
    ours = find_watchers() - before
    assert len(ours) == 1
    del database
    join_watchers(ours)


def test_closed_connections_leave_no_descriptors(proxy: Proxy, store: VectorStore) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    store.count()
    before = count()
    for _ in range(10):
        proxy.cut()
        store.count()
    assert count() <= before + 2  # the proxy's sockets are in this process too


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_refused_and_its_parent_continues(proxy: Proxy, store: VectorStore) -> None:
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
    with swallow_traffic(proxy), expect_in_time(Timeout):
        store.count()
