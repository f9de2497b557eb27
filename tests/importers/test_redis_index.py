"""Indexes that redisvl and langchain-redis made."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator

import numpy as np
import pytest
import redis

from servers.redis.own_server import OwnServer
from tests.cli.conftest import Run
from vecstore import BackendUnavailable, Database, InvalidArgument, InvalidUrl, Metric
from vecstore.importers import RedisIndex, import_records

from .answers import SAMPLES, check_nearest, check_records, read_nearest, refusing
from .records import COUNT, DIM, make_metadata
from .redis_with_json import run_server_with_json

KEYS = ("lang", "year", "price")
METADATA = [{key: make_metadata(number)[key] for key in KEYS} for number in range(COUNT)]


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with run_server_with_json() as server:
        with redis.Redis.from_url(server.url) as client:
            fill(client)
        yield server


def fill(client: redis.Redis) -> None:
    """Store what the libraries stored, byte by byte."""
    sample = json.loads(gzip.decompress((SAMPLES / "redis.json.gz").read_bytes()))
    for command in sample["made"]:
        client.execute_command(*command)
    for each in sample["keys"]:
        key = base64.b64decode(each["key"])
        if "json" in each:
            client.execute_command("JSON.SET", key, "$", each["json"])
        else:
            client.hset(key, items=[base64.b64decode(part) for pair in each["hash"] for part in pair])


def test_hashes_of_redisvl(server: OwnServer, db: Database) -> None:
    done = import_records(db, "docs", RedisIndex(server.url, "hashes"))
    assert (done.records, done.metric, done.dim, done.left_out, done.notes) == (COUNT, Metric.COSINE, DIM, (), ())
    check_records(db.open("docs"), [{**each, "note": f"note {number}"} for number, each in enumerate(METADATA)])
    check_nearest(db.open("docs"), read_nearest("redis")["hashes"])


def test_documents_of_redisvl(server: OwnServer, db: Database) -> None:
    done = import_records(db, "docs", RedisIndex(server.url, "documents"))
    assert (done.records, done.metric, done.left_out) == (COUNT, Metric.L2, ())
    more = [{"nested": {"deep": [1, None]}, "draft": number % 2 == 0} for number in range(COUNT)]
    check_records(db.open("docs"), [{**each, **more[number]} for number, each in enumerate(METADATA)])
    check_nearest(db.open("docs"), read_nearest("redis")["documents"])


def test_documents_of_langchain(server: OwnServer, db: Database) -> None:
    done = import_records(db, "docs", RedisIndex(server.url, "langchain"))
    assert (done.records, done.metric, done.left_out) == (COUNT, Metric.COSINE, ())
    check_records(db.open("docs"), [{**each, "tags": ["x", f"y{number}"]} for number, each in enumerate(METADATA)])
    check_nearest(db.open("docs"), read_nearest("redis")["langchain"])


@pytest.mark.parametrize("kind, dtype", [("FLOAT64", "<f8"), ("FLOAT16", "<f2"), ("FLOAT32", "<f4")])
def test_types_of_vectors(server: OwnServer, db: Database, kind: str, dtype: str) -> None:
    name = f"t{kind.lower()}"
    with redis.Redis.from_url(server.url) as client:
        vector = (
            "n",
            "NUMERIC",
            "m",
            "NUMERIC",
            "v",
            "VECTOR",
            "FLAT",
            6,
            "TYPE",
            kind,
            "DIM",
            2,
            "DISTANCE_METRIC",
            "IP",
        )
        client.execute_command("FT.CREATE", name, "ON", "HASH", "PREFIX", 1, f"{name}:", "SCHEMA", *vector)
        client.hset(
            f"{name}:a:b", mapping={"v": np.array([1.5, -2], dtype).tobytes(), "key": "own", "raw": b"\xff\xfe"}
        )
        client.hset(f"{name}:bare", mapping={"key": "x"})
        client.hset(
            f"{name}::colon", mapping={"v": np.array([2, 1], dtype).tobytes(), "n": "1_0", "m": "-1.5e1", "key": "k"}
        )
        client.hset(f"{name}:short", mapping={"v": np.array([1.5], dtype).tobytes()})
    done = import_records(db, "docs", RedisIndex(server.url, name))
    assert (done.records, {each.ids for each in done.left_out}) == (2, {("bare",), ("short",)})
    assert done.notes == ("The field 'raw' is left out where it holds bytes that are no text.",)
    record, colon = db.open("docs").get(["a:b", ":colon"])
    assert record is not None
    assert colon is not None
    assert colon.metadata == {"n": "1_0", "m": -15.0, "key": "k"}
    assert (np.asarray(record.vector).tolist(), record.metadata) == ([1.5, -2.0], {"key": "own"})
    named = import_records(db, "named", RedisIndex(server.url, name, id="key"))
    assert named.records == 2
    assert [(each.id, len(each.metadata)) for each in db.open("named").scan()] == [("k", 2), ("own", 0)]


def test_several_prefixes_are_told_apart(server: OwnServer, db: Database) -> None:
    with redis.Redis.from_url(server.url) as client:
        vector = ("v", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "L2")
        client.execute_command("FT.CREATE", "two", "ON", "HASH", "PREFIX", 2, "book:", "film:", "SCHEMA", *vector)
        for key in ("book:1", "film:1"):
            client.hset(key, mapping={"v": np.array([1, 2], np.float32).tobytes()})
    done = import_records(db, "docs", RedisIndex(server.url, "two"))
    assert (done.records, done.notes) == (2, ("The index has several prefixes, so the ids are whole keys.",))
    assert [record.id for record in db.open("docs").scan()] == ["book:1", "film:1"]


def test_what_is_not_there_is_named(server: OwnServer, db: Database, url: str, run: Run) -> None:
    with refusing(InvalidArgument, "no index 'hash'. Did you mean 'hashes'?"):
        import_records(db, "docs", RedisIndex(server.url, "hash"))
    with refusing(InvalidArgument, "no vectors 'embeding'. Did you mean 'embedding'?"):
        import_records(db, "docs", RedisIndex(server.url, "hashes", vector="embeding"))
    with refusing(InvalidUrl, "The source is a Redis server"):
        import_records(db, "docs", RedisIndex("postgresql://localhost/app", "hashes"))
    with pytest.raises(BackendUnavailable) as caught:
        import_records(db, "docs", RedisIndex("redis://:hush-hush@127.0.0.1:1/0", "hashes"))
    assert "hush" not in str(caught.value)
    assert db.names() == []
    refused = run("import", url, "docs", "redis://127.0.0.1:1/0", "--from", "redisvl", "--collection", "hashes")
    assert refused.code == 3
    done = run("import", url, "docs", server.url, "--from", "langchain-redis", "--collection", "langchain", "--json")
    assert (done.code, done.json["records"]) == (0, COUNT)
