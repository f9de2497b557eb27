"""The route to a store that has moved, and the successor on it, without a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

import vecstore
from tests.batches import schema
from vecstore import (
    BackendUnavailable,
    Database,
    ForkedStore,
    Record,
    StoreLocked,
    StoreMoved,
    UnknownOutcome,
    registry,
    successor,
)
from vecstore.backend import Entry
from vecstore.backends.memory import MemoryBackend
from vecstore.route import LOOKS, Route
from vecstore.testing.forks import forked
from vecstore.testing.hand_move import HandMove
from vecstore.testing.sample_records import SCHEMA, make_book, make_books

ELSEWHERE = "redis://vecstore.invalid:6379/0"


class Connections:
    """In place of `registry.connect` for one URL: counts, fails or waits as told."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.made = 0
        self.error: BaseException | None = None
        self.gate = threading.Event()
        self.gate.set()
        self._connect = registry.connect

    def __call__(self, place: object, **options: Any) -> Any:
        if place != ELSEWHERE:
            return self._connect(place, **options)
        self.made += 1
        assert self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return self.backend


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Connections:
    connections = Connections()
    monkeypatch.setattr(registry, "connect", connections)
    return connections


@pytest.fixture
def db(elsewhere: Connections) -> Iterator[Database]:
    with vecstore.connect("memory:", successor=ELSEWHERE) as db:
        db.create("docs", SCHEMA).insert(make_books(range(3)))
        yield db


def join(db: Database) -> None:
    """Wait for the thread that connects."""
    following = db._route.successor
    assert following is not None
    assert following._thread is not None
    following._thread.join(60)


def test_it_is_connected_once_and_only_when_needed(db: Database, elsewhere: Connections) -> None:
    store = db.open("docs")
    store.upsert([make_book(3)])
    assert elsewhere.made == 0
    move = HandMove(db._backend, elsewhere.backend)
    db.open("docs")
    join(db)
    assert elsewhere.made == 1
    move.run()
    assert store.count() == 4
    assert db.open("docs").count() == 4
    assert elsewhere.made == 1


