"""Clients with a successor: what is open goes on when its store moves to another place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from .. import connect, fields
from ..backend import Backend
from ..database import Database
from ..errors import InvalidArgument, InvalidUrl, StoreExists, StoreLocked, StoreMoved, StoreNotFound
from ..successor import Successor
from .catalogue import OPERATIONS
from .hand_move import HandMove
from .place import Place, Places
from .sample_records import SCHEMA, WIDER, key_by_id, make_book, make_books, read_contents


def open_with_successor(place: Place, successor: Database | str) -> Database:
    """Return a Database on a place, with a successor."""
    if place.shared:
        return connect(place.url, successor=successor)
    assert isinstance(successor, Database)
    return Database(place.backend(), Successor(None, successor._route))


class TwoPlaces(Places):
    """A place, and another one of the same kind that is its successor."""

    @pytest.fixture
    def other(self, new_place: Callable[[], Place]) -> Iterator[Place]:
        """Return a second empty place."""
        with closing(new_place()) as other:
            yield other

    @pytest.fixture
    def there(self, other: Place) -> Iterator[Database]:
        """Return a Database on the second place."""
        with other.connect() as there:
            yield there

    @pytest.fixture
    def db(self, place: Place, other: Place, there: Database) -> Iterator[Database]:
        """Return a Database whose successor is the second place."""
        with open_with_successor(place, other.url if other.shared else there) as db:
            yield db

    @pytest.fixture
    def backends(self, place: Place, other: Place, db: Database, there: Database) -> tuple[Backend, Backend]:
        """Return backends on both places."""
        return place.backend(), other.backend()


class SuccessorTests(TwoPlaces):
    """`connect` with ``successor``."""

    def test_every_call_goes_on_there(self, db: Database, there: Database, backends: tuple[Backend, Backend]) -> None:
        db.create("docs", SCHEMA).insert([make_book(number, id=f"{number}") for number in range(8)])
        opened = {operation: db.open("docs") for operation in OPERATIONS}
        move = HandMove(*backends)
        move.copy()
        db.open("docs").upsert([make_book(9, id="x")])
        move.switch()
        for operation, call in OPERATIONS.items():
            store = opened[operation]
            there.open("docs").upsert([make_book(9, id="x")]) if operation != "insert" else None
            call(store)
            assert store.name == "docs"
        assert db.names() == there.names() == ["docs"]
        marker = db.open("docs")
        marker.upsert([make_book(30)])
        assert read_contents(marker) == read_contents(there.open("docs"))

    def test_whoever_follows_first_lets_it_arrive(
        self, db: Database, there: Database, backends: tuple[Backend, Backend]
    ) -> None:
        """A mover that is killed after the signpost stops nobody."""
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(10)))
        second = db.open("docs")
        move = HandMove(*backends)
        move.copy()
        store.delete(ids=["book-00003"])
        move.switch()
        with pytest.raises(StoreLocked):
            there.open("docs")
        assert there.names() == []
        store.upsert([make_book(20)])
        assert there.names() == ["docs"]
        kept = key_by_id(make_books([0, 1, 2, *range(4, 10), 20]))
        assert read_contents(second) == read_contents(there.open("docs")) == kept
        move.arrive()
        assert read_contents(db.open("docs")) == kept

    def test_before_the_signpost_nothing_changes(
        self, db: Database, there: Database, backends: tuple[Backend, Backend]
    ) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        move = HandMove(*backends)
        move.copy()
        assert db.open("docs").upsert([make_book(3)]) == 1
        assert store.count() == 4
        assert there.names() == []
        move.switch()
        assert read_contents(store) == key_by_id(make_books(range(4)))

    def test_another_name_there(self, db: Database, there: Database, backends: tuple[Backend, Backend]) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        there.create("docs", SCHEMA).insert([make_book(7)])
        HandMove(*backends, there="papers").run()
        assert store.count() == 3
        assert (store.name, db.open("docs").name) == ("papers", "papers")
        assert db.create("docs", SCHEMA, if_exists="open").count() == 3
        assert there.open("docs").count() == 1, "a store of the same name is another store"

    def test_a_successor_that_does_not_have_it(
        self, place: Place, other: Place, there: Database, new_place: Callable[[], Place]
    ) -> None:
        """Neither old data nor those of a store that has the same name."""
        with closing(new_place()) as third, third.connect() as wrong, open_with_successor(place, wrong) as db:
            wrong.create("docs", SCHEMA).insert([make_book(7)])
            store = db.create("docs", SCHEMA)
            store.insert(make_books(range(3)))
            HandMove(place.backend(), other.backend()).run()
            deeds: list[Callable[[], object]] = [
                store.count, lambda: list(store.scan()), lambda: store.upsert([make_book(4)]), lambda: db.open("docs"),
                lambda: db.create("docs", SCHEMA, if_exists="open"), lambda: db.create("docs", SCHEMA),
            ]  # fmt: skip
            for deed in deeds:
                with pytest.raises(StoreMoved, match="The successor of this Database does not have it") as caught:
                    deed()
                assert caught.value.uid == other.backend().find(name="docs").uid
            assert wrong.open("docs").count() == 1
        assert there.open("docs").count() == 3

    def test_what_changes_a_store_as_a_whole_does_not_follow(
        self, db: Database, there: Database, backends: tuple[Backend, Backend]
    ) -> None:
        db.create("docs", SCHEMA).insert(make_books(range(3)))
        HandMove(*backends).run()
        deeds: list[Callable[[], object]] = [
            lambda: db.drop("docs"), lambda: db.rename("docs", "papers"), lambda: db.rebuild("docs", schema=WIDER),
            lambda: db.rollback("docs"), lambda: db.drop_previous("docs"), lambda: db.undeclare("docs", ["year"]),
            lambda: db.declare("docs", {"pages": fields.Int()}),
        ]  # fmt: skip
        for deed in deeds:
            with pytest.raises(StoreMoved):
                deed()
        with pytest.raises(StoreExists):
            db.create("docs", SCHEMA)
        assert db.names() == there.names() == ["docs"]
        assert there.open("docs").count() == 3

    def test_its_signpost_is_removed_when_it_has_arrived(
        self, db: Database, there: Database, backends: tuple[Backend, Backend]
    ) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        move = HandMove(*backends)
        move.copy()
        move.switch()
        db.drop("docs", moved=True)
        assert db.names() == []
        assert there.open("docs").count() == 3
        db.create("docs", SCHEMA).insert([make_book(5)])
        assert there.open("docs").count() == 3

    def test_the_only_records_are_not_taken_for_what_a_move_has_left(
        self, db: Database, there: Database, backends: tuple[Backend, Backend]
    ) -> None:
        there.create("docs", SCHEMA).insert(make_books(range(3)))
        move = HandMove(backends[1], backends[0])
        move.copy()
        move.switch()
        with pytest.raises(InvalidArgument, match="has arrived"):
            db.drop("docs", moved=True)
        assert db.open("docs").count() == 3

    def test_what_a_move_has_left_is_removed_if_the_successor_has_the_store(
        self, db: Database, there: Database, backends: tuple[Backend, Backend]
    ) -> None:
        there.create("docs", SCHEMA).insert(make_books(range(3)))
        HandMove(backends[1], backends[0]).copy()
        db.drop("docs", moved=True)
        assert there.open("docs").count() == 3
        with pytest.raises(StoreNotFound):
            db.open("docs")

    def test_two_signposts_that_point_at_each_other(
        self, db: Database, there: Database, backends: tuple[Backend, Backend]
    ) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        HandMove(*backends).run()
        entry = backends[1].find(name="docs")
        assert entry.previous is not None
        backends[1].switch(entry.uid, entry.previous.id, lambda _: None)
        for deed in (store.count, lambda: db.open("docs")):
            with pytest.raises(StoreMoved, match="signposts lead on"):
                deed()

    def test_an_incoming_copy_is_nobodys(
        self, db: Database, there: Database, backends: tuple[Backend, Backend]
    ) -> None:
        db.create("docs", SCHEMA).insert(make_books(range(3)))
        HandMove(*backends)
        deeds: list[Callable[[], object]] = [
            lambda: there.open("docs"), lambda: there.create("docs", SCHEMA, if_exists="open"),
        ]  # fmt: skip
        for deed in deeds:
            with pytest.raises(StoreLocked, match="unfinished"):
                deed()

    @pytest.mark.parametrize("wrong", ["nothing:at-all", 3, ""])
    def test_a_successor_that_is_none(self, place: Place, wrong: object) -> None:
        with pytest.raises(InvalidUrl, match="successor"):
            connect(place.url, successor=wrong)  # type: ignore[arg-type]

    def test_a_successor_that_is_the_same_place(self, place: Place) -> None:
        with pytest.raises(InvalidArgument, match="successor"):
            connect(place.url, successor=place.url)

    def test_it_closes_what_it_has_connected(
        self, place: Place, other: Place, there: Database, backends: tuple[Backend, Backend]
    ) -> None:
        with open_with_successor(place, there) as db:
            store = db.create("docs", SCHEMA)
            HandMove(*backends).run()
            store.upsert([make_book(1)])
        with pytest.raises(InvalidArgument, match="closed"):
            db.open("docs")
        assert there.open("docs").count() == 1, "an open Database remains the application's"
        if not place.shared:
            return
        with connect(place.url, successor=other.url) as db:
            store = db.open("docs")
        with pytest.raises(InvalidArgument, match="closed"):
            store.count()
