"""Records without a vector in Redis: what their hashes hold, which layout the namespace has, what damage is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

import vecstore
from vecstore import ALL, HNSW, F, Record, Schema, Unsupported, VectorStore, fields

from .stores import load_generation

SCHEMA = Schema(dim=2, metric="l2", index=HNSW(), fields={"year": fields.Int()}, vectors="optional")


@pytest.fixture
def store(redis_url: str) -> Iterator[VectorStore]:
    """Return a store in which every other of 80 records has no vector."""
    with vecstore.connect(f"{redis_url}&index_min_rows=32") as db:
        store = db.create("docs", SCHEMA)
        store.insert(
            Record(f"r{number:03}", [number, 1] if number % 2 else None, None, {"year": number % 4})
            for number in range(80)
        )
        yield store


def find_prefix(admin: redis.Redis, namespace: str) -> str:
    return f"{namespace}:rec:{load_generation(admin, 'docs', namespace)}:"


def to_bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


def test_the_hash_has_no_vector_and_no_token_for_one(store: VectorStore, admin: redis.Redis, namespace: str) -> None:
    prefix = find_prefix(admin, namespace)
    assert admin.hget(f"{prefix}r000", "vector") is None
    assert admin.hget(f"{prefix}r000", "has") == b"a,f0"
    assert len(admin.hget(f"{prefix}r001", "vector") or b"") == 8
    assert admin.hget(f"{prefix}r001", "has") == b"a,v,f0"
    store.update(ids=["r000"], vector=[1, 1])
    store.update(ids=["r001"], vector=None)
    tokens = [to_bytes(admin.hget(f"{prefix}{id_}", "has")).split(b",") for id_ in ("r000", "r001")]
    assert [sorted(each) for each in tokens] == [[b"a", b"f0", b"v"], [b"a", b"f0"]]
    assert admin.hget(f"{prefix}r001", "vector") is None


def test_the_graph_holds_vectors_alone(store: VectorStore) -> None:
    status = store.index_status()
    assert (status.state, status.rows, status.indexed, status.without_vector) == ("ready", 80, 40, 40)
    for where in (None, F.year == 1, F.year.in_([0, 1]), ~(F.year == 1), (F.year == 3) | ~(F.id == "r001")):
        for exact in (True, False):
            hits = store.search([5, 1], k=80, where=where, exact=exact, ef=500)
            assert {int(hit.id[1:]) % 2 for hit in hits} == {1}
            assert len(hits) == len([each for each in store.scan(where) if each.vector is not None])
    store.update(where=ALL, vector=None)
    assert len(store.search([5, 1], k=80)) == 0
    assert (store.verify().problems, store.index_status().indexed) == ((), 0)


def test_few_vectors_make_no_graph(redis_url: str) -> None:
    with vecstore.connect(f"{redis_url}&index_min_rows=32") as db:
        store = db.create("docs", SCHEMA)
        store.insert(Record(f"r{number}", [number, 1] if number < 31 else None) for number in range(200))
        assert store.index_status().state == "none"
        store.update(ids=["r150"], vector=[1, 1])
        assert store.index_status().state == "ready"


def test_the_layout_rises_with_the_first_such_store_and_stays(
    redis_url: str, admin: redis.Redis, namespace: str
) -> None:
    with vecstore.connect(redis_url) as db:
        db.create("plain", replace(SCHEMA, vectors="required"))
        assert admin.get(f"{namespace}:format") == b"1"
        db.rebuild("plain", schema=SCHEMA)
        assert admin.get(f"{namespace}:format") == b"2"
        db.create("another", replace(SCHEMA, vectors="required"))
        db.drop("plain")
        assert admin.get(f"{namespace}:format") == b"2"
    with vecstore.connect(redis_url) as db:
        assert db.names() == ["another"]
    admin.set(f"{namespace}:format", "3")
    with pytest.raises(Unsupported, match="layout"):
        vecstore.connect(redis_url)


def test_a_lost_vector_is_damage(store: VectorStore, admin: redis.Redis, namespace: str) -> None:
    prefix = find_prefix(admin, namespace)
    admin.hdel(f"{prefix}r001", "vector")
    admin.hset(f"{prefix}r000", "vector", b"12345678")
    problems = store.verify().problems
    assert len(problems) == 2
    assert "'r000' was changed" in problems[0]
    assert "'r001' was changed" in problems[1]
    store.upsert([Record("r000", None, None, {"year": 0}), Record("r001", [1, 1])])
    assert store.verify().ok