def test_a_running_object_notices_the_move(
    db: Database, elsewhere: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a call that looks into the catalogue by itself."""
    store = db.open("docs")
    monkeypatch.setattr("vecstore.lookup.LOOK_SECONDS", 0.0)
    store.count()
    assert elsewhere.made == 0
    HandMove(db._backend, elsewhere.backend)
    store.search([1, 2, 3, 4])
    join(db)
    assert elsewhere.made == 1


def test_it_looks_once_a_second(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store, looks = db.open("docs"), []
    clock = iter(range(1_000))
    monkeypatch.setattr("vecstore.lookup.time", SimpleNamespace(monotonic=lambda: next(clock) / 4))
    find = db._backend.find

    def look(**asked: Any) -> Entry:
        looks.append(1)
        return find(**asked)

    monkeypatch.setattr(db._backend, "find", look)
    for _ in range(40):
        store.count()
    assert len(looks) == 10


def test_an_unreachable_one_is_no_error_before_the_switch(
    db: Database, elsewhere: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = db.open("docs")
    elsewhere.error = BackendUnavailable("The server cannot be reached.")
    move = HandMove(db._backend, elsewhere.backend)
    for _ in range(3):
        assert db.open("docs").count() == 3
        join(db)
    assert elsewhere.made == 1, "it is not tried all the time"
    monkeypatch.setattr(successor, "PAUSE", 0.0)
    move.run()
    for deed in (store.count, lambda: db.open("docs")):
        with pytest.raises(BackendUnavailable, match="cannot be reached") as caught:
            deed()
        assert "has moved" in caught.value.__notes__[0]
    elsewhere.error = None
    assert store.count() == 3, "the same object goes on when it can be reached"


def test_a_write_whose_outcome_is_unknown_is_not_repeated_there(
    db: Database, elsewhere: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = db.open("docs")
    HandMove(db._backend, elsewhere.backend).run()

    def lose_connection(*arguments: Any, **options: Any) -> int:
        raise UnknownOutcome("The connection was lost.")

    with monkeypatch.context() as patch:
        patch.setattr(db._backend, "write", lose_connection)
        with pytest.raises(UnknownOutcome):
            store.upsert([make_book(5)])
    assert elsewhere.made == 0
    assert store.count() == 3


def test_a_warning_of_the_driver_stays_in_its_thread(db: Database, elsewhere: Connections) -> None:
    elsewhere.error = UserWarning("The server is old.")
    HandMove(db._backend, elsewhere.backend)
    db.open("docs")
    join(db)
    assert elsewhere.made == 1


def test_threads_share_one_connection(db: Database, elsewhere: Connections) -> None:
    stores = [db.open("docs") for _ in range(6)]
    HandMove(db._backend, elsewhere.backend).run()
    elsewhere.gate.clear()
    counts: list[int] = []
    threads = [threading.Thread(target=lambda store=store: counts.append(store.count())) for store in stores]
    for thread in threads:
        thread.start()
    elsewhere.gate.set()
    for thread in threads:
        thread.join(60)
    assert (counts, elsewhere.made) == ([3] * 6, 1)


def test_close_does_not_wait_for_a_connection_that_is_being_made(db: Database, elsewhere: Connections) -> None:
    HandMove(db._backend, elsewhere.backend)
    elsewhere.gate.clear()
    db.open("docs")
    db.close()
    assert not elsewhere.backend._closed
    elsewhere.gate.set()
    join(db)
    assert elsewhere.backend._closed


def test_a_child_closes_although_a_thread_of_its_parent_was_connecting(db: Database, elsewhere: Connections) -> None:
    store = db.open("docs")
    HandMove(db._backend, elsewhere.backend)
    elsewhere.gate.clear()
    db.open("docs")

    def in_child() -> None:
        with pytest.raises(ForkedStore, match="fork"):
            store.count()
        db.close()

    forked(in_child)
    elsewhere.gate.set()
    join(db)
    assert db.open("docs").count() == 3


def test_a_chain_of_databases() -> None:
    with ExitStack() as stack:
        places = [vecstore.connect("memory:")]
        for _ in range(LOOKS + 1):
            places.append(vecstore.connect("memory:", successor=stack.enter_context(places[-1])))
        places.reverse()
        places[0].create("docs", SCHEMA).insert(make_books(range(3)))
        opened = places[0].open("docs")
        for one, other in pairwise(places[:-1]):
            HandMove(one._backend, other._backend).run()
        assert opened.count() == places[0].open("docs").count() == places[3].open("docs").count() == 3
        HandMove(places[-2]._backend, places[-1]._backend).run()
        assert opened.count() == 3, "it knew the last place but one"
        with pytest.raises(StoreMoved):
            places[0].open("docs")


def test_the_target_connects_with_the_source_as_its_successor() -> None:
    """Then it does not matter in which order processes get the new URL."""
    with vecstore.connect("memory:") as old, vecstore.connect("memory:", successor=old) as new:
        old.create("docs", SCHEMA).insert(make_books(range(3)))
        move = HandMove(old._backend, new._backend)
        move.copy()
        early = new.open("docs")
        early.upsert([make_book(3)])
        assert old.open("docs").count() == 4
        move.switch()
        assert early.count() == 4
        early.upsert([make_book(4)])
        assert (early._backend, new.names()) == (new._backend, ["docs"])
        assert new.open("docs").count() == 5


def test_a_copy_is_not_used_where_it_comes_from() -> None:
    with vecstore.connect("memory:") as old, vecstore.connect("memory:", successor=old) as new:
        old.create("docs", SCHEMA)
        HandMove(old._backend, new._backend, kind="copy")
        with pytest.raises(StoreLocked, match="copy"):
            new.open("docs")


def test_a_process_that_may_only_read_reads_what_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot write the switch there, and sees it when another process has."""
    with vecstore.connect("memory:") as new, vecstore.connect("memory:", successor=new) as db:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        move = HandMove(db._backend, new._backend)
        move.copy()
        move.switch()
        with monkeypatch.context() as patch:
            patch.setattr(new._backend, "capabilities", replace(new.capabilities, read_only=True))
            assert store.count() == 3
            assert [hit.id for hit in store.search([1, 1, 1, 1], k=3)] != []
            assert new.names() == []
        move.arrive()
        store.upsert([make_book(3)])
        assert new.open("docs").count() == store.count() == 4


def test_two_clients_that_come_first_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with vecstore.connect("memory:") as new, vecstore.connect("memory:", successor=new) as db:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        move = HandMove(db._backend, new._backend)
        move.copy()
        move.switch()
        switch = new._backend.switch

        def be_late(*arguments: Any) -> Entry:
            monkeypatch.undo()
            move.arrive()
            return switch(*arguments)

        monkeypatch.setattr(new._backend, "switch", be_late)
        assert store.count() == 3


def test_a_route_of_one_place_leads_nowhere() -> None:
    backend = MemoryBackend()
    with Database(backend) as db, vecstore.connect("memory:") as other:
        db.create("docs", schema())
        HandMove(backend, other._backend).run()
        with pytest.raises(StoreMoved, match="or give it as successor"):
            Route(backend).find("docs")
        assert other.open("docs").upsert([Record("a", [1] * 16)]) == 1
