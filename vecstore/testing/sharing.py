"""Several users of one place: Databases, threads and processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

import pytest

from .. import fields
from ..database import Database
from ..errors import RecordExists, StoreNotFound
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .author import Author
from .place import Place, Places
from .rebuild_fixtures import OLD, TEXT_SCHEMA, make_texts, start_author
from .sample_records import SCHEMA, key_by_id, make_book, make_books, make_vector, read_contents
from .threads import RepeatingThreads, run_at_once


class Stamped(Places):
    """Batches whose records all carry the same stamp: a reader that sees two of them saw half a commit."""

    SIZE = 40

    def stamped(self, stamp: int) -> list[Record]:
        """Return a batch."""
        return [Record(f"s{number:02}", make_vector(number), metadata={"year": stamp}) for number in range(self.SIZE)]

    def see_one_stamp(self, store: VectorStore) -> int:
        """Read the batch in every way and return its stamp."""
        last = 0
        hits = store.search([1, 2, 3, 4], k=self.SIZE, exact=True)
        found = store.get([hit.id for hit in hits])
        page = list(store.scan())
        for metadata in (
            [dict(hit.metadata or {}) for hit in hits],
            [dict(record.metadata) for record in found if record],
            [dict(record.metadata) for record in page],
        ):
            stamps = {values["year"] for values in metadata}
            assert (len(stamps), len(metadata)) == (1, self.SIZE)
            assert min(stamps) >= last, "a later read sees an earlier state"
            last = min(stamps)
        return last


class DatabasesTests(Stamped):
    """Two Databases on one place."""

    @pytest.fixture
    def other(self, place: Place) -> Iterator[Database]:
        """Return a second Database on the place of ``db``."""
        if not place.shared:
            pytest.skip("a second connection sees nothing of this place")
        with place.connect() as other:
            yield other

    def test_both_see_every_name(self, db: Database, other: Database) -> None:
        db.create("one", SCHEMA)
        other.create("two", SCHEMA)
        assert db.names() == other.names() == ["one", "two"]
        other.rename("one", "three")
        db.drop("two")
        assert db.names() == other.names() == ["three"]

    def test_a_handle_lives_through_what_the_other_does(self, db: Database, other: Database) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(5)))
        other.rename("docs", "renamed")
        assert store.count() == 5
        schema = Schema(dim=4, metric="l2", dtype="float16", fields={**SCHEMA.fields, "pages": fields.Int()})
        other.rebuild("renamed", schema=schema, keep_previous=False)
        assert store.count(F.pages.is_missing()) == 5
        store.upsert([make_book(5, metadata={"pages": 7})])
        assert other.open("renamed").count(F.pages == 7) == 1
        assert read_contents(store) == key_by_id([*make_books(range(5)), make_book(5, metadata={"pages": 7})])
        other.drop("renamed")
        with pytest.raises(StoreNotFound):
            store.count()

    def test_a_name_given_again_is_another_store(self, db: Database, other: Database) -> None:
        store = db.create("docs", SCHEMA)
        other.drop("docs")
        fresh = other.create("docs", SCHEMA)
        with pytest.raises(StoreNotFound):
            store.upsert([make_book(1)])
        assert fresh.count() == 0

    def test_readers_see_whole_commits_in_order(self, db: Database, other: Database) -> None:
        writer, turns = db.create("docs", SCHEMA), count(1)
        writer.insert(self.stamped(0))

        def write() -> None:
            stamp = next(turns)
            if stamp % 2:
                writer.upsert(self.stamped(stamp))
            else:
                writer.update(where=ALL, metadata={"year": stamp})

        reader, seen = other.open("docs"), []
        with RepeatingThreads(write) as threads:
            for _ in range(10):
                seen.append(self.see_one_stamp(reader))
                threads.wait_for(1)
        assert seen == sorted(seen)
        assert seen[-1] > 0


class ThreadsTests(Stamped):
    """Threads that share a Database and its stores."""

    def test_eight_threads(self, db: Database, seed: int) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(20)))
        authors = [Author(store, name, seed) for name in ("ann", "bob", "eve", "ian")]

        def search() -> None:
            hits = store.search(make_vector(3), k=20, where=F.lang.in_(["de", "en", "fr"]), exact=True)
            assert (len(hits), hits[0].id, hits[0].score) == (20, "book-00003", 0)

        def read() -> None:
            ids = [f"book-{number:05}" for number in range(20)]
            assert store.get(ids) == make_books(range(20))
            assert [record.id for record in store.scan(F.lang == "de")] == ids[::3]

        def number() -> None:
            assert store.count({"lang": "en"}) == 7
            assert store.similar_to("book-00001", k=1, where={"lang": "en"}, exact=True)[0].id != "book-00001"

        def other_store() -> None:
            own = db.create("own", SCHEMA, if_exists="open")
            own.upsert(make_books(range(5)))
            assert own.delete(where=ALL) == 5

        with RepeatingThreads(*(author.step for author in authors), search, read, number, other_store) as threads:
            threads.wait_for(12)
        written = [record for author in authors for record in author.kept.values()]
        assert read_contents(store) == key_by_id([*make_books(range(20)), *written])
        assert db.open("own").count() == 0

    def test_of_several_inserts_of_an_id_one_succeeds(self, db: Database) -> None:
        store = db.create("docs", SCHEMA)

        def insert() -> int:
            try:
                return store.insert([make_book(1)])
            except RecordExists:
                return 0

        assert sum(run_at_once(*[insert] * 8)) == 1
        assert read_contents(store) == key_by_id([make_book(1)])

    def test_no_update_is_lost(self, db: Database) -> None:
        store = db.create("docs", SCHEMA)
        store.insert([make_book(1)])

        def update(key: str) -> None:
            for turn in range(10):
                assert store.update(ids=["book-00001"], metadata={key: turn}) == 1

        run_at_once(*[lambda key=key: update(key) for key in ("year", "a", "b", "c")])
        assert store.get(["book-00001"]) == [make_book(1, metadata={"year": 9, "a": 9, "b": 9, "c": 9})]

    def test_batches_are_seen_whole(self, db: Database) -> None:
        store, turns = db.create("docs", SCHEMA), count(1)
        store.insert(self.stamped(0))
        with RepeatingThreads(lambda: store.upsert(self.stamped(next(turns)))) as threads:
            for _ in range(10):
                self.see_one_stamp(store)
                threads.wait_for(1)


class ProcessesTests(Places):
    """Processes that write at the same time."""

    @pytest.fixture
    def shared_place(self, place: Place) -> Place:
        """Return a place that other processes see."""
        if not place.processes:
            pytest.skip("no other process sees this place")
        return place

    def test_everything_that_was_acknowledged_is_there(self, shared_place: Place, db: Database, seed: int) -> None:
        store = db.create("texts", TEXT_SCHEMA, embedder=OLD)
        own = Author(store, "own", seed, embeds=True)
        with start_author(shared_place, "ann", seed) as ann, start_author(shared_place, "bob", seed) as bob:
            with RepeatingThreads(ann.ask, bob.ask, own.step, pause=0) as threads:
                threads.wait_for(20)
            kept = {id_: record.text for id_, record in own.kept.items()}
            for each in (ann, bob):
                kept |= {id_: text for id_, (text, _) in json.loads(each.finish()).items()}
        assert {id_: record.text for id_, record in read_contents(store).items()} == kept

    def test_a_killed_writer_holds_nothing(self, shared_place: Place, db: Database, seed: int) -> None:
        store = db.create("texts", TEXT_SCHEMA, embedder=OLD)
        for _ in range(3):
            with start_author(shared_place, "ann", seed) as writer:
                writer.ask()
                writer.write()  # perhaps in the middle of this one
                writer.kill()
            assert store.upsert(make_texts(5)) == 5
            try:
                read_contents(store)
            except AssertionError:  # a server did the last statement of the dead in between: there is no second one
                read_contents(store)
            assert store.delete(where=ALL) >= 5
