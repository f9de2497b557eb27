"""Keys that another program changed: what the errors advise mends the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest
import redis

import vecstore
from servers.redis.own_server import OwnServer
from vecstore import Database, Record, Schema, StorageError, StoreNotFound, VectorStore, fields
from vecstore.backends.redis import generation_guard

from .places import wipe
from .stores import load_generation

SCHEMA = Schema(dim=2, metric="l2", fields={"year": fields.Int()}, dynamic=True)
RECORDS = [Record(id_, [number, 0], f"text {id_}", {"year": number, "note": id_}) for number, id_ in enumerate("abc")]

Damage = Callable[[redis.Redis, str], object]
"""Takes the prefix of the records' keys."""
DAMAGES: Mapping[str, Damage] = MappingProxyType(
    {
        "deleted": lambda admin, prefix: admin.delete(f"{prefix}b"),
        "expired": lambda admin, prefix: admin.pexpire(f"{prefix}b", 1),
        "two gone": lambda admin, prefix: admin.delete(f"{prefix}a", f"{prefix}b"),
        "gained": lambda admin, prefix: admin.hset(f"{prefix}stranger", "name", "x"),
        "gained and gone": lambda admin, prefix: (admin.delete(f"{prefix}b"), admin.hset(f"{prefix}z", "name", "x")),
        "vector gone": lambda admin, prefix: admin.hdel(f"{prefix}b", "vector"),
        "field gone": lambda admin, prefix: admin.hdel(f"{prefix}b", "f_year"),
        "tokens gone": lambda admin, prefix: admin.hdel(f"{prefix}b", "keys"),
        "metadata changed": lambda admin, prefix: admin.hset(f"{prefix}b", "extra", '{"note":"c"}'),
        "id gone": lambda admin, prefix: admin.hdel(f"{prefix}b", "id"),
        "limited in time": lambda admin, prefix: admin.expire(f"{prefix}b", 10_000),
        "another type": lambda admin, prefix: (admin.delete(f"{prefix}b"), admin.set(f"{prefix}b", "text")),
    }
)


def mend(store: VectorStore, admin: redis.Redis, by: str) -> None:
    """Do what each problem that verify names says: write the record again or delete it, or remove the key."""
    for problem in store.verify().problems:
        if found := re.fullmatch(r"key '(.*)' is no record of the store: remove it \(DEL\)", problem):
            admin.delete(found[1])
            continue
        found = re.fullmatch(r"record '(.*?)' .*: write it again(, or delete it)?", problem)
        assert found, problem
        if by == "delete" and found[2]:
            store.delete(ids=[found[1]])
        else:
            store.upsert([record for record in RECORDS if record.id == found[1]])


