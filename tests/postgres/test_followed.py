"""A Milvus server follows a store: what is noted, what it is fed, and that every answer is that of PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import vecstore
from tests.postgres.catalogues import connect_engine
from tests.postgres.followed import (
    RawNotes,
    answered_by_milvus,
    connect_new,
    get_following,
    make_records,
    make_schema,
    place,
)
from tests.postgres.followed import notes as notes
from tests.postgres.stores import add_parameters
from vecstore import Database, F, Flat, Record, Unsupported, VectorStore
from vecstore.cli.app import run as run_command

FIRST = 60


@pytest.fixture(scope="module")
def space() -> str:
    return "t_followed"


@pytest.fixture(scope="module")
def followed(postgres_url: str, milvus_url: str, space: str) -> Iterator[Database]:
    with connect_new(postgres_url, space, milvus_url) as database:
        yield database


@pytest.fixture(scope="module")
def shared(followed: Database) -> VectorStore:
    """A followed store. Making a collection takes seconds, so tests share it."""
    store = followed.create("large", make_schema())
    store.upsert(make_records(range(FIRST)))
    return store


@pytest.fixture
def large(followed: Database, shared: VectorStore) -> VectorStore:
    """The store with its first records, all of which Milvus has."""
    shared.delete(ids=["new", "other"])
    shared.upsert(make_records(range(FIRST)))
    feed(followed, shared)
    get_following(followed).upkeep._unfed.clear()
    return shared


def feed(database: Database, store: VectorStore) -> int:
    """Let Milvus have everything, and return how many records it was sent."""
    sent, following = 0, get_following(database)
    while (found := following.feeder.run_round(store._current.entry.active)).records or found.waiting:
        sent += found.records
    return sent


def test_a_small_store_is_not_followed(followed: Database, notes: RawNotes) -> None:
    store = followed.create("small", make_schema())
    store.upsert(make_records(range(20)))
    assert store.search(place(3), k=2).exact
    status = store.index_status()
    assert (status.state, status.indexed) == ("none", 0)
    followed.drop("small")


def test_a_write_that_makes_it_large_enough_fills_a_collection(large: VectorStore, notes: RawNotes) -> None:
    status = large.index_status()
    assert (status.kind, status.state, status.indexed, status.reason) == ("milvus", "ready", FIRST, None)
    follower = notes.read_follower()
    assert follower["collection"] is not None
    assert follower["incoming"] is None
    assert notes.list_waiting() == []
    answered_by_milvus(large, place(7, 0.2))


def test_what_was_written_is_found_at_once(followed: Database, large: VectorStore, notes: RawNotes) -> None:
    large.upsert([Record("new", place(1_000), "fresh", {"n": 1_000})])
    assert notes.list_waiting() == ["new"]
    hits = answered_by_milvus(large, place(1_000), k=1)
    assert [(hit.id, hit.text) for hit in hits] == [("new", "fresh")]
    assert feed(followed, large) == 1
    assert notes.list_waiting() == []
    assert answered_by_milvus(large, place(1_000), k=1)[0].id == "new"
    large.update(ids=["new"], vector=place(2_000))
    assert answered_by_milvus(large, place(1_000), k=1)[0].id != "new"
    assert answered_by_milvus(large, place(2_000), k=1)[0].id == "new"
    large.update(ids=["new"], vector=None)
    assert answered_by_milvus(large, place(2_000), k=1)[0].id != "new"
    large.delete(ids=["new"])
    feed(followed, large)
    assert answered_by_milvus(large, place(2_000), k=1)[0].id != "new"


def test_a_record_that_moves_into_the_crowd_is_found_at_once(large: VectorStore, notes: RawNotes) -> None:
    large.update(ids=["r000059"], vector=place(0, 0.25))  # which Milvus would not name among so many nearer ones
    assert notes.list_waiting() == ["r000059"]
    assert answered_by_milvus(large, place(0, 0.25), k=1)[0].id == "r000059"


def test_many_hits_that_are_stale_do_not_hide_what_is_nearer(large: VectorStore, notes: RawNotes) -> None:
    near = [f"r{n:06}" for n in range(40)]
    for each in near:
        large.update(ids=[each], vector=place(5_000))
    assert len(notes.list_waiting()) == len(near)
    hits = answered_by_milvus(large, place(0), k=3)
    assert [hit.id for hit in hits] == ["r000040", "r000041", "r000042"]


def test_a_client_without_the_parameter_is_noted_and_answers_exactly(
    followed: Database, large: VectorStore, postgres_url: str, space: str, notes: RawNotes
) -> None:
    with vecstore.connect(add_parameters(postgres_url, space)) as plain:
        store = plain.open("large")
        store.upsert([Record("other", place(3_000), None, {})])
        assert notes.list_waiting()
        assert store.search(place(3_000), k=1)[0].id == "other"
        assert store.search(place(3_000), k=1).exact
        assert "vectors=" in (store.index_status().reason or "")
        with pytest.raises(Unsupported, match="vectors="):
            store.reindex()
    assert answered_by_milvus(large, place(3_000), k=1)[0].id == "other"
    large.delete(ids=["other"])
    feed(followed, large)
    assert notes.list_waiting() == []


def test_its_state_is_asked_for_once(followed: Database, large: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    sending, asked = get_following(followed)._sending, list[str]()
    call = sending.call

    def note(method: str, request: Any) -> Any:
        asked.append(method)
        return call(method, request)

    monkeypatch.setattr(sending, "call", note)
    assert large.index_status().state == "ready"
    assert asked.count("GetQuerySegmentInfo") == 1


def test_a_filter_and_several_queries(large: VectorStore) -> None:
    found = large.search_many([place(3), place(30)], k=2)
    assert [[hit.id for hit in hits] for hits in found] == [["r000003", "r000002"], ["r000030", "r000029"]]
    assert not any(hits.exact for hits in found)
    few = large.search(place(3), k=2, where=F.word == "w5")
    assert few.exact
    assert [hit.id for hit in few] == ["r000005", "r000012"]


def test_a_search_inside_a_transaction_goes_by_its_own_connection(
    followed: Database, large: VectorStore, postgres_url: str
) -> None:
    following, id_ = get_following(followed), large._current.entry.active.id
    with connect_engine(postgres_url) as connection, ExitStack() as held:
        inside = large.using(connection)
        for _ in range(following._client.options.pool_size):
            held.enter_context(following._client.transaction())
        following.route.forget(id_)
        answered_by_milvus(inside, place(7))


def test_an_old_snapshot_changes_nothing_for_other_searches(
    followed: Database, large: VectorStore, postgres_url: str
) -> None:
    route, id_ = get_following(followed).route, large._current.entry.active.id
    with connect_engine(postgres_url) as connection:
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
        inside = large.using(connection)
        assert inside.search(place(7), k=1).exact
        large.upsert([Record("new", place(1_000))])
        feed(followed, large)
        assert answered_by_milvus(large, place(1_000), k=1)[0].id == "new"
        known = route._known[id_]
        known.until = 0.0
        assert inside.search(place(1_000), k=1)[0].id == "r000059"
        assert route._known[id_] is known
    assert answered_by_milvus(large, place(1_000), k=1)[0].id == "new"


def test_the_command_brings_what_waits(
    large: VectorStore,
    postgres_url: str,
    space: str,
    milvus_url: str,
    notes: RawNotes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with vecstore.connect(add_parameters(postgres_url, space)) as plain:
        plain.open("large").upsert(make_records(range(5)))
    assert len(notes.list_waiting()) == 5
    url = add_parameters(postgres_url, space, vectors=milvus_url)
    assert run_command(["follow", url, "large", "--once", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["stores"]
    assert found == {
        "name": "large", "sent": 5, "pending": 0, "lag": 0.0, "copying": False, "failure": None, "reason": None,
    }  # fmt: skip
    assert notes.list_waiting() == []
    assert run_command(["follow", add_parameters(postgres_url, space), "--once"]) == 2
    assert run_command(["follow", url, "nobody", "--once"]) == 2


@pytest.mark.long
def test_the_process_follows_until_it_is_told_to_end(
    large: VectorStore, postgres_url: str, space: str, milvus_url: str, notes: RawNotes
) -> None:
    url = add_parameters(postgres_url, space, vectors=milvus_url)
    command = [sys.executable, "-W", "error", "-m", "vecstore", "follow", url, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["stores"]
        with vecstore.connect(add_parameters(postgres_url, space)) as plain:
            plain.open("large").upsert(make_records(range(5)))
        until = time.monotonic() + 60
        while notes.list_waiting() and time.monotonic() < until:
            process.poll()
        assert notes.list_waiting() == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.long
def test_flat_ends_that_it_is_followed(followed: Database, notes: RawNotes) -> None:
    store = followed.create("ended", make_schema())
    store.upsert(make_records(range(FIRST)))
    store.reindex(Flat())
    assert store.search(place(3), k=1).exact
    assert notes.list_left() == []
    store.upsert(make_records(range(3)))
    assert notes.list_waiting() == []
    followed.drop("ended")
