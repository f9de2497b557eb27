"""What may come between the engine's answer and PostgreSQL's, and between two who feed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.postgres.followed import (
    RawNotes,
    answered_by_milvus,
    connect_followed,
    connect_new,
    get_following,
    make_records,
    make_schema,
    place,
)
from tests.postgres.followed import notes as notes
from vecstore import BackendUnavailable, Database, Record, VecstoreError, VectorStore
from vecstore.backends.milvus.collection import Collection
from vecstore.backends.postgres.followed import feeding

ROWS = 60


@pytest.fixture(scope="module")
def space() -> str:
    return "t_followed_races"


@pytest.fixture(scope="module")
def searching(postgres_url: str, milvus_url: str, space: str) -> Iterator[Database]:
    with connect_new(postgres_url, space, milvus_url) as database:
        yield database


@pytest.fixture
def writing(postgres_url: str, milvus_url: str, space: str, searching: Database) -> Iterator[Database]:
    """Another process's Database."""
    with connect_followed(postgres_url, space, milvus_url) as database:
        yield database


@pytest.fixture(scope="module")
def store(searching: Database) -> VectorStore:
    store = searching.create("raced", make_schema())
    store.upsert(make_records(range(ROWS)))
    answered_by_milvus(store, place(0))
    return store


def feed(database: Database, store: VectorStore) -> None:
    while get_following(database).feeder.run_round(store._current.entry.active).waiting:
        pass


def do_once_after(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> list[int]:
    """Do something after the next call of a method of `Collection`; return the list of its calls."""
    calls: list[int] = []
    method = getattr(Collection, name)

    def call(self: Collection, *arguments: Any, **named: Any) -> Any:
        found = method(self, *arguments, **named)
        calls.append(1)
        if len(calls) == 1:
            act()
        return found

    monkeypatch.setattr(Collection, name, call)
    return calls


def test_a_note_that_is_settled_after_the_engine_answered_still_counts(
    store: VectorStore, writing: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = writing.open("raced")

    def write() -> None:
        other.upsert([Record("late", place(700))])
        feed(writing, other)

    calls = do_once_after(monkeypatch, "search", write)
    assert store.search(place(700), k=1)[0].id == "late"
    assert len(calls) == 1
    other.delete(ids=["late"])


def test_a_note_that_is_forgotten_meanwhile_makes_it_ask_again(
    store: VectorStore, writing: Database, monkeypatch: pytest.MonkeyPatch, notes: RawNotes
) -> None:
    other = writing.open("raced")
    monkeypatch.setattr(feeding, "_KEPT", 0)

    def write() -> None:
        for each in ("late", "later"):  # the second round forgets what the first has settled
            other.upsert([Record(each, place(700))])
            feed(writing, other)

    calls = do_once_after(monkeypatch, "search", write)
    hits = store.search(place(700), k=1)
    assert (hits[0].id, hits.exact) == ("late", False)
    assert len(calls) == 2
    other.delete(ids=["late", "later"])


@pytest.mark.long
def test_a_collection_that_is_replaced_meanwhile_is_asked_instead(
    store: VectorStore, writing: Database, monkeypatch: pytest.MonkeyPatch, notes: RawNotes
) -> None:
    other, before = writing.open("raced"), notes.read_follower()["collection"]
    other.upsert([Record("late", place(700))])
    store.search(place(0), k=1)
    calls = do_once_after(monkeypatch, "search", lambda: other.reindex())
    assert store.search(place(700), k=1)[0].id == "late"
    assert len(calls) > 1
    assert notes.read_follower()["collection"] != before
    assert notes.list_left() == []
    other.delete(ids=["late"])


def test_a_record_that_changes_while_it_is_sent_stays_noted(
    store: VectorStore, searching: Database, writing: Database, monkeypatch: pytest.MonkeyPatch, notes: RawNotes
) -> None:
    other = writing.open("raced")
    store.upsert([Record("moving", place(700))])
    do_once_after(monkeypatch, "upsert", lambda: other.upsert([Record("moving", place(800))]))
    get_following(searching).feeder.run_round(store._current.entry.active)
    assert notes.list_waiting() == ["moving"]
    assert answered_by_milvus(store, place(800), k=1)[0].id == "moving"
    feed(searching, store)
    assert answered_by_milvus(store, place(800), k=1)[0].id == "moving"
    store.delete(ids=["moving"])


def test_a_feeder_that_lost_its_lock_notes_again_what_it_sent_last(
    store: VectorStore,
    searching: Database,
    writing: Database,
    monkeypatch: pytest.MonkeyPatch,
    notes: RawNotes,
    admin: psycopg.Connection,
) -> None:
    other, rounds = writing.open("raced"), list[feeding.Round]()
    feed(searching, store)
    store.upsert([Record("moving", place(700))])
    monkeypatch.setattr(feeding, "PATIENCE", -100.0)  # the second feeder takes the first one for long dead

    def take_over() -> None:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        other.upsert([Record("moving", place(800))])
        while get_following(writing).feeder.run_round(other._current.entry.active).waiting:
            pass
        assert notes.list_waiting() == []

    do_once_after(monkeypatch, "upsert", take_over)
    with pytest.raises(VecstoreError):
        rounds.append(get_following(searching).feeder.run_round(store._current.entry.active))
    assert rounds == []
    assert notes.list_waiting() == ["moving"]
    feed(searching, store)
    assert answered_by_milvus(store, place(800), k=1)[0].id == "moving"
    store.delete(ids=["moving"])


def test_a_round_that_did_not_end_keeps_the_next_one_waiting(
    store: VectorStore, searching: Database, writing: Database, monkeypatch: pytest.MonkeyPatch, notes: RawNotes
) -> None:
    other = writing.open("raced")
    store.upsert([Record("stuck", place(700))])

    def fail() -> None:
        raise BackendUnavailable("gone")

    do_once_after(monkeypatch, "upsert", fail)
    with pytest.raises(BackendUnavailable):
        get_following(searching).feeder.run_round(store._current.entry.active)
    waiting = get_following(writing).feeder.run_round(other._current.entry.active)
    assert (waiting.records, waiting.waiting) == (0, True)
    assert 0 < waiting.rests <= feeding.PATIENCE + 1
    assert answered_by_milvus(store, place(700), k=1)[0].id == "stuck"
    monkeypatch.setattr(feeding, "PATIENCE", -100.0)
    feed(writing, other)
    assert notes.list_waiting() == []
    store.delete(ids=["stuck"])
