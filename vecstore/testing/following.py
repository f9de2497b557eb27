"""What goes on while a store moves to the successor: iterables, scans, blocks, threads, models, the way back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from ..backend import Backend
from ..database import Database
from ..errors import ForkedStore, PartialWrite, StoreMoved
from ..fenced import delete_fenced, upsert_fenced
from ..records import Record
from ..store import VectorStore
from .author import Author
from .forks import forked
from .hand_move import HandMove
from .place import Place
from .rebuild_fixtures import OLD, TEXT_SCHEMA, make_texts, new_model
from .sample_records import SCHEMA, key_by_id, make_book, make_books, read_contents
from .successors import TwoPlaces
from .threads import PATIENCE, RepeatingThreads


class FollowingTests(TwoPlaces):
    """A Database with a successor, in the middle of what it does."""

    def test_a_write_of_many_batches(self, db: Database, there: Database, backends: tuple[Backend, Backend]) -> None:
        store = db.create("docs", SCHEMA)
        move = HandMove(*backends)

        def make() -> Iterator[Record]:
            yield from make_books(range(25))
            move.copy()
            move.switch()
            yield from make_books(range(25, 60))

        assert store.upsert(make(), batch_size=10) == 60
        assert read_contents(there.open("docs")) == key_by_id(make_books(range(60)))

    def test_fenced_writes(self, db: Database, there: Database, backends: tuple[Backend, Backend]) -> None:
        """Those of `vecstore.orm`; the versions make the trip."""
        upserting, deleting = db.create("docs", SCHEMA), db.open("docs")
        assert upsert_fenced(upserting, make_books(range(4)), 7) == 4
        HandMove(*backends).run()
        assert upsert_fenced(upserting, make_books(range(5)), 6) == 1
        assert delete_fenced(deleting, ["book-00000", "book-00004"], 6) == 1
        assert read_contents(there.open("docs")) == key_by_id(make_books(range(4)))

    def test_a_scan_goes_on_with_the_next_page(self, db: Database, backends: tuple[Backend, Backend]) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(30)))
        found = store.scan(batch_size=7)
        begun = [next(found) for _ in range(10)]
        HandMove(*backends).run()
        assert [*begun, *found] == make_books(range(30))

    def test_a_block_of_loading(self, db: Database, there: Database, backends: tuple[Backend, Backend]) -> None:
        store = db.create("docs", SCHEMA)
        with store.loading():
            store.upsert(make_books(range(10)))
            HandMove(*backends).run()
            store.upsert(make_books(range(10, 20)))
        assert read_contents(there.open("docs")) == key_by_id(make_books(range(20)))

    def test_without_a_successor_a_write_says_how_far_it_came(
        self, place: Place, other: Place, there: Database
    ) -> None:
        with place.connect() as db:
            store = db.create("docs", SCHEMA)
            move = HandMove(place.backend(), other.backend())

            def make() -> Iterator[Record]:
                yield from make_books(range(25))
                move.run()
                yield from make_books(range(25, 60))

            with pytest.raises(PartialWrite, match="has moved") as caught:
                store.upsert(make(), batch_size=10)
            assert caught.value.committed == 20
            assert isinstance(caught.value.__cause__, StoreMoved)
        assert read_contents(there.open("docs")) == key_by_id(make_books(range(20)))

    def test_another_model(self, db: Database, there: Database, backends: tuple[Backend, Backend]) -> None:
        new = new_model()
        db.create("docs", TEXT_SCHEMA, embedder=OLD).insert(make_texts(12))
        store = db.open("docs", embedder=(OLD, new))
        assert store.search("text 7", k=1)[0].id == "text-00007"
        HandMove(*backends, model=new).run()
        assert store.search("text 7", k=1)[0].id == "text-00007"
        store.upsert([Record("more", text="another text")])
        assert store.schema.dim == new.dim
        assert there.open("docs", embedder=new).search("another text", k=1)[0].id == "more"

    def test_the_way_back(self, db: Database, there: Database, backends: tuple[Backend, Backend]) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(5)))
        move = HandMove(*backends)
        move.run()
        store.upsert([make_book(5)])
        move.begin_way_back()
        store.upsert([make_book(6)])
        kept = key_by_id(make_books(range(7)))
        assert read_contents(store) == read_contents(db.open("docs")) == kept
        for deed in (lambda: there.open("docs"), lambda: there.drop("docs")):
            with pytest.raises(StoreMoved):
                deed()

    def test_a_child_of_a_fork_is_refused_both_places(self, db: Database, backends: tuple[Backend, Backend]) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(3)))
        HandMove(*backends).run()
        assert store.count() == 3

        def in_child() -> None:
            for deed in (store.count, lambda: db.open("docs"), lambda: store.upsert([make_book(5)])):
                with pytest.raises(ForkedStore, match="fork"):
                    deed()
            db.close()

        forked(in_child)
        assert store.upsert([make_book(3)]) == 1
        assert store.count() == 4

    def test_threads_notice_nothing(
        self, db: Database, there: Database, backends: tuple[Backend, Backend], seed: int
    ) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(20)))
        authors = [Author(db.open("docs"), name, seed) for name in ("ann", "bob")]
        authors.append(Author(store, "eve", seed))
        numbers = count()

        def read() -> None:
            assert store.get(["book-00007"]) == [make_book(7)]
            assert store.search([1, 2, 3, 4], k=next(numbers) % 20, where={"year": 2007}, exact=True) is not None

        with RepeatingThreads(*(author.step for author in authors), read) as threads:
            threads.wait_for(3)
            move = HandMove(*backends)
            threads.wait_for(2)
            move.copy()
            threads.wait_for(2)
            move.switch()
            threads.wait_for(5)
        written = [record for author in authors for record in author.kept.values()]
        assert read_contents(there.open("docs")) == key_by_id([*make_books(range(20)), *written])

    def test_the_successor_is_connected_while_the_move_runs(
        self, place: Place, other: Place, db: Database, backends: tuple[Backend, Backend]
    ) -> None:
        """So the call that follows need not wait for a driver."""
        if not place.shared:
            pytest.skip("the successor of this place is open already")
        store = db.create("docs", SCHEMA)
        successor = db._route.successor
        assert successor is not None
        store.count()
        assert not successor.is_connected
        HandMove(*backends)
        assert isinstance(db.open("docs"), VectorStore)
        assert successor._thread is not None
        successor._thread.join(PATIENCE)
        assert successor.is_connected
