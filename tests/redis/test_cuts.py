"""Connections that break at a random byte, in either direction, during calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, get_args

import pytest
import redis

from servers.redis.own_server import OwnServer
from tests.batches import TAGS, batch, checked_answer, numbers, schema
from tests.cuts import TIMEOUT, Campaign
from tests.proxy import Fate, make_proxy
from vecstore import BackendUnavailable, Database, Timeout, UnknownOutcome
from vecstore.backends.redis.backend import RedisBackend

from .stores import NAMESPACE, open_database, read_stored_ids

CONNECTIONS = ["url", "client"]
"""Whether the Database makes the connections or uses the application's client."""


def run_campaign(server: OwnServer, connections: str, trials: int, seed: int) -> Campaign:
    with make_proxy(server.url) as proxy:
        if connections == "url":
            with open_database(proxy.replace_address(server.url), timeout=TIMEOUT) as database:
                run = Campaign.run(database, proxy, trials, seed)
        else:
            options = {"namespace": NAMESPACE, "timeout": str(TIMEOUT)}
            # Like the client of an application: without timeouts, with the retries of redis-py.
            with (
                redis.Redis.from_url(proxy.replace_address(server.url), protocol=3) as client,
                Database(RedisBackend.adopt(client, options)) as database,
            ):
                run = Campaign.run(database, proxy, trials, seed)
    with server.connect() as admin:
        assert numbers(read_stored_ids(admin, "a")) == run.acknowledged
    return run


@pytest.mark.parametrize("connections", CONNECTIONS)
def test_calls_survive_cuts(own_server: OwnServer, connections: str, seed: int) -> None:
    run = run_campaign(own_server, connections, 30, seed)
    assert run.cuts >= 15
    assert run.unknown


@pytest.mark.long
@pytest.mark.parametrize("connections", CONNECTIONS)
def test_calls_survive_many_cuts(
    own_server: OwnServer, connections: str, seed: int, note: Callable[[str], None]
) -> None:
    run = run_campaign(own_server, connections, 150, seed)
    note(f"cut connections to Redis ({connections}), seed {seed}: {run.cuts} cuts, {run.unknown} unknown outcomes")
    assert run.cuts >= 75
    assert run.unknown >= 10


@pytest.mark.parametrize("fate", get_args(Fate))
def test_a_cut_answer_is_never_taken_for_the_next_one(own_server: OwnServer, fate: Fate) -> None:
    """Cut the long answer of a search at several places. The next search must get its own answer."""
    with (
        make_proxy(own_server.url) as proxy,
        open_database(proxy.replace_address(own_server.url), timeout=TIMEOUT) as database,
    ):
        store = database.create("a", schema())
        for number in range(TAGS):
            store.upsert(batch(number))
        for place in (1, 5, 60, 700, 1_500) if fate != "hole" else (700,):
            proxy.cut_after(server_bytes=place, fate=fate)
            try:
                checked_answer(store, place)
            except (BackendUnavailable, Timeout):
                assert fate == "hole"
            proxy.heal()
            checked_answer(store, place + 1)


@pytest.mark.parametrize("kept, made", [(0, False), (300, False), (None, True)])
def test_only_a_complete_request_is_executed(own_server: OwnServer, kept: int | None, made: bool) -> None:  # noqa: FBT001
    with (
        make_proxy(own_server.url) as proxy,
        open_database(proxy.replace_address(own_server.url), timeout=TIMEOUT) as database,
    ):
        store = database.create("a", schema())
        store.upsert(batch(1))
        if kept is None:
            proxy.cut_after(server_bytes=1, fate="reset")
        else:
            proxy.cut_after(client_bytes=kept, fate="reset")
        with pytest.raises(UnknownOutcome):
            store.upsert(batch(2))
        with own_server.connect() as admin:
            assert numbers(read_stored_ids(admin, "a")) == ({1, 2} if made else {1})
        assert store.upsert(batch(2)) == 20
        assert store.count() == 40


def test_a_slow_network_changes_no_answer(own_server: OwnServer) -> None:
    with (
        make_proxy(own_server.url) as proxy,
        open_database(proxy.replace_address(own_server.url), timeout=5) as database,
    ):
        store = database.create("a", schema())
        proxy.delay(0.002, chunk=500)
        for number in range(3):
            assert store.upsert(batch(number)) == 20
            checked_answer(store, number)
        assert [record.id for record in store.scan()] == [each.id for number in range(3) for each in batch(number)]


class CutConnection(redis.Connection):
    """Breaks before the last byte of the first request that inserts."""

    lost: ClassVar = 0

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        packed = command if isinstance(command, bytes) else b"".join(command)
        if b"\r\ninsert\r\n" not in packed or CutConnection.lost:
            super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]
            return
        CutConnection.lost += 1
        super().send_packed_command([packed[:-1]], check_health)  # type: ignore[no-untyped-call]
        raise redis.ConnectionError


def test_a_write_is_not_repeated_when_only_the_search_after_it_was_cut(own_server: OwnServer) -> None:
    """A write and the search that checks the index for its records are sent together."""
    pool = redis.ConnectionPool(
        connection_class=CutConnection, port=own_server.port, password=own_server.password, protocol=3
    )
    with (
        redis.Redis.from_pool(pool) as client,
        Database(RedisBackend.adopt(client, {"namespace": NAMESPACE})) as database,
    ):
        store = database.create("a", schema())
        store.upsert(batch(1))  # reads what a write reads only once
        with pytest.raises(UnknownOutcome):
            store.insert(batch(2))
        assert CutConnection.lost == 1
        assert store.count() == 40
