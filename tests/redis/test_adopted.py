"""The application's own client instead of a URL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import redis.asyncio
import redis.sentinel

import vecstore
from servers.redis.own_server import OwnServer
from tests.redis.sentinel import Sentinel
from vecstore import F, Flat, InvalidUrl, Record, Schema, Unsupported, fields

SCHEMA = Schema(dim=2, metric="l2", index=Flat(), fields={"year": fields.Int()})
RECORDS = [Record(f"é{number}", [number, 1], f"text {number}", {"year": number}) for number in range(5)]


@pytest.fixture
def client(redis_server: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server, protocol=3) as client:
        yield client


def test_a_client_is_used_and_stays_open(client: redis.Redis, redis_url: str, namespace: str) -> None:
    with vecstore.connect(client, namespace=namespace) as db:
        store = db.create("docs", SCHEMA)
        assert store.insert(RECORDS) == 5
        assert store.search([2, 1], 1, where=F.year < 4)[0].id == "é2"
    assert client.ping()
    with vecstore.connect(redis_url) as db:
        assert db.open("docs").count() == 5


def test_a_client_that_decodes_replies_works(redis_server: str, redis_url: str, namespace: str) -> None:
    with (
        redis.Redis.from_url(redis_server, protocol=3, decode_responses=True) as client,
        vecstore.connect(client, namespace=namespace) as db,
    ):
        store = db.create("docs", SCHEMA)
        store.insert(RECORDS)
        [found] = store.get(["é3"])
        assert found is not None
        assert (found.id, found.text, found.metadata) == ("é3", "text 3", {"year": 3})
        assert store.search([2, 1], 1)[0].id == "é2"
        assert client.get("nothing") is None


def test_a_subclass_of_the_client_works(redis_server: str, redis_url: str, namespace: str) -> None:
    class Ours(redis.Redis):
        """A subclass by an application."""

    with Ours.from_url(redis_server, protocol=3) as client, vecstore.connect(client, namespace=namespace) as db:
        assert db.names() == []


def test_a_client_that_cannot_report_partial_answers_is_refused(redis_server: str) -> None:
    with redis.Redis.from_url(redis_server, protocol=2) as client, pytest.raises(Unsupported, match="protocol=3"):
        vecstore.connect(client)


def test_other_kinds_of_clients_are_refused(redis_server: str) -> None:
    other = redis.asyncio.Redis.from_url(redis_server)
    with pytest.raises(InvalidUrl, match=r"redis\.asyncio.*redis\.Redis"):
        vecstore.connect(other)  # type: ignore[arg-type]
    with pytest.raises(InvalidUrl, match=r"redis\.Redis, not int"):
        vecstore.connect(7)  # type: ignore[arg-type]


def test_a_store_survives_a_failover_by_sentinel(server_folder: Path) -> None:
    """The new primary has what was acknowledged and replicated. Its index is checked before it is used."""
    parent = server_folder.parent
    with (
        OwnServer(server_folder) as primary,
        primary.make_replica(parent / "replica") as replica,
        Sentinel(parent / "sentinel", primary) as sentinel,
        redis.sentinel.Sentinel([sentinel.address]) as watchers,
    ):
        sentinel.wait_for(primary)
        client = watchers.master_for(sentinel.service, password=primary.password, protocol=3)
        with vecstore.connect(client) as db:
            store = db.create("docs", SCHEMA)
            store.insert(RECORDS)
            assert client.wait(1, 60_000) == 1
            primary.kill()
            sentinel.expect_failover()
            sentinel.wait_for(replica)
            assert store.count() == 5
            assert store.search([2, 1], 5)[0].id == "é2"
            assert store.upsert([Record("new", [9, 9])]) == 1
            assert store.search([9, 9], 1)[0].id == "new"
        client.close()
