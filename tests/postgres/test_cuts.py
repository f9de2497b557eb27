"""Connections that break at a random byte, in either direction, in the middle of calls."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import get_args

import pytest
from sqlalchemy import create_engine

from vecstore import (
    BackendUnavailable,
    Record,
    Timeout,
    UnknownOutcome,
    VecstoreError,
    VectorStore,
)

from .proxy import Fate, Proxy, Sender
from .stores import TAGS, batch, checked_answer, lay, numbers, opened, proxy_of, schema, stored_ids, tags, vector_of

TIMEOUT = 0.5
FATES = [*get_args(Fate)[:3] * 5, "hole"]
"""A hole costs a second of waiting each time."""
MODES = [pytest.param("on", id="session"), pytest.param("off", id="pgbouncer")]


@dataclass
class Campaign:
    """Calls on a store behind a proxy, what is known to be stored, and what may be."""

    store: VectorStore
    proxy: Proxy
    draws: random.Random
    acknowledged: set[int] = field(default_factory=set)
    traffic: dict[str, tuple[int, int]] = field(default_factory=dict)
    cuts: int = 0
    unknown: int = 0
    last: int = 0

    def read(self) -> None:
        tag = self.draws.randrange(TAGS)
        match self.draws.randrange(4):
            case 0:
                checked_answer(self.store, tag)
            case 1:
                many = self.store.search_many([vector_of(tag + each) for each in range(30)], k=2)
                assert [tags(hits) for hits in many] == [[(tag + each) % TAGS] * 2 for each in range(30)]
            case 2:
                [record] = self.store.get([f"b{tag:05}-07"])
                assert record == batch(tag)[7]
            case _:
                assert self.store.count({"tag": tag, "word": "untouched"}) == 0

    def write(self) -> None:
        """Write a new batch or remove one; where the outcome is unknown, do it again."""
        if self.draws.random() < 0.3 and self.last > TAGS:
            self.remove(self.draws.randrange(TAGS, self.last))
        else:
            self.last += 1
            self.add(self.last)

    def add(self, number: int) -> None:
        try:
            assert self.store.upsert(batch(number)) == 20
        except UnknownOutcome:
            self.unknown += 1
            self.whole_afterwards()
            assert self.store.upsert(batch(number)) == 20
        except (BackendUnavailable, Timeout):
            self.whole_afterwards()
            assert self.store.get([f"b{number:05}-00"]) == [None]
            return
        self.acknowledged.add(number)

    def remove(self, number: int) -> None:
        ids = [record.id for record in batch(number)]
        try:
            assert self.store.delete(ids=ids) in {0, 20}
        except UnknownOutcome:
            self.unknown += 1
            self.whole_afterwards()
            assert self.store.delete(ids=ids) in {0, 20}
        except (BackendUnavailable, Timeout):
            self.whole_afterwards()
            return
        self.acknowledged.discard(number)

    def whole_afterwards(self) -> None:
        self.proxy.heal()
        numbers([record.id for record in self.store.scan()])

    def trial(self, number: int) -> None:
        kind = ("read", "write")[number % 2]
        sender: Sender = self.draws.choice(get_args(Sender))
        usual = self.measured(kind)[get_args(Sender).index(sender)]
        fate: Fate = self.draws.choice(FATES)
        at = self.draws.randrange(usual + 1)
        done = self.proxy.cut_after(
            client_bytes=at if sender == "client" else None,
            server_bytes=at if sender == "server" else None,
            fate=fate,
        )
        unknown = self.unknown
        self.timed(kind)
        self.proxy.heal()
        assert done.is_set() or self.unknown == unknown
        assert kind == "write" or self.unknown == unknown
        self.cuts += done.is_set()
        # A connection that was cut and used again would answer wrongly, or not at all.
        checked_answer(self.store, self.draws.randrange(TAGS))
        assert self.store.upsert([Record("b00000-00", vector_of(0), "text 0", {"tag": 0, "word": "w0"})]) == 1

    def timed(self, kind: str) -> None:
        """Make one call that fails only as it may; writes call again, and each call has its own time."""
        start, calls = time.monotonic(), 1
        try:
            getattr(self, kind)()
        except (BackendUnavailable, Timeout):
            assert kind == "read"
        if kind == "write":
            calls = 3
        assert time.monotonic() - start < (TIMEOUT + 1) * calls

    def measured(self, kind: str) -> tuple[int, int]:
        """Return how many bytes such a call takes in each direction."""
        if kind not in self.traffic:
            before = dict(self.proxy.forwarded)
            getattr(self, kind)()
            after = self.proxy.forwarded
            self.traffic[kind] = (after["client"] - before["client"], after["server"] - before["server"])
        return self.traffic[kind]


def campaign(postgres_url: str, namespace: str, mode: str, trials: int, seed: int) -> Campaign:
    lay(postgres_url, namespace)
    with (
        proxy_of(postgres_url) as proxy,
        opened(proxy.url_for(postgres_url), namespace, timeout=TIMEOUT, prepare=mode) as database,
    ):
        run = Campaign(database.create("a", schema()), proxy, random.Random(seed))
        for number in range(TAGS):
            run.add(number)
        run.last = TAGS
        for number in range(trials):
            run.trial(number)
    assert numbers(stored_ids(postgres_url, namespace, "a")) == run.acknowledged
    return run


@pytest.mark.parametrize("mode", MODES)
def test_calls_survive_cuts(postgres_url: str, namespace: str, mode: str) -> None:
    run = campaign(postgres_url, namespace, mode, trials=30, seed=19)
    assert run.cuts >= 15
    assert run.unknown >= (mode == "on")  # before its COMMIT, a write is simply repeated


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(3))
def test_calls_survive_many_cuts(postgres_url: str, namespace: str, mode: str, seed: int) -> None:
    run = campaign(postgres_url, namespace, mode, trials=100, seed=seed)
    assert run.cuts >= 50
    assert run.unknown >= (mode == "on")


@pytest.mark.parametrize("fate", get_args(Fate))
def test_a_cut_in_a_callers_transaction_is_no_unknown_outcome(postgres_url: str, namespace: str, fate: Fate) -> None:
    lay(postgres_url, namespace)
    with proxy_of(postgres_url) as proxy, opened(postgres_url, namespace, timeout=TIMEOUT) as database:
        store = database.create("a", schema())
        engine = create_engine(proxy.url_for(postgres_url).replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as connection:
            store.using(connection).upsert(batch(1))
            proxy.cut_after(server_bytes=10, fate=fate)
            with pytest.raises(VecstoreError) as raised:
                store.using(connection).upsert(batch(2))
            assert type(raised.value) in {BackendUnavailable, Timeout}
            connection.rollback()
            store.using(connection).upsert(batch(3))
            connection.commit()
        engine.dispose()
        assert numbers([record.id for record in store.scan()]) == {3}
