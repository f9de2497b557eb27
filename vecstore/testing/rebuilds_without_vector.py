"""Rebuilds of stores whose records may lack a vector, and what a backend does below the facade."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ..backend import Backend, Entry, Generation, Update
from ..database import Database
from ..errors import EmbedderRequired, InvalidVector
from ..filters.field_ref import F
from ..filters.nodes import ALL, Compare
from ..index_options import HNSW
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .author import Author
from .backend_level import BackendLevel, check_storage, make_rows, new_generation, read_changed_ids, read_versions
from .place import Place
from .rebuild_fixtures import OLD, PAGES, SmallPages, new_model
from .sample_records import SCHEMA, WIDER, key_by_id, make_book, make_books, make_vector, read_contents
from .threads import RepeatingThreads
from .without_vector import INDEXED, OPTIONAL, OptionalVectors, check_contents, make_mixed

OPTIONAL_WIDER = replace(WIDER, vectors="optional")


class VectorlessRebuildTests(OptionalVectors, SmallPages):
    """`Database.rebuild` and `rollback`."""

    def test_a_copy_has_them(self, place: Place, db: Database, store: VectorStore) -> None:
        report = db.rebuild("docs", schema=replace(OPTIONAL_WIDER, dtype="float16"))
        assert (report.copied, report.overlap) == (60, 1.0)
        check_contents(store, make_mixed(range(60)), place)
        store.update(ids=["book-00003", "book-00006"], vector=[1, 2, 3, 4])
        store.update(ids=["book-00004"], vector=None)
        db.rollback("docs")
        books = key_by_id(make_mixed(range(60)))
        books |= {id_: replace(books[id_], vector=[1, 2, 3, 4]) for id_ in ("book-00003", "book-00006")}
        books["book-00004"] = replace(books["book-00004"], vector=None)
        check_contents(store, books.values(), place)

    def test_vectors_become_optional(self, place: Place, db: Database) -> None:
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(50)))
        db.rebuild("docs", schema=OPTIONAL)
        assert db.open("docs").schema.vectors == "optional"
        assert store.upsert([Record("none"), replace(make_book(3), vector=None)]) == 2
        books = [*make_books(range(50)), Record("none"), replace(make_book(3), vector=None)]
        check_contents(store, key_by_id(books).values(), place)
        with pytest.raises(InvalidVector, match="'book-00003', 'none'"):
            db.rollback("docs")
        store.delete(ids=["none"])
        store.upsert([make_book(3)])
        db.rollback("docs")
        assert db.open("docs").schema.vectors == "required"
        check_contents(store, make_books(range(50)), place)

    def test_vectors_become_required_only_where_all_are_there(self, place: Place, db: Database) -> None:
        store = db.create("docs", INDEXED)
        store.insert(make_mixed(range(60)))
        required = replace(INDEXED, vectors="required")
        named = ", ".join(f"'book-{number:05}'" for number in range(0, 30, 3))
        with pytest.raises(InvalidVector, match=f"first 10 are {named}\\."):
            db.rebuild("docs", schema=required)
        assert place.backend().find(name="docs").building is None
        check_storage(place, place.backend())
        check_contents(store, make_mixed(range(60)), place)
        store.delete(where=F.lang == "de")
        db.rebuild("docs", schema=required)
        left = [each for each in make_mixed(range(60)) if each.vector is not None]
        check_contents(store, left, place)
        with pytest.raises(InvalidVector):
            store.upsert([Record("none")])

    def test_one_that_appears_meanwhile_stops_the_rebuild(self, db: Database) -> None:
        store = db.create("docs", OPTIONAL)
        store.insert(make_books(range(PAGES)))

        def write(phase: str, done: int, total: int | None) -> None:
            store.upsert([Record("zzz")])

        with pytest.raises(InvalidVector, match="'zzz'"):
            db.rebuild("docs", schema=replace(OPTIONAL, vectors="required"), on_progress=write)
        assert store.schema.vectors == "optional"
        check_contents(store, [*make_books(range(PAGES)), Record("zzz")])

    def test_a_first_model_embeds_what_lacks_a_vector(self, db: Database) -> None:
        store = db.create("texts", Schema(dim=8, vectors="optional"))
        store.insert([Record("a", text="red apple"), Record("b"), Record("c", text="blue sky")])
        new = new_model()
        report = db.rebuild("texts", embedder=new)
        assert (report.records, report.embedded) == (3, True)
        store = db.open("texts", embedder=new)
        assert [record.id for record in store.scan() if record.vector is None] == ["b"]
        assert store.search("blue sky", k=3)[0].id == "c"
        db.rollback("texts")
        assert [record.id for record in store.scan()] == ["a", "b", "c"]

    def test_another_model_leaves_alone_what_was_not_embedded(self, db: Database) -> None:
        store = db.create("texts", Schema(vectors="optional"), embedder=OLD)
        store.insert([Record("a", text="red apple"), Record("b", text="green pear", embed=False), Record("c")])
        new = new_model()
        db.rebuild("texts", embedder=new)
        store = db.open("texts", embedder=new)
        assert [record.id for record in store.scan() if record.vector is not None] == ["a"]
        store.upsert([Record("d", text="blue sky")])
        with pytest.raises(EmbedderRequired, match="'d'"):
            db.rollback("texts")
        db.rollback("texts", embedder=OLD)
        store = db.open("texts", embedder=OLD)
        assert [record.id for record in store.scan() if record.vector is not None] == ["a", "d"]

    def test_a_vector_without_text_is_not_lost_to_a_new_model(self, db: Database) -> None:
        store = db.create("texts", Schema(vectors="optional"), embedder=OLD)
        store.insert([Record("a", text="red apple"), Record("b", [1.0] * 8)])
        with pytest.raises(InvalidVector, match="'b'"):
            db.rebuild("texts", embedder=new_model())
        assert [record.id for record in store.scan() if record.vector is not None] == ["a", "b"]

    def test_under_writers(self, db: Database, seed: int) -> None:
        store = db.create("docs", OPTIONAL)
        base = [replace(make_book(number, metadata={"at": None}), vector=None) for number in range(PAGES)]
        store.insert(base)
        authors = [Author(db.open("docs"), name, seed, lacks=True) for name in ("ann", "bob")]
        with RepeatingThreads(*(author.step for author in authors)) as threads:
            schema = OPTIONAL_WIDER.with_index(HNSW(m=8))
            db.rebuild("docs", schema=schema, on_progress=lambda phase, done, total: threads.wait_for(3))
            threads.wait_for(3)
            db.rollback("docs")
            threads.wait_for(3)
        kept = [*base, *(record for author in authors for record in author.kept.values())]
        assert read_contents(store) == key_by_id(kept)
        check_contents(store, kept)


class VectorlessRowTests(BackendLevel):
    """Below the facade."""

    @pytest.fixture
    def active(self, backend: Backend) -> Generation:
        """Return a store with thirty books, every third without a vector."""
        active = backend.create("docs", new_generation(OPTIONAL)).active
        backend.write(active, make_rows(*make_mixed(range(30)), schema=OPTIONAL), insert=True)
        return active

    def test_rows_say_what_is_present(self, backend: Backend, active: Generation) -> None:
        page = backend.page(active, None, None, 100)
        assert page.present is not None
        assert page.vectors is not None
        assert page.present.tolist() == [number % 3 != 0 for number in range(30)]
        wanted = [make_vector(number) * (number % 3 != 0) for number in range(30)]
        assert np.array_equal(page.vectors, np.array(wanted))
        assert page.vectors.dtype == np.float32
        alone = backend.fetch(active, ["book-00003"])
        assert alone.present is not None
        assert not alone.present.any()
        assert backend.fetch(active, ["book-00001", "book-00002"]).present in (None, [True, True])

    def test_a_sample_has_vectors(self, backend: Backend, active: Generation) -> None:
        every = [f"book-{number:05}" for number in range(30) if number % 3]
        assert list(backend.sample(active, None, 100).ids) == every
        assert list(backend.sample(active, None, 5).ids) == every[::4]
        assert not len(backend.sample(active, Compare("lang", "eq", "de"), 5))
        assert list(backend.sample(active, Compare("lang", "eq", "en"), 100).ids) == every[::2]

    def test_those_without_are_found(self, backend: Backend, active: Generation) -> None:
        lacking = [f"book-{number:05}" for number in range(0, 30, 3)]
        assert backend.find_without_vector(active, 100) == lacking
        assert backend.find_without_vector(active, 3) == lacking[:3]
        backend.delete(active, lacking[1:])
        assert backend.find_without_vector(active, 100) == lacking[:1]
        state = backend.index_state(active)
        assert (state.rows, state.vectors, state.without_vector) == (21, 20, 1)

    def test_versions_fences_and_notes(self, backend: Backend, active: Generation) -> None:
        backend.create("docs", new_generation(OPTIONAL, standby=True))
        bare = make_rows(Record("book-00001"), Record("new"), schema=OPTIONAL)
        assert backend.write(active, bare, insert=False, fence=[7, 8]) == 2
        assert backend.write(active, make_rows(make_book(1), schema=OPTIONAL), insert=False, fence=[6]) == 0
        update = Update({}, {}, removes_vector=True)
        assert backend.update(active, ["book-00001", "book-00002"], update) == 2
        versions = read_versions(backend, active)
        assert (versions["book-00001"], versions["book-00002"], versions["new"]) == (7, 0, 8)
        assert sorted(read_changed_ids(backend, active)) == ["book-00001", "book-00002", "new"]
        assert backend.write(active, make_rows(make_book(1), schema=OPTIONAL), insert=False, fence=[9]) == 1
        assert "book-00001" not in backend.find_without_vector(active, 100)
        assert backend.delete(active, ["new"], fence=[9]) == 1
        assert backend.tombstones(active, None, 10) == {"new": 9}

    def test_updates_of_both_kinds(self, backend: Backend, active: Generation) -> None:
        given = np.array([1, 2, 3, 4], np.float32)
        assert backend.update(active, Compare("lang", "eq", "de"), Update({}, {}, given)) == 10
        assert backend.find_without_vector(active, 1) == []
        assert backend.update(active, ALL, Update({"year": 1}, {"x": "2"}, removes_vector=True)) == 30
        page = backend.page(active, Compare("year", "eq", 1), None, 100)
        assert len(page) == 30
        assert page.present is not None
        assert not page.present.any()

    def test_a_required_store_has_all(self, backend: Backend, entry: Entry) -> None:
        backend.write(entry.active, make_rows(*make_books(range(5))), insert=True)
        assert backend.page(entry.active, None, None, 10).present is None
        assert backend.find_without_vector(entry.active, 10) == []