@pytest.mark.parametrize("by", ["upsert", "delete"])
@pytest.mark.parametrize("kind", DAMAGES)
def test_following_the_advice_mends_the_store(
    redis_url: str, namespace: str, admin: redis.Redis, kind: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vecstore.connect(redis_url) as db:
        store = db.create("docs", SCHEMA)
        store.insert(RECORDS)
        DAMAGES[kind](admin, f"{namespace}:rec:{load_generation(admin, 'docs', namespace)}:")
        while kind == "expired" and admin.exists(f"{namespace}:rec:{load_generation(admin, 'docs', namespace)}:b"):
            pass
        with monkeypatch.context() as patch:
            # Between two looks whether the server has counted all records. Some are gone for good.
            patch.setattr(generation_guard, "_PAUSE_BETWEEN_COUNTS", 0.005)
            check_advice(redis_url)
        assert not store.verify().ok
        mend(store, admin, by)
    with vecstore.connect(redis_url) as db:
        check_whole(db)


def check_advice(url: str) -> None:
    """A new connection, which has not checked the index yet, searches and reindexes, or says what `mend` does."""
    with vecstore.connect(url) as db:
        store = db.open("docs")
        for call in (lambda: store.search([0, 0], k=3), store.reindex, lambda: store.search([0, 0], k=3)):
            try:
                call()
            except StorageError as error:
                assert re.search(r"verify\(\) names.*upsert\(\) or delete\(ids=…\)", str(error)), error  # noqa: PT017


def check_whole(db: Database) -> None:
    store = db.open("docs")
    assert store.verify().ok
    left = {record.id for record in store.scan()}
    assert {hit.id for hit in store.search([0, 0], k=3)} == left
    assert store.count() == len(left)
    store.reindex()
    assert {hit.id for hit in store.search([0, 0], k=3)} == left


def test_an_index_that_was_dropped(redis_url: str, namespace: str, admin: redis.Redis) -> None:
    with vecstore.connect(redis_url) as db:
        store = db.create("docs", SCHEMA)
        store.insert(RECORDS)
        [name] = [each for each in admin.execute_command("FT._LIST") if each.startswith(f"{namespace}:".encode())]
        admin.execute_command("FT.DROPINDEX", name)
        with pytest.raises(StorageError, match=r"reindex\(\)"):
            store.search([0, 0], k=1)
        assert store.verify().problems == ("the search index is missing: reindex()",)
        store.reindex()
        check_whole(db)


def test_a_server_that_was_emptied(redis_url: str, namespace: str, admin: redis.Redis) -> None:
    """As by FLUSHALL, or a failover to an empty server: no answer comes from memory."""
    with vecstore.connect(redis_url) as db:
        store = db.create("docs", SCHEMA)
        store.insert(RECORDS)
        store.search([0, 0], k=1)
        wipe(admin, namespace)
        for call in (lambda: store.search([0, 0], k=1), store.count, lambda: store.upsert(RECORDS), store.verify):
            with pytest.raises(StoreNotFound):
                call()
        assert db.names() == []
        assert list(admin.scan_iter(match=f"{namespace}:*")) == []
        db.create("docs", SCHEMA).insert(RECORDS[:1])
        with pytest.raises(StoreNotFound):
            store.count()


@pytest.mark.parametrize("command", ["ft.search", "hmget", "evalsha", "zrangebylex"])
def test_a_refusal_names_the_rule_that_grants_it(own_server: OwnServer, command: str) -> None:
    with vecstore.connect(own_server.url) as db:
        db.create("docs", SCHEMA).insert(RECORDS)
    with own_server.connect() as client:
        client.execute_command("ACL", "SETUSER", "clerk", "on", ">secret", "~*", "+@all")
        with vecstore.connect(own_server.make_url("clerk", "secret")) as db:
            store = db.open("docs")
            client.execute_command("ACL", "SETUSER", "clerk", f"-{command}")
            calls = (lambda: store.search([0, 0], k=3), lambda: store.upsert(RECORDS), lambda: [*store.scan()])
            refusals = [error for call in calls if (error := find_refusal(call))]
            assert refusals
            for error in refusals:
                assert f"run {command.upper()}" in error
                rule = re.search(r"(ACL SETUSER clerk \+\S+)", error)
                assert rule, error
                client.execute_command(*rule[1].split())
            for call in calls:
                call()


def test_a_refused_key_names_the_pattern(own_server: OwnServer) -> None:
    with vecstore.connect(own_server.url) as db:
        db.create("docs", SCHEMA)
    with own_server.connect() as client:
        client.execute_command("ACL", "SETUSER", "clerk", "on", ">secret", "~other:*", "+@all")
    with pytest.raises(StorageError, match=r"ACL SETUSER \S+ ~<namespace>:\*"):
        vecstore.connect(own_server.make_url("clerk", "secret"))


def find_refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except StorageError as error:
        return str(error)
    return ""


def test_verify_walks_over_all_keys_only_where_the_index_has_strangers(
    own_server: OwnServer,
) -> None:
    """The server counts commands, and others use the shared one."""

    def count_scans() -> int:
        return int(admin.info("commandstats").get("cmdstat_scan", {"calls": 0})["calls"])

    with own_server.connect() as admin, vecstore.connect(own_server.url) as db:
        store = db.create("docs", SCHEMA)
        store.insert(RECORDS)
        before = count_scans()
        assert store.verify().ok
        assert count_scans() == before
        admin.hset(f"vecstore:rec:{load_generation(admin, 'docs', 'vecstore')}:stranger", mapping={"other": "a"})
        assert not store.verify().ok
        assert count_scans() > before
