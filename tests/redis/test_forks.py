"""A forked child never uses its parent's connections, whoever opened them.

Parent and children ask different questions at the same time, so an answer that reaches the wrong process is noticed.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import MappingProxyType

import pytest
import redis
import redis.sentinel

import vecstore
from servers.redis.own_server import OwnServer
from tests.redis.sentinel import Sentinel
from vecstore import ForkedStore, VecstoreError
from vecstore.testing.forks import ask, do_in_children, fill, forked, keep_asking, read_refusal

ROUNDS = 40


def make_single(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, protocol=3, single_connection_client=True)


def make_blocking(url: str) -> redis.Redis:
    pool = redis.BlockingConnectionPool.from_url(url, protocol=3, max_connections=4)
    return redis.Redis.from_pool(pool)


CLIENTS: Mapping[str, Callable[[str], redis.Redis]] = MappingProxyType(
    {"pool": partial(redis.Redis.from_url, protocol=3), "blocking pool": make_blocking, "one connection": make_single}
)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, redis_server: str) -> Iterator[redis.Redis]:
    with CLIENTS[request.param](redis_server) as client:
        yield client


@pytest.fixture
def place(redis_url: str) -> str:
    """The URL of a namespace with a store in it."""
    with vecstore.connect(redis_url) as db:
        fill(db)
    return redis_url


def connect_and_ask(client: redis.Redis, namespace: str, asker: int) -> None:
    """Do in a child what the message of `ForkedStore` says."""
    with vecstore.connect(client, namespace=namespace) as db:
        ask(db.open("docs"), asker, ROUNDS)


def connect_or_follow_advice(client: redis.Redis, place: str, namespace: str, asker: int) -> None:
    """Where a thread was inside redis-py's pool at the fork, its lock stays held in the child."""
    try:
        connect_and_ask(client, namespace, asker)
    except ForkedStore as error:
        assert "Make another redis.Redis" in str(error)  # noqa: PT017
        work(place, asker)


def test_children_with_the_application_s_client(place: str, client: redis.Redis, namespace: str) -> None:
    with vecstore.connect(client, namespace=namespace) as db:
        store = db.open("docs")
        ask(store, 0, 3)
        do_in_children(
            [partial(connect_and_ask, client, namespace, number) for number in (1, 2, 3)],
            partial(ask, store, 0, ROUNDS),
        )


def work(url: str, asker: int) -> None:
    with vecstore.connect(url) as db:
        ask(db.open("docs"), asker, ROUNDS)


def test_children_of_a_unix_socket(own_server: OwnServer) -> None:
    url = f"{own_server.socket_url}?protocol=3"
    with redis.Redis.from_url(url) as client, vecstore.connect(client) as db:
        store = fill(db)
        do_in_children(
            [partial(connect_and_ask, client, "vecstore", 1), partial(work, own_server.socket_url, 2)],
            partial(ask, store, 0, ROUNDS),
        )


def test_children_of_a_client_of_sentinel(server_folder: Path) -> None:
    parent = server_folder.parent
    with (
        OwnServer(server_folder) as server,
        server.make_replica(parent / "replica"),
        Sentinel(parent / "sentinel", server) as sentinel,
        redis.sentinel.Sentinel([sentinel.address]) as watchers,
    ):
        sentinel.wait_for(server)
        client = watchers.master_for(sentinel.service, password=server.password, protocol=3)
        with vecstore.connect(client) as db:
            store = fill(db)
            do_in_children(
                [partial(connect_and_ask, client, "vecstore", number) for number in (1, 2)],
                partial(ask, store, 0, ROUNDS),
            )
        client.close()


def test_the_database_of_the_parent_says_what_to_do(place: str, client: redis.Redis, namespace: str) -> None:
    with vecstore.connect(client, namespace=namespace) as db, vecstore.connect(place) as other:
        stores = db.open("docs"), other.open("docs")

        def in_child() -> None:
            on_client, on_url = map(read_refusal, stores)
            assert "Call vecstore.connect(client) in the child process" in on_client
            assert on_url.endswith("Call vecstore.connect() in the child process.")
            db.close()
            other.close()
            connect_and_ask(client, namespace, 2)

        forked(in_child)
        ask(stores[0], 0, 3)
        ask(stores[1], 1, 3)


