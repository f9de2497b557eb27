"""Faults that a server does not report, and how vecstore detects them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import redis

import vecstore
from servers.ports import reserve_port
from servers.redis.own_server import OwnServer
from vecstore import (
    ALL,
    HNSW,
    Database,
    F,
    Flat,
    IndexNotReady,
    InvalidUrl,
    Record,
    Schema,
    StorageFailed,
    StoreCorrupt,
    StoreNotFound,
    Unsupported,
    VectorStore,
    fields,
)
from vecstore.backends.redis.catalogue import Catalogue

CANARY = "hunter2-canary"
SCHEMA = Schema(dim=2, metric="l2", index=Flat(), fields={"year": fields.Int(), "tags": fields.Keywords()})


def make_records(count: int) -> list[Record]:
    return [Record(f"r{number:04}", [number, 1], f"text {number}", {"year": number}) for number in range(count)]


@pytest.fixture
def db(redis_url: str) -> Iterator[Database]:
    with vecstore.connect(f"{redis_url}&index_min_rows=32") as db:
        yield db


@pytest.fixture
def store(db: Database) -> VectorStore:
    store = db.create("docs", SCHEMA)
    store.insert(make_records(100))
    return store


def find_index(admin: redis.Redis, namespace: str) -> str:
    [found] = [name.decode() for name in admin.execute_command("FT._LIST") if name.startswith(namespace.encode())]
    return str(found)


def find_key(admin: redis.Redis, namespace: str, id_: str) -> str:
    [found] = admin.scan_iter(f"{namespace}:rec:*:{id_}", count=10_000)
    return str(found.decode())


def test_a_hash_that_the_index_refuses_is_named(store: VectorStore, admin: redis.Redis, namespace: str) -> None:
    """HSET accepts a vector of any length, and then no search finds the record."""
    admin.hset(find_key(admin, namespace, "r0007"), "vector", b"short")
    assert store.verify().problems[0] == ("record 'r0007' was changed by another program: write it again, or delete it")
    assert "record 'r0007' is not in the index: write it again" in store.verify().problems
    with pytest.raises(StoreCorrupt, match="'r0007'"):
        store.get(["r0007"])
    store.upsert(make_records(8)[7:])
    assert store.verify().ok
    assert len(store.search([0, 1], 100)) == 100


def test_a_new_connection_does_not_trust_an_index_that_misses_records(
    store: VectorStore, admin: redis.Redis, namespace: str, redis_url: str
) -> None:
    admin.hset(find_key(admin, namespace, "r0007"), "year", "many")  # not an attribute of vecstore, so harmless
    with vecstore.connect(redis_url) as other:
        assert len(other.open("docs").search([0, 1], 100)) == 100
    admin.hset(find_key(admin, namespace, "r0007"), "f_year", "many")
    with (
        vecstore.connect(redis_url) as other,
        pytest.raises(StoreCorrupt, match="99 hashes but the store has 100 records"),
    ):
        other.open("docs").search([0, 1], 100)


def test_a_write_that_the_index_refuses_is_an_error(store: VectorStore, admin: redis.Redis, namespace: str) -> None:
    index, prefix = find_index(admin, namespace), find_key(admin, namespace, "r0007").removesuffix("r0007")
    admin.execute_command("FT.DROPINDEX", index)
    vector = ["VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", 3, "DISTANCE_METRIC", "L2"]
    attributes = ["has", "TAG", "id", "TAG", "f_year", "NUMERIC", "vector", *vector]
    admin.execute_command("FT.CREATE", index, "PREFIX", 1, prefix, "SCHEMA", *attributes)
    with pytest.raises(StorageFailed, match="The write is made, but record 'new' is not in the index"):
        store.upsert([Record("new", [1, 2])])
    store.reindex()
    assert store.search([1, 2], 1)[0].id == "new"


def test_a_dropped_index_is_reported_and_rebuilt(store: VectorStore, admin: redis.Redis, namespace: str) -> None:
    admin.execute_command("FT.DROPINDEX", find_index(admin, namespace))
    for call in (lambda: store.search([0, 1]), lambda: store.count(F.year == 1), lambda: store.delete(where=ALL)):
        with pytest.raises(IndexNotReady, match=r"reindex\(\) to rebuild it"):
            call()
    assert store.index_status().state == "invalid"
    assert store.verify().problems[0] == "the search index is missing: reindex()"
    assert store.get(["r0001"])[0] is not None
    store.reindex()
    assert store.verify().ok
    assert [hit.id for hit in store.search([41, 1], 1)] == ["r0041"]


def test_a_flushed_store_is_not_found(store: VectorStore, admin: redis.Redis, namespace: str) -> None:
    for key in admin.scan_iter(f"{namespace}:*", count=10_000):
        admin.delete(key)
    with pytest.raises(StoreNotFound):
        store.search([0, 1])


def test_scripts_that_the_server_forgot_are_sent_again(store: VectorStore, admin: redis.Redis) -> None:
    admin.script_flush()
    assert store.upsert(make_records(3)) == 3
    admin.script_flush()
    assert store.count(F.year < 3) == 3
    admin.script_flush()
    assert store.delete(where=F.year < 3) == 3


def test_a_foreign_key_is_reported(db: Database, store: VectorStore, admin: redis.Redis, namespace: str) -> None:
    admin.hset(find_key(admin, namespace, "r0007").removesuffix("r0007") + "stranger", mapping={"has": "a"})
    assert store.count() == 100
    assert "stranger' is no record of the store: remove it (DEL)" in store.verify().problems[0]
    admin.set(f"{namespace}:names", "a string")
    with pytest.raises(StoreCorrupt, match="namespace"):
        db.names()


def test_a_foreign_key_in_place_of_a_record_is_refused(store: VectorStore, admin: redis.Redis, namespace: str) -> None:
    """A batch that meets it is refused as a whole. In place of a record, a write or a delete repairs it."""
    prefix = find_key(admin, namespace, "r0007").removesuffix("r0007")
    admin.set(f"{prefix}r0050x", "a string")
    for write in (store.upsert, store.insert):
        with pytest.raises(StoreCorrupt, match="namespace"):
            write([Record(f"r{number:04}x", [number, 1]) for number in range(40, 60)])
    assert (store.count(), len(store.search([0, 1], 200))) == (100, 100)
    admin.delete(f"{prefix}r0007")
    admin.set(f"{prefix}r0007", "a string")
    with pytest.raises(StoreCorrupt, match="namespace"):
        store.update(ids=["r0006", "r0007", "r0008"], metadata={"year": 1})
    assert store.count(F.year == 1) == 1
    assert store.upsert(make_records(9)) == 9
    admin.delete(f"{prefix}r0050x")
    assert store.verify().ok
    admin.set(f"{prefix}r0007", "a string")
    assert store.delete(ids=["r0006", "r0007"]) == 2
    assert store.verify().ok


def test_a_layout_of_a_newer_vecstore_is_refused(
    store: VectorStore, admin: redis.Redis, namespace: str, redis_url: str
) -> None:
    assert admin.get(f"{namespace}:format") == b"1"
    admin.set(f"{namespace}:format", "3")
    with pytest.raises(Unsupported, match="newer vecstore"):
        vecstore.connect(redis_url)
    assert store.count() == 100


def test_namespaces_with_a_common_prefix_are_separate(redis_url: str, namespace: str) -> None:
    with vecstore.connect(redis_url) as one, vecstore.connect(redis_url.replace(namespace, f"{namespace}_b")) as other:
        for db, count in ((one, 3), (other, 5)):
            db.create("docs", SCHEMA).insert(make_records(count))
        assert (one.open("docs").count(ALL), other.open("docs").count(ALL)) == (3, 5)
        other.drop("docs")
        assert len(one.open("docs").search([0, 1], 10)) == 3


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_tiny_and_huge_vectors_keep_their_order(db: Database, metric: str) -> None:
    """The engine computes 1 - a·b in float32, which is the same for all tiny vectors."""
    lengths = 10.0 ** np.arange(-14, 14, 2)
    store = db.create("docs", Schema(dim=2, metric=metric, index=Flat()))
    store.insert(Record(f"r{number:02}", [length, length / (number + 2)]) for number, length in enumerate(lengths))
    for length in (1e-14, 1.0, 1e14):
        hits = store.search([length, 0.0], 20)
        assert len(hits) == len(lengths)
        if metric == "ip":
            assert [hit.id for hit in hits] == sorted((hit.id for hit in hits), reverse=True)
            assert [hit.score for hit in hits] == pytest.approx((length * lengths[::-1]).tolist(), rel=1e-5)
        if metric == "cosine":
            assert [hit.id for hit in hits] == sorted((hit.id for hit in hits), reverse=True)


def test_removed_records_take_no_memory_and_no_place_among_hits(
    db: Database, admin: redis.Redis, namespace: str
) -> None:
    store = db.create("docs", Schema(dim=2, metric="l2", index=HNSW(m=4, ef_construction=16), fields=SCHEMA.fields))
    for _ in range(4):
        store.upsert(make_records(200))
        assert store.delete(where=F.year >= 100) == 100
        assert len(store.search([150, 1], 200, ef=200)) == 100
    db.rebuild("docs", schema=SCHEMA)
    db.drop_previous("docs")
    db.drop("docs")
    assert list(admin.scan_iter(f"{namespace}:*", count=10_000)) == [f"{namespace}:format".encode()]
    assert not [name for name in admin.execute_command("FT._LIST") if name.startswith(namespace.encode())]


def test_a_drop_that_was_killed_is_finished_by_the_next_call(
    db: Database, store: VectorStore, admin: redis.Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Catalogue, "sweep", lambda self: None)
    db.drop("docs")
    monkeypatch.undo()
    assert len(list(admin.scan_iter(f"{namespace}:rec:*", count=10_000))) == 100
    db.create("other", SCHEMA)
    assert list(admin.scan_iter(f"{namespace}:rec:*", count=10_000)) == []


class TestServers:
    """Servers that are refused, or that can do less than others."""

    @pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
    def test_a_server_that_would_evict_records_is_refused(self, own_server: OwnServer, policy: str) -> None:
        with own_server.connect() as client:
            client.config_set("maxmemory-policy", policy)
        with pytest.raises(StorageFailed, match=f"{policy}.*noeviction"):
            vecstore.connect(own_server.url)

    def test_missing_rights_are_reported(self, own_server: OwnServer) -> None:
        with vecstore.connect(own_server.url) as db:
            db.create("docs", SCHEMA).insert(make_records(3))
        with own_server.connect() as client:
            client.execute_command(
                "ACL", "SETUSER", "clerk", "on", ">secret", "~*", "+@all", "-config", "-client", "-del"
            )
        with vecstore.connect(own_server.make_url("clerk", "secret")) as db:
            store = db.open("docs")
            assert "unknown" in str(store.stats().details["durability"])
            with pytest.raises(StorageFailed, match=r"run DEL.*ACL SETUSER \S+ \+del"):
                store.delete(ids=["r0001"])
            assert store.count() == 3

    def test_the_documented_rights_are_enough(self, own_server: OwnServer) -> None:
        categories = ("+@read", "+@write", "+@connection", "+@scripting", "+info", "+multi", "+exec")
        search = ("+ft.create", "+ft.search", "+ft.info", "+ft.dropindex", "+ft._list")
        with own_server.connect() as client:
            client.execute_command("ACL", "SETUSER", "app", "on", f">{CANARY}", "~mine:*", *categories, *search)
        url = f"{own_server.make_url('app', CANARY)}?namespace=mine&index_min_rows=32"
        with vecstore.connect(url) as db:
            store = db.create("docs", replace(SCHEMA, index=HNSW(m=4, ef_construction=16)))
            store.insert(make_records(100))
            assert store.search([7, 1], 1, where=F.year < 50)[0].id == "r0007"
            assert store.update(where=F.year == 3, metadata={"note": 1}) == store.delete(where=F.year == 3) == 1
            assert db.rebuild("docs", schema=SCHEMA).records == 99
            assert store.verify().ok
            assert store.stats().records == 99
            db.drop("docs")

    def test_a_replica_is_read_only(self, own_server: OwnServer, server_folder: Path) -> None:
        with vecstore.connect(own_server.url) as db:
            db.create("docs", SCHEMA).insert(make_records(3))
        with own_server.make_replica(server_folder.parent / "replica") as replica, vecstore.connect(replica.url) as db:
            assert db.capabilities.read_only
            with pytest.raises(Unsupported, match="read-only"):
                db.drop("docs")

    def test_a_cluster_is_refused(self, server_folder: Path) -> None:
        settings = {"cluster-enabled": "yes", "cluster-port": str(reserve_port())}
        with OwnServer(server_folder, settings) as server, pytest.raises(Unsupported, match="a cluster"):
            vecstore.connect(server.url)

    def test_a_wrong_password_is_not_in_the_message(self, own_server: OwnServer) -> None:
        with pytest.raises(vecstore.BackendUnavailable, match="password") as caught:
            vecstore.connect(own_server.make_url("default", CANARY))
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "url, said",
    [
        ("redis:localhost", "redis://user:password@host:6379/0"),
        ("unix:", "unix:///absolute/path"),
        ("redis://h?tiemout=3", "timeout"),
        ("redis://h?wait_aof=yes", "on or off"),
        ("redis://h?pool_size=1", "4 to 1000"),
        ("redis://h?namespace=A", "a-z"),
        ("redis://h:port/0", "redis://user:password@host:6379/0"),
        ("redis://h?db=x", "whole number"),
    ],
)
def test_urls_are_refused_before_anything_is_sent(url: str, said: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        vecstore.connect(url)
    assert said in str(caught.value)
