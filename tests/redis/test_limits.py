"""Limits of a server: memory, rights, results, time. An answer is complete or an error, a write is whole or absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import redis

import vecstore
from servers.redis.own_server import OwnServer
from tests.batches import DIM, TAGS, batch, numbers, schema, vector_of
from vecstore import F, InvalidUrl, Record, StorageFailed, Timeout, Unsupported, VectorStore
from vecstore.backends.redis.generation_guard import GenerationGuard
from vecstore.backends.shared.deadlines import GRACE

from .stores import open_database, read_stored_ids

MANY = 20_000
HALF = MANY // 2


@pytest.fixture
def store(own_server: OwnServer) -> Iterator[VectorStore]:
    with open_database(own_server.url) as database:
        store = database.create("a", schema())
        for number in range(TAGS):
            store.upsert(batch(number))
        yield store


@contextmanager
def fill_memory(client: redis.Redis) -> Iterator[None]:
    """Limit the server to less memory than it already uses."""
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


class TestMemory:
    def test_a_full_server_refuses_whole_batches(self, own_server: OwnServer, store: VectorStore) -> None:
        with own_server.connect() as client:
            with fill_memory(client):
                with pytest.raises(StorageFailed, match="maxmemory; nothing was written"):
                    store.upsert(batch(TAGS))
                with pytest.raises(StorageFailed, match="maxmemory"):
                    store.insert(batch(TAGS))
                with pytest.raises(StorageFailed, match="maxmemory"):
                    store.update(where=F.tag == 1, metadata={"word": "x"})
                assert numbers(read_stored_ids(client, "a")) == set(range(TAGS))
                assert len(store.search(vector_of(1), k=30, where=F.word == "w1")) == 20
                assert store.get(["b00001-07"]) == [batch(1)[7]]
            assert store.upsert(batch(TAGS)) == 20
            assert numbers(read_stored_ids(client, "a")) == set(range(TAGS + 1))
            assert store.verify().problems == ()

    def test_a_server_that_fills_up_keeps_whole_batches(self, own_server: OwnServer, store: VectorStore) -> None:
        with own_server.connect() as client:
            used = int(client.info("memory")["used_memory"])
            client.config_set("maxmemory", used + 3_000_000)
            written, room = 0, True
            while room:
                records = [Record(each.id, each.vector, "x" * 2_000) for each in batch(TAGS + written)]
                try:
                    assert store.insert(records) == 20
                    written += 1
                except StorageFailed:
                    room = False
            assert numbers(read_stored_ids(client, "a")) == set(range(TAGS + written))
            client.config_set("maxmemory", 0)
        assert written > 10
        assert store.verify().problems == ()

    @pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
    def test_a_server_that_would_drop_records_is_refused(self, own_server: OwnServer, policy: str) -> None:
        with own_server.connect() as client:
            client.config_set("maxmemory-policy", policy)
            with pytest.raises(StorageFailed, match=policy):
                vecstore.connect(own_server.url)

    def test_a_volatile_policy_drops_nothing(self, own_server: OwnServer, store: VectorStore) -> None:
        with own_server.connect() as client:
            client.config_set("maxmemory-policy", "volatile-lru")
            vecstore.connect(own_server.url).close()
            with fill_memory(client), pytest.raises(StorageFailed):
                store.upsert(batch(TAGS))
        assert store.count() == len(list(store.scan())) == 20 * TAGS


class TestRights:
    @pytest.mark.parametrize("right", ["-hset", "-del", "-zadd", "-zrem", "-hdel", "-@write"])
    def test_a_user_who_lacks_a_right_writes_nothing(
        self, own_server: OwnServer, store: VectorStore, right: str
    ) -> None:
        with own_server.connect() as client:
            client.execute_command("ACL", "SETUSER", "someone", "on", ">word", "~*", "+@all", right)
        with open_database(own_server.make_url("someone", "word")) as limited:
            mine = limited.open("a")
            calls: tuple[Callable[[], object], ...] = (
                lambda: mine.upsert([*batch(1), *batch(TAGS)]),
                lambda: mine.update(where=F.tag == 1, metadata={"word": "x", "tag": 3}),
                lambda: mine.delete(ids=["b00001-00", "b00001-01"]),
            )
            for call in calls:
                with pytest.raises(StorageFailed, match="ACL does not let this user"):
                    call()
        assert list(store.scan()) == [record for number in range(TAGS) for record in batch(number)]
        assert store.verify().problems == ()


class TestResults:
    @pytest.fixture
    def few(self, server_folder: Path) -> Iterator[OwnServer]:
        with OwnServer(server_folder, module_arguments="MAXSEARCHRESULTS 10") as server:
            yield server

    def test_fewer_results_than_were_asked_for_are_an_error(self, few: OwnServer) -> None:
        with open_database(few.url) as database:
            store = database.create("a", schema())
            for number in range(TAGS):
                store.upsert(batch(number))
            calls: tuple[Callable[[], int], ...] = (
                lambda: len(store.search(vector_of(1), k=15)),
                lambda: len(store.search(vector_of(1), k=15, where=F.tag == 1)),
                lambda: min(15, store.count(F.tag == 1)),
                lambda: min(15, len(list(store.scan(F.tag == 1)))),
                lambda: min(15, store.update(where=F.tag == 1, metadata={"word": "y"})),
                lambda: min(15, store.delete(where=F.tag == 2)),
            )
            for call in calls:
                with suppress(Unsupported):
                    assert call() == 15
            with pytest.raises(Unsupported, match="MAXSEARCHRESULTS"):
                store.search(vector_of(1), k=15)
            left = numbers([record.id for record in store.scan()])
            assert left in ({*range(TAGS)}, {*range(TAGS)} - {2})
            assert [hit.id[:6] for hit in store.search(vector_of(1), k=5)] == ["b00001"] * 5


class TestTime:
    @pytest.fixture
    def crowd(self, own_server: OwnServer, rng: np.random.Generator) -> Iterator[VectorStore]:
        vectors = rng.standard_normal((MANY, DIM)).astype(np.float32)
        with open_database(own_server.url, index_min_rows=MANY + 1) as database:
            store = database.create("a", schema())
            store.insert(Record(f"{number:05}", vectors[number], None, {"tag": number % 2}) for number in range(MANY))
            yield store

    def test_a_search_that_ran_out_of_time_is_an_error(
        self, crowd: VectorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def search_nearest() -> list[str]:
            return [hit.id for hit in crowd.search(vector_of(1), k=HALF, where=F.tag == 1, include=[])]

        whole = search_nearest()
        assert len(whole) == HALF
        calls: dict[str, Callable[[], bool]] = {
            "search": lambda: search_nearest() == whole,
            "update": lambda: crowd.update(where=(F.tag == 1) & (F.word == "none"), metadata={"word": "x"}) == 0,
        }
        outcomes = set()
        for milliseconds in (1, 2, 4, 100_000):
            monkeypatch.setattr(GenerationGuard, "milliseconds", milliseconds)
            for name, call in calls.items():
                try:
                    assert call(), f"{name} in {milliseconds} ms is short"
                    outcomes.add("whole")
                except Timeout:
                    outcomes.add("late")
        assert outcomes == {"late", "whole"}

    def test_the_engine_has_more_time_than_a_call(self, own_server: OwnServer) -> None:
        """The engine does not report an incomplete count, so the call must have ended before."""
        with open_database(own_server.url, timeout=7) as database:
            guard = database._backend._reads._guard  # type: ignore[attr-defined]
            assert guard.milliseconds > 1_000 * (7 + GRACE)


class TestBusy:
    def test_a_call_waits_while_a_foreign_script_blocks_the_server(self, own_server: OwnServer) -> None:
        """The server answers BUSY to every command, including the greeting of a new connection."""
        script = "local t = redis.call('TIME') repeat local n = redis.call('TIME') until n[1] - t[1] > 1 return 1"
        with open_database(own_server.url) as database, own_server.connect() as other, ThreadPoolExecutor(1) as threads:
            store = database.create("a", schema())
            store.insert(batch(1))
            other.config_set("busy-reply-threshold", 50)
            busy = redis.Redis.from_url(own_server.url)
            running = threads.submit(busy.execute_command, "EVAL", script, 0)
            while not is_busy(own_server):
                if running.done():  # before this thread could ask
                    running = threads.submit(busy.execute_command, "EVAL", script, 0)
            assert store.count(F.tag == 1) == len(batch(1))
            with open_database(own_server.url) as another:
                assert another.open("a").upsert(batch(2)) == len(batch(2))
            assert running.result() == 1
            busy.close()


def is_busy(server: OwnServer) -> bool:
    with server.connect() as client:
        try:
            client.ping()
        except redis.ResponseError as error:
            return str(error).startswith("BUSY")
    return False


def test_a_database_that_the_server_does_not_have(redis_server: str) -> None:
    with pytest.raises(InvalidUrl, match="no database of that number"):
        vecstore.connect(f"{redis_server.partition('?')[0].rpartition('/')[0]}/99999").names()
