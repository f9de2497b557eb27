"""A mover that is killed at each of its steps: the same call goes on, or the store goes back, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

import vecstore
from tests.swap.books import check_clean, find_entry, make_store, read_state
from tests.swap.conftest import NewPlace
from tests.swap.mover import obey
from vecstore import Database, Record, StoreLocked, StoreMoved, StoreNotFound, VectorStore
from vecstore.swap import calls, moving
from vecstore.testing import Place
from vecstore.testing.processes import TalkingProcess, wait_for_lock
from vecstore.testing.sample_records import make_book, read_contents

RING = [("file", "postgres"), ("postgres", "redis"), ("redis", "file")]
KILLED = -9
STRIDES = [pytest.param(16, id="some"), pytest.param(1, id="all", marks=pytest.mark.long)]
"""A usual run tries every sixteenth step, from a random one on; the long run tries all of them."""

FEWEST_STEPS = 16
"""Every call takes more, so that one of them at least is killed."""


@pytest.fixture(scope="module")
def mover() -> Iterator[TalkingProcess]:
    with TalkingProcess(obey) as program:
        yield program


@dataclass
class Killed:
    """Two places after a mover was killed, and what the store had before."""

    places: tuple[Place, Place]
    here: Database
    there: Database
    expected: dict[str, Record]
    left: int


def start(mover: TalkingProcess, deed: str, pair: tuple[Place, Place], left: int) -> int:
    """Let the mover go that many steps, and return its exit code."""
    call = {"deed": deed, "source": pair[0].url, "target": pair[1].url, "left": left}
    return int(json.loads(mover.ask(json.dumps(call))))


def write_where_it_is(here: Database, there: Database, record: int) -> VectorStore:
    """Write one record into the store, wherever it is by now, and return the store."""
    try:
        store = here.open("docs")
    except StoreMoved:
        assert calls.finish_move(here, "docs", there)
        store = there.open("docs")
    store.upsert([make_book(record)])
    return store


@pytest.fixture(params=[*STRIDES])
def kill_at_each_step(
    request: pytest.FixtureRequest, new_place: NewPlace, mover: TalkingProcess, kinds: tuple[str, str], seed: int
) -> Callable[..., Iterator[Killed]]:
    """Return what kills the mover at one step after the other, each time with new places, until it comes to its end."""

    def kill(deed: str, prepare: Callable[[VectorStore, Database], VectorStore] | None = None) -> Iterator[Killed]:
        left = seed % request.param
        while True:
            pair = new_place(kinds[0]), new_place(kinds[1])
            with pair[0].connect() as here, pair[1].connect() as there:
                store = make_store(pair[0], here)
                expected = read_contents(store if prepare is None else prepare(store, there))
                code = start(mover, deed, pair, left)
                assert code in {0, KILLED}, left
                if code == 0:
                    assert left > FEWEST_STEPS
                    return
                for place in pair:
                    with suppress(StoreNotFound):  # before anything is there
                        wait_for_lock(place.backend(), "docs")
                yield Killed(pair, here, there, expected, left)
            left += request.param

    return kill


@pytest.mark.parametrize("kinds", RING, ids="-".join)
def test_a_killed_copy_goes_on(kill_at_each_step: Callable[..., Iterator[Killed]]) -> None:
    for each in kill_at_each_step("copy"):
        here, there = each.here, each.there
        if there.names() != ["docs"] or find_entry(each.places[1]).previous is not None:
            here.open("docs").copy_to(there)  # or it was killed after its very last step
        check_clean(each.places[0])
        check_clean(each.places[1])
        assert read_state(each.places[1]) == read_state(each.places[0])
        assert read_contents(there.open("docs")) == each.expected, each.left


@pytest.mark.parametrize("kinds", RING, ids="-".join)
def test_a_killed_move_goes_on(kill_at_each_step: Callable[..., Iterator[Killed]]) -> None:
    for each in kill_at_each_step("move"):
        here, there = each.here, each.there
        # A writer finds the store in exactly one place, whatever the step.
        read_contents(write_where_it_is(here, there, 900))
        if not calls.finish_move(here, "docs", there):
            here.open("docs").move_to(there, accept_volatile=True)
        assert find_entry(each.places[0]).successor is not None
        assert read_contents(there.open("docs")) == each.expected | {"book-00900": make_book(900)}, each.left


@pytest.mark.parametrize("kinds", RING, ids="-".join)
def test_a_killed_move_is_given_up_before_its_switch_and_goes_back_after_it(
    kill_at_each_step: Callable[..., Iterator[Killed]],
) -> None:
    for each in kill_at_each_step("move"):
        here, there = each.here, each.there
        if find_entry(each.places[0]).successor is None:
            here.open("docs").abort_move(there)
            here.open("docs").upsert([make_book(900)])
        else:
            write_where_it_is(here, there, 900).move_back(here, accept_volatile=True)
        assert read_contents(here.open("docs")) == each.expected | {"book-00900": make_book(900)}, each.left


def move_and_write(store: VectorStore, there: Database) -> VectorStore:
    """Move a store, write into it at its new place, and return it."""
    store.move_to(there, accept_volatile=True)
    there.open("docs").upsert([make_book(800)])
    return there.open("docs")


@pytest.mark.parametrize("kinds", RING, ids="-".join)
def test_a_killed_way_back_goes_on(kill_at_each_step: Callable[..., Iterator[Killed]]) -> None:
    for each in kill_at_each_step("back", move_and_write):
        here, there = each.here, each.there
        write_where_it_is(there, here, 900)
        if not calls.finish_move(there, "docs", here):
            there.open("docs").move_back(here, accept_volatile=True)
        assert read_contents(here.open("docs")) == each.expected | {"book-00900": make_book(900)}, each.left
        with pytest.raises(StoreMoved):
            there.open("docs")


def test_the_signpost_stays_where_the_successor_is_read_only(
    new_place: NewPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = new_place("file"), new_place("file")
    with places[0].connect() as here, places[1].connect() as there:
        expected = read_contents(make_store(places[0], here))

        def die(*_: object) -> None:
            raise InterruptedError

        with monkeypatch.context() as patch:
            patch.setattr(moving, "_arrive", die)  # right after the switch
            with pytest.raises(InterruptedError):
                here.open("docs").move_to(there)
        reader = f"{places[1].url.partition('?')[0]}?mode=ro"
        with vecstore.connect(places[0].url, successor=reader) as following:
            assert read_contents(following.open("docs")) == expected
            with pytest.raises(StoreLocked, match="the successor is read-only"):
                following.drop("docs", moved=True)
        with vecstore.connect(places[0].url, successor=places[1].url) as following:
            following.drop("docs", moved=True)
        assert (here.names(), read_contents(there.open("docs"))) == ([], expected)
