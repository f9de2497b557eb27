"""`VectorStore.move_to` and `move_back` between every two backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import vecstore
from tests.swap.books import RICH, find_entry, make_store, read_state
from tests.swap.conftest import NewPlace
from vecstore import (
    BackendUnavailable,
    Database,
    InvalidArgument,
    Record,
    Schema,
    StoreLocked,
    StoreMoved,
    Unsupported,
    VectorStore,
    fields,
)
from vecstore.backend import Backend, Entry, Generation
from vecstore.embedders.identity import Identity
from vecstore.swap import calls, moving
from vecstore.testing import Place
from vecstore.testing.hand_move import HandMove
from vecstore.testing.sample_records import SCHEMA, WIDER, make_book, read_contents
from vecstore.testing.toy_embedder import ToyEmbedder


def writer(store: VectorStore) -> Callable[[str, int, int | None], None]:
    """Return an ``on_progress`` that writes into a store."""
    number = iter(range(1_000, 2_000))

    def write(phase: str, done: int, total: int | None) -> None:
        new = next(number)
        store.upsert([make_book(new), make_book(new, id="book-00009")])
        store.delete(ids=[f"book-{new - 990:05}"])

    return write


def test_there_and_back_under_writes(pair: tuple[Place, Place], databases: tuple[Database, Database]) -> None:
    here, there = databases
    store = make_store(pair[0], here)
    moved = store.move_to(there, accept_volatile=True, on_progress=writer(store))
    assert moved.caught_up > 0
    with pytest.raises(StoreMoved, match=f"'docs' in a Database on {there.capabilities.backend}"):
        store.count()
    assert find_entry(pair[0]).successor is not None
    new = there.open("docs")
    assert moved.records == new.count()
    assert moved.digest == read_state(pair[1])[0]
    new.upsert([make_book(5_000)])
    new.delete(ids=["book-00040"])
    kept = read_contents(new)
    back = new.move_back(here, accept_volatile=True, on_progress=writer(new))
    assert 0 < back.caught_up < 20
    assert store.count() == here.open("docs").count() == back.records
    assert read_contents(store).items() >= {id_: each for id_, each in kept.items() if "5000" in id_}.items()
    assert back.digest == read_state(pair[0])[0]
    with pytest.raises(StoreMoved):
        new.count()
    again = store.move_to(there, accept_volatile=True)
    assert again.caught_up == 0
    assert new.count() == back.records
    here.drop("docs", moved=True)
    assert here.names() == []


def test_the_signpost_of_a_store_that_has_not_arrived_stays(
    two: tuple[Place, Place], both: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = both
    expected = read_contents(make_store(two[0], here))

    def die(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(moving, "_arrive", die)  # right after the switch
        with pytest.raises(InterruptedError):
            here.open("docs").move_to(there, accept_volatile=True)
    with pytest.raises(StoreLocked, match="Nothing here says that store 'docs' has arrived"):
        here.drop("docs", moved=True)
    with pytest.raises(StoreLocked):
        there.open("docs")
    assert calls.finish_move(here, "docs", there)
    here.drop("docs", moved=True)
    assert read_contents(there.open("docs")) == expected
    assert (here.names(), there.names()) == ([], ["docs"])


def test_names_are_swapped_while_a_move_begins(
    two: tuple[Place, Place], both: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = both
    store = make_store(two[0], here)
    expected = read_contents(store)
    here.create("other", SCHEMA).insert([make_book(1)])
    create, swapped = type(here._backend).create, list[str]()

    def swap_and_create(self: Backend, name: str, generation: Generation) -> Entry:
        if not swapped:
            swapped.append(name)
            for old, new in (("docs", "third"), ("other", "docs"), ("third", "other")):
                here.rename(old, new)
        return create(self, name, generation)

    monkeypatch.setattr(type(here._backend), "create", swap_and_create)
    store.move_to(there, accept_volatile=True)
    assert swapped == ["docs"]
    assert read_contents(there.open("docs")) == expected
    assert here.open("docs").count() == 1
    with pytest.raises(StoreMoved):
        here.open("other")


@pytest.fixture
def two(new_place: NewPlace) -> tuple[Place, Place]:
    return new_place("file"), new_place("memory")


@pytest.fixture
def both(two: tuple[Place, Place]) -> tuple[Database, Database]:
    return two[0].connect(), two[1].connect()


def test_a_volatile_place_has_to_be_accepted(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])
    with pytest.raises(Unsupported, match="accept_volatile=True"):
        store.move_to(both[1])
    assert both[1].names() == []
    assert find_entry(two[0]).standby is None


def test_a_place_that_the_store_did_not_come_from(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    store = make_store(two[0], both[0])
    with pytest.raises(InvalidArgument, match="there is no way back"):
        store.move_back(both[1], accept_volatile=True)
    both[1].create("docs", WIDER)
    with pytest.raises(InvalidArgument, match="there is no way back"):
        store.move_back(both[1], accept_volatile=True)
    assert not calls.finish_move(both[0], "docs", both[1])


def test_a_rebuild_in_between_makes_the_way_back_a_whole_comparison(
    two: tuple[Place, Place], both: tuple[Database, Database]
) -> None:
    here, there = both
    store = make_store(two[0], here)
    store.move_to(there, accept_volatile=True)
    new = there.open("docs")
    there.rebuild("docs", schema=new.schema.with_index(WIDER.index), keep_previous=False)
    new.upsert([make_book(600)])
    new.delete(ids=["book-00020"])
    before = read_contents(new)
    assert new.move_back(here, accept_volatile=True).records == len(before)
    assert read_contents(store) == before


def test_another_model_on_the_way(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    here, there = both
    old, new = ToyEmbedder(4, name="old"), ToyEmbedder(6, seed=1, name="new")
    store = here.create("docs", Schema(metric="cosine", fields={"year": fields.Int()}), embedder=old)
    store.upsert([Record(f"r{each}", text=f"text {each}") for each in range(20)])
    store.move_to(there, embedder=new, accept_volatile=True)
    moved = there.open("docs", embedder=(old, new))
    moved.upsert([Record("late", text="late words")])
    assert moved.search("late words", k=1)[0].id == "late"
    moved.move_back(here, embedder=old, accept_volatile=True)
    assert here.open("docs", embedder=old).search("late words", k=1)[0].id == "late"
    assert store.schema.dim == 4


def test_a_move_that_is_interrupted_is_given_up_or_finished(
    two: tuple[Place, Place], both: tuple[Database, Database]
) -> None:
    here, there = both
    store = make_store(two[0], here)

    def stop(phase: str, done: int, total: int | None) -> None:
        raise InterruptedError

    for _ in range(2):
        with pytest.raises(InterruptedError):
            store.move_to(there, accept_volatile=True, on_progress=stop)
        store.upsert([make_book(700)])
    assert store.abort_move(there)
    assert there.names() == []
    assert find_entry(two[0]).standby is None
    assert store.move_to(there, accept_volatile=True).records == there.open("docs").count()
    with pytest.raises(StoreMoved):
        store.abort_move(there)


def test_opposite_moves_of_two_stores_do_not_wait_for_each_other(
    two: tuple[Place, Place], both: tuple[Database, Database]
) -> None:
    here, there = both
    store = make_store(two[0], here)
    other = there.create("other", WIDER)
    other.upsert([make_book(1)])
    done: list[int] = []

    def move(phase: str, count: int, total: int | None) -> None:
        if not done:
            done.append(other.move_to(here, accept_volatile=True).records)

    store.move_to(there, accept_volatile=True, on_progress=move)
    assert done == [1]
    assert here.open("other").count() == 1
    assert there.names() == ["docs", "other"]


def test_only_one_call_moves_a_store(two: tuple[Place, Place], both: tuple[Database, Database]) -> None:
    here, there = both
    store = make_store(two[0], here)

    def again(phase: str, done: int, total: int | None) -> None:
        with pytest.raises(StoreLocked):
            store.move_to(there, accept_volatile=True)

    store.move_to(there, accept_volatile=True, on_progress=again)


def test_a_chain_of_moves_goes_back_step_by_step(new_place: NewPlace, two: tuple[Place, Place]) -> None:
    places = [*two, new_place("file")]
    one, two_, three = (place.connect() for place in places)
    store = make_store(places[0], one)
    store.move_to(two_, "second", accept_volatile=True)
    two_.open("second").move_to(three, "third", accept_volatile=True)
    three.open("third").upsert([make_book(900)])
    before = read_contents(three.open("third"))
    with pytest.raises(InvalidArgument, match="there is no way back"):
        three.open("third").move_back(one, accept_volatile=True)
    three.open("third").move_back(two_, accept_volatile=True)
    two_.open("second").move_back(one, accept_volatile=True)
    assert read_contents(store) == before
    assert [database.names() for database in (one, two_, three)] == [["docs"], ["second"], ["third"]]


def test_a_way_back_after_a_rebuild_goes_on_when_it_was_interrupted(
    two: tuple[Place, Place], both: tuple[Database, Database]
) -> None:
    store = make_store(two[0], both[0])
    store.move_to(both[1], accept_volatile=True)
    both[1].rebuild("docs", schema=replace(RICH, dtype="float16"))
    new = both[1].open("docs")
    new.upsert([make_book(5_000)])

    def stop(phase: str, done: int, total: int | None) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        new.move_back(both[0], accept_volatile=True, on_progress=stop)
    new.delete(ids=["book-00030"])
    back = new.move_back(both[0], accept_volatile=True)
    assert back.records == store.count()
    assert back.digest == read_state(two[0])[0]
    assert [record is None for record in store.get(["book-05000", "book-00030"])] == [False, True]


def test_an_embedder_that_claimed_the_store_meanwhile_comes_back_with_it(
    two: tuple[Place, Place], both: tuple[Database, Database]
) -> None:
    store = make_store(two[0], both[0])
    store.move_to(both[1], accept_volatile=True)
    model = ToyEmbedder(4)
    new = both[1].open("docs", embedder=model)
    new.check_embedder(claim=True)
    new.upsert([make_book(5_000)])
    kept = read_contents(new)
    both[1].open("docs").move_back(both[0], accept_volatile=True)
    assert read_contents(store) == kept
    assert both[0].open("docs").embedder_identity == Identity.of(model)


def test_a_client_lets_a_store_arrive_when_its_signpost_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    with vecstore.connect("memory:") as new, vecstore.connect("memory:", successor=new) as db:
        store = db.create("docs", SCHEMA)
        move = HandMove(db._backend, new._backend)
        move.copy()
        move.switch()

        def fail() -> None:
            raise BackendUnavailable("The disk is not there.")

        with monkeypatch.context() as patch:
            patch.setattr(db._backend, "make_durable", fail)
            with pytest.raises(BackendUnavailable):
                store.upsert([make_book(3)])
            assert new.names() == [], "nobody may write there yet"
        store.upsert([make_book(3)])
        assert new.open("docs").count() == 1
