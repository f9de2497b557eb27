"""Copying a store into Milvus: it ends where it is told to, goes on later, and a rebuild's copy is fed too."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

import vecstore
from tests.postgres.followed import (
    RawNotes,
    answered_by_milvus,
    connect_followed,
    get_following,
    make_records,
    make_schema,
    place,
)
from tests.postgres.followed import database as database
from tests.postgres.followed import notes as notes
from tests.postgres.stores import add_parameters
from vecstore import Database, fields
from vecstore.backend import Generation
from vecstore.backends.postgres.followed import feeding
from vecstore.backends.postgres.followed.feeding import Feeder, Round
from vecstore.cli.app import run as run_command
from vecstore.rebuild import rebuild
from vecstore.rebuild.catch_up import CALM
from vecstore.rebuild.switch import switch_to_copy

ROWS = 60
MANY = 30_000


@pytest.fixture(scope="module")
def space() -> str:
    return "t_followed_copies"


def write_elsewhere(postgres_url: str, space: str, name: str, numbers: range) -> None:
    """Write without vectors=, so that nothing is copied."""
    with vecstore.connect(add_parameters(postgres_url, space)) as plain:
        plain.open(name).upsert(make_records(numbers))


def test_a_copy_ends_where_it_is_told_to_and_goes_on_later(
    database: Database,
    postgres_url: str,
    milvus_url: str,
    space: str,
    notes: RawNotes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = database.create("copied", make_schema())
    write_elsewhere(postgres_url, space, "copied", range(ROWS))
    monkeypatch.setattr(feeding, "ROWS", 20)
    stop, run_round, rounds = Event(), Feeder.run_round, list[Round]()

    def count(self: Feeder, generation: Generation) -> Round:
        rounds.append(run_round(self, generation))
        if len(rounds) == 2:  # the collection is made, and one page is in it
            stop.set()
        return rounds[-1]

    monkeypatch.setattr(Feeder, "run_round", count)
    with connect_followed(postgres_url, space, milvus_url, pool_size=3, timeout=5) as feeding_one:
        feeding_one.follow(["copied"]).run(stop)
    assert len(rounds) == 2
    before = notes.read_follower()
    assert (before["collection"], before["filled"]) == (None, "r000019")
    assert store.search(place(7), k=1).exact
    with connect_followed(postgres_url, space, milvus_url, pool_size=3, timeout=5) as feeding_one:
        [state] = feeding_one.follow(["copied"]).drain(Event())
        answered_by_milvus(feeding_one.open("copied"), place(45))
    assert (state.is_done, state.copying, state.failure) == (True, False, None)
    after = notes.read_follower()
    assert (after["collection"], after["incoming"]) == (before["incoming"], None)
    database.drop("copied")


@pytest.mark.long
def test_a_process_that_copies_ends_by_a_signal(
    database: Database, postgres_url: str, milvus_url: str, space: str, notes: RawNotes
) -> None:
    database.create("many", make_schema())
    write_elsewhere(postgres_url, space, "many", range(MANY))
    url = add_parameters(postgres_url, space, vectors=milvus_url)
    with subprocess.Popen([sys.executable, "-W", "error", "-m", "vecstore", "follow", url]) as process:
        until = time.monotonic() + 60
        while not notes.read_follower().get("filled") and time.monotonic() < until:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    left = notes.read_follower()
    assert left["filled"]
    assert left["sending"] is None
    assert run_command(["follow", url, "--once"]) == 0
    assert notes.read_follower()["collection"] == left["incoming"]
    answered_by_milvus(database.open("many"), place(MANY // 2))
    database.drop("many")


@pytest.mark.long
def test_what_is_written_before_the_switch_of_a_rebuild_is_brought_before_it(
    database: Database, postgres_url: str, space: str, notes: RawNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = database.create("rebuilt", make_schema())
    store.upsert(make_records(range(ROWS)))
    late = make_records(range(700, 701 + CALM))

    def switch(*given: Any, **named: Any) -> Any:
        with vecstore.connect(add_parameters(postgres_url, space)) as plain:
            plain.open("rebuilt").upsert(late)
        given[3].run()  # the rebuild catches up, but for a few
        assert notes.list_waiting() == sorted(2 * [each.id for each in late])
        [state] = database.follow(["rebuilt"]).run_once()
        assert (state.sent, notes.list_waiting()) == (2 * len(late), [])
        return switch_to_copy(*given, **named)

    monkeypatch.setattr(rebuild, "switch_to_copy", switch)
    schema = make_schema()
    database.rebuild("rebuilt", schema=replace(schema, fields={**schema.fields, "more": fields.Int()}))
    assert answered_by_milvus(store, place(700), k=1)[0].id == "r000700"
    database.drop("rebuilt")


@pytest.mark.long
def test_a_collection_that_is_back_under_its_name_is_asked_again(
    database: Database, notes: RawNotes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vecstore.follow")
    store = database.create("restored", make_schema())
    store.upsert(make_records(range(ROWS)))
    answered_by_milvus(store, place(4))
    following, generation = get_following(database), store._current.entry.active
    collection = following.feeder.open(generation, notes.read_follower()["collection"])
    plan = collection.read_plan()
    collection.drop()
    until = time.monotonic() + 30
    while not store.search(place(4), k=1).exact:  # the server answers from what it dropped for a moment
        assert time.monotonic() < until
    collection.create(plan)
    store.upsert(make_records(range(ROWS)))  # all of them are noted
    while following.feeder.run_round(generation).waiting:
        pass
    assert store.search(place(4), k=1).exact
    following.route._outages._lost = dict.fromkeys(following.route._outages._lost, 0.0)  # half a minute later
    answered_by_milvus(store, place(4))
    assert [each.levelname for each in caplog.records if collection.name in each.getMessage()] == ["WARNING", "INFO"]
    database.drop("restored")
