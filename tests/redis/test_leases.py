"""Locks that outlast a call: their holders and their ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis

import vecstore
from tests.redis.stores import load_generation
from vecstore import Database, F, Flat, Record, Schema, StoreLocked, VectorStore, registry
from vecstore.backends.redis import leases
from vecstore.backends.redis.backend import RedisBackend
from vecstore.backends.redis.scripts import SWITCH
from vecstore.testing.processes import TalkingProcess, tell_and_wait

SCHEMA = Schema(dim=2, metric="l2", index=Flat(), fields={"year": vecstore.fields.Int()})
WIDER = Schema(dim=2, metric="l2", index=Flat(), fields={"year": vecstore.fields.Int(), "pages": vecstore.fields.Int()})


def hold_lease(url: str, key: str) -> None:
    backend = registry.connect(url)
    assert isinstance(backend, RedisBackend)
    with backend._leases.hold(key, "busy"):
        tell_and_wait("held")


@pytest.fixture
def db(redis_url: str) -> Iterator[Database]:
    with vecstore.connect(f"{redis_url}&lock_timeout=0.5") as db:
        yield db


@pytest.fixture
def patient(redis_url: str, store: VectorStore) -> Iterator[VectorStore]:
    """The same store through a Database with the default lock_timeout."""
    with vecstore.connect(redis_url) as database:
        yield database.open(store.name)


@pytest.fixture
def store(db: Database) -> VectorStore:
    store = db.create("docs", SCHEMA)
    store.insert(Record(f"r{number}", [number, 1], metadata={"year": number}) for number in range(5))
    return store


@pytest.fixture
def backend(redis_url: str) -> Iterator[RedisBackend]:
    backend = registry.connect(f"{redis_url}&lock_timeout=0.5")
    assert isinstance(backend, RedisBackend)
    yield backend
    backend.close()


def test_a_lease_has_one_holder_and_ends_with_the_context(
    backend: RedisBackend, admin: redis.Redis, namespace: str
) -> None:
    held, key = backend._leases.hold, f"{namespace}:lock:build:x"
    with held(key, "busy") as token:
        assert admin.get(key) == token.encode()
        with pytest.raises(StoreLocked, match="busy"), held(key, "busy"):
            pass
        assert 0 < admin.pttl(key) <= leases.SECONDS * 1_000
    assert admin.get(key) is None
    with held(key, "busy"):
        pass


def test_a_lease_is_renewed(
    backend: RedisBackend, admin: redis.Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SECONDS", 3)
    key, pause = f"{namespace}:lock:build:x", threading.Event()
    with backend._leases.hold(key, "busy") as token:
        left = admin.pttl(key)
        while (present := admin.pttl(key)) <= left:  # until it is renewed, two seconds before it would expire
            assert present > 0
            left = present
            pause.wait(0.01)
        assert admin.get(key) == token.encode()


def test_a_writer_releases_the_lock_of_a_killed_switch(
    store: VectorStore, patient: VectorStore, redis_url: str, admin: redis.Redis, namespace: str
) -> None:
    """The server knows that the holder's connection is closed, so the lease can be taken at once."""
    key = f"{namespace}:lock:switch:{load_generation(admin, 'docs', namespace)}"
    with TalkingProcess(hold_lease, redis_url, key) as other:
        assert other.read() == "held"
        with pytest.raises(StoreLocked, match="lock_timeout"):
            store.upsert([Record("new", [1, 1])])
        assert store.count(F.year < 9) == 5
    assert patient.upsert([Record("new", [1, 1])]) == 1
    assert admin.get(key) is None


def test_a_lost_machine_holds_a_lock_until_its_lease_expires(
    patient: VectorStore, admin: redis.Redis, namespace: str
) -> None:
    """For the server, its connection is still open."""
    key = f"{namespace}:lock:switch:{load_generation(admin, 'docs', namespace)}"
    admin.set(key, f"{admin.client_id()}:0000", px=200)
    assert patient.upsert([Record("new", [1, 1])]) == 1


def test_a_switch_that_lost_its_lock_switches_nothing(
    db: Database, store: VectorStore, admin: redis.Redis, namespace: str
) -> None:
    def steal(phase: str, done: int, total: int | None) -> None:
        admin.set(f"{namespace}:stolen", 1)

    run = RedisBackend.switch

    def switch_late(self: RedisBackend, uid: str, standby: str, drain: object) -> object:
        def drain_slowly(changes: object) -> None:
            drain(changes)  # type: ignore[operator]
            admin.delete(*admin.keys(f"{namespace}:lock:switch:*"))

        return run(self, uid, standby, drain_slowly)

    before = load_generation(admin, "docs", namespace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RedisBackend, "switch", switch_late)
        with pytest.raises(StoreLocked, match="nothing was switched"):
            db.rebuild("docs", schema=WIDER, on_progress=steal)
    assert load_generation(admin, "docs", namespace) == before
    assert SWITCH.writes
    assert db.rebuild("docs", schema=WIDER).records == 5
