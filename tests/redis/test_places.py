"""The places of the suite, which read the layout of the keys without vecstore."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing

import numpy as np
import redis
from redis.typing import EncodableT, FieldT

from vecstore.testing import RawRecord

from .places import RedisPlace, add_parameters

KINDS = {
    "word": "keyword", "odd": "keyword", "tags": "keywords", "none": "keywords", "year": "int", "at": "datetime",
    "share": "float", "ok": "bool", "absent": "int",
}  # fmt: skip
VECTOR = np.array([1.5, -2], np.float32).tobytes()
WRITTEN: Mapping[FieldT, EncodableT] = {
    "vector": VECTOR, "text": "Grüße", "extra": '{"by": "Ada"}', "version": "3", "id": "pa", "has": "word,odd",
    "f_word": "pplain", "f_odd": "h612c42", "f_tags": "l,pone,h,pone", "f_none": "l",
    "f_year": "-9007199254740992", "f_at": "1700000000000001", "f_share": "1e-310", "f_ok": "false",
}  # fmt: skip


def write_store(client: redis.Redis, namespace: str) -> None:
    """Store one full and one minimal record in the layout of the backend."""
    client.hset(f"{namespace}:names", mapping={"docs": "u1"})
    client.hset(f"{namespace}:store:u1", mapping={"name": "docs", "active": "g1"})
    schema = json.dumps({"dim": 2, "dtype": "float32", "fields": KINDS})
    client.hset(f"{namespace}:gen:g1", mapping={"schema": schema})
    client.zadd(f"{namespace}:ids:g1", {"a": 0, "b:é": 0})
    client.hset(f"{namespace}:rec:g1:a", mapping=WRITTEN)
    client.hset(f"{namespace}:rec:g1:b:é", mapping={"vector": VECTOR, "id": "h" + "b:é".encode().hex()})
    client.execute_command(
        "FT.CREATE", f"{namespace}:index:g1:1", "PREFIX", 1, f"{namespace}:rec:g1:", "SCHEMA", "f_year", "NUMERIC"
    )


def test_a_place_reads_what_is_stored(admin: redis.Redis, redis_server: str) -> None:
    with closing(RedisPlace(redis_server)) as place:
        write_store(admin, place.namespace)
        assert place.raw("docs") == {
            "a": RawRecord(
                "Grüße",
                VECTOR,
                {
                    "by": "Ada", "word": "plain", "odd": "a,B", "tags": ("one", "", "one"), "none": (),
                    "year": -(2**53), "at": 1_700_000_000_000_001, "share": 1e-310, "ok": False,
                },
            ),
            "b:é": RawRecord(None, VECTOR, {}),
        }  # fmt: skip


def test_closing_a_place_removes_only_its_own_keys(admin: redis.Redis, redis_server: str) -> None:
    place, neighbour = RedisPlace(redis_server), RedisPlace(redis_server)
    neighbour.namespace = f"{place.namespace}1"
    with closing(neighbour):
        for each in (place, neighbour):
            write_store(admin, each.namespace)
        place.close()
        assert list(admin.scan_iter(match=f"{place.namespace}:*")) == []
        indexes = admin.execute_command("FT._LIST")
        assert f"{place.namespace}:index:g1:1".encode() not in indexes
        assert f"{neighbour.namespace}:index:g1:1".encode() in indexes
        assert len(neighbour.raw("docs")) == 2


def test_parameters_are_appended_to_those_of_the_url() -> None:
    assert add_parameters("redis://h/0", namespace="n") == "redis://h/0?namespace=n"
    assert add_parameters("unix:///s?db=1", index_min_rows=32, namespace="n").endswith(
        "?db=1&index_min_rows=32&namespace=n"
    )