class KeepingPool(redis.ConnectionPool):
    """A pool of an application that does not notice a fork."""

    def _checkpid(self) -> None:
        pass


def test_a_pool_that_keeps_connections_of_the_parent_is_refused(place: str, redis_server: str, namespace: str) -> None:
    with (
        redis.Redis.from_pool(KeepingPool.from_url(redis_server, protocol=3)) as client,
        vecstore.connect(client, namespace=namespace) as db,
    ):
        ask(db.open("docs"), 0, 3)

        def in_child() -> None:
            with pytest.raises(ForkedStore, match=r"opened before fork.*Make another redis\.Redis"):
                vecstore.connect(client, namespace=namespace)
            with redis.Redis.from_url(redis_server, protocol=3) as another:
                connect_and_ask(another, namespace, 1)
            os._exit(0)

        forked(in_child)
        ask(db.open("docs"), 0, 3)


def test_a_pool_that_a_thread_held_at_the_fork_is_refused(place: str, redis_server: str, namespace: str) -> None:
    with (
        redis.Redis.from_url(redis_server, protocol=3) as client,
        vecstore.connect(client, namespace=namespace) as db,
    ):
        held, done = Event(), Event()

        def hold() -> None:
            with client.connection_pool._lock:
                held.set()
                done.wait(60)

        def in_child() -> None:
            with pytest.raises(ForkedStore, match=r"in use by another thread at fork.*Make another redis\.Redis"):
                vecstore.connect(client, namespace=namespace)
            with redis.Redis.from_url(redis_server, protocol=3) as another:
                connect_and_ask(another, namespace, 1)
            os._exit(0)

        thread = Thread(target=hold)
        thread.start()
        held.wait(60)
        forked(in_child)
        done.set()
        thread.join()
        ask(db.open("docs"), 0, 3)


def test_forks_while_threads_are_inside_calls(place: str, client: redis.Redis, namespace: str) -> None:
    """A write is under way in some of them."""
    with (
        vecstore.connect(client, namespace=namespace) as db,
        vecstore.connect(place) as other,
        keep_asking(db.open("docs"), 2),
        keep_asking(other.open("docs"), 2),
    ):

        def in_child() -> None:
            db.close()
            other.close()
            gc.collect()
            work(place, 1)

        for turn in range(2):
            forked(partial(connect_or_follow_advice, client, place, namespace, turn))
            forked(in_child)


def test_grandchildren(place: str, client: redis.Redis, namespace: str) -> None:
    with vecstore.connect(client, namespace=namespace) as db:
        store = db.open("docs")

        def in_child() -> None:
            with vecstore.connect(client, namespace=namespace) as own:
                mine = own.open("docs")
                ask(mine, 1, 3)

                def in_grandchild() -> None:
                    assert "fork" in read_refusal(store)
                    assert "fork" in read_refusal(mine)
                    connect_and_ask(client, namespace, 2)

                do_in_children([in_grandchild], partial(ask, mine, 1, ROUNDS))

        do_in_children([in_child], partial(ask, store, 0, ROUNDS))


def test_a_child_that_unwinds_a_call_of_its_parent_changes_nothing(
    place: str, namespace: str, admin: redis.Redis
) -> None:
    """The builder's lease belongs to a connection, on which the child must not say anything."""
    with vecstore.connect(place) as db:
        backend = db._backend
        uid = backend.find(name="docs").uid
        key = f"{namespace}:lock:build:{uid}"
        with ExitStack() as held:
            held.enter_context(backend.builder(uid))
            leases = list(admin.scan_iter(match=f"{namespace}:*{uid}*"))
            token = [admin.get(each) for each in leases if admin.type(each) == b"string"]
            assert token, key
            forked(partial(unwind, held))
            assert [admin.get(each) for each in leases if admin.type(each) == b"string"] == token
            ask(db.open("docs"), 0, 3)
        assert not [each for each in leases if admin.type(each) == b"string"]


def unwind(held: ExitStack) -> None:
    with suppress(VecstoreError):
        held.close()
