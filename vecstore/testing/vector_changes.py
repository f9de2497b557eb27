"""Vectors that come and go: updates, embedders, and records that stay without one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ..database import Database
from ..errors import EmbedderMismatch, EmbedderRequired, InvalidArgument, InvalidVector
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Place
from .sample_records import SCHEMA, key_by_id, make_book, make_books
from .toy_embedder import ToyEmbedder
from .without_vector import OptionalVectors, check_contents, make_mixed


class VectorChangeTests(OptionalVectors):
    """`VectorStore.update` gives and removes vectors; embedders and records that stay without."""

    def test_a_vector_is_given(self, place: Place, store: VectorStore) -> None:
        assert store.update(ids=["book-00003", "book-00004", "absent"], vector=[1, 2, 3, 4]) == 2
        books = key_by_id(make_mixed(range(60)))
        books |= {id_: replace(books[id_], vector=[1, 2, 3, 4]) for id_ in ("book-00003", "book-00004")}
        check_contents(store, books.values(), place)

    def test_a_vector_is_removed(self, place: Place, store: VectorStore) -> None:
        assert store.update(where=F.year <= 2004, vector=None) == 15
        books = make_mixed(range(60))
        check_contents(
            store, [replace(each, vector=None) if each.metadata["year"] <= 2004 else each for each in books], place
        )
        assert store.update(where=ALL, vector=None) == 60
        assert len(store.search([1, 2, 3, 4])) == 0
        check_contents(store, [replace(each, vector=None) for each in books], place)

    def test_other_parts_change_and_the_vector_stays_away(self, place: Place, store: VectorStore) -> None:
        assert store.update(where=ALL, metadata={"note": [1], "year": 7}) == 60
        books = [replace(each, metadata={**each.metadata, "note": [1], "year": 7}) for each in make_mixed(range(60))]
        check_contents(store, books, place)
        assert store.update(ids=["book-00003", "book-00004"], text=None) == 2
        books = [replace(each, text=None) if each.id in {"book-00003", "book-00004"} else each for each in books]
        check_contents(store, books, place)

    def test_a_new_text_needs_a_vector_or_its_removal(self, store: VectorStore) -> None:
        with pytest.raises(EmbedderRequired):
            store.update(ids=["book-00004"], text="new")
        assert store.update(ids=["book-00004"], text="new", vector=None) == 1
        assert store.get(["book-00004"]) == [replace(make_book(4), text="new", vector=None)]

    def test_a_required_vector_is_not_removed(self, db: Database) -> None:
        store = db.create("required", SCHEMA)
        store.insert(make_books(range(3)))
        with pytest.raises(InvalidArgument, match=r"vector.*required"):
            store.update(where=ALL, vector=None)
        assert [hit.id for hit in store.search([1, 1, 1, 1], k=3)]

    def test_texts_are_embedded_unless_a_record_says_otherwise(self, db: Database) -> None:
        embedder = ToyEmbedder()
        store = db.create("texts", Schema(vectors="optional"), embedder=embedder)
        _ = embedder.identity
        embedder.documents.clear()
        records = [
            Record("embedded", text="red apple"), Record("not", text="green pear", embed=False),
            Record("no text"), Record("no text either", embed=False), Record("given", [1.0] * 8, "own", embed=False),
        ]  # fmt: skip
        assert store.insert(records) == 5
        assert embedder.documents == ["red apple"]
        found = {record.id: record.vector is not None for record in store.scan()}
        assert [id_ for id_, has in found.items() if has] == ["embedded", "given"]
        assert {hit.id for hit in store.search("green pear", k=5)} == {"embedded", "given"}
        store.upsert(store.scan())  # a record that was read without a vector says so
        assert {record.id: record.vector is not None for record in store.scan()} == found
        assert store.update(ids=["not"], text="green pear") == 1
        assert store.search("green pear", k=1)[0].id == "not"

    def test_mappings_say_it_too(self, db: Database) -> None:
        store = db.create("texts", Schema(vectors="optional"), embedder=ToyEmbedder())
        store.insert([{"id": "a", "text": "red", "embed": False}, {"id": "b", "text": "red"}, {"id": "c"}])
        assert [record.id for record in store.scan() if record.vector is not None] == ["b"]
        with pytest.raises(InvalidVector, match=r"'d'.*embed"):
            store.insert([{"id": "d", "text": "red", "embed": "no"}])

    def test_without_an_embedder_a_text_has_no_vector(self, db: Database) -> None:
        store = db.create("texts", Schema(dim=8, vectors="optional"))
        assert store.upsert([Record("a", text="red apple"), Record("b", text="blue sky", embed=False)]) == 2
        assert store.get(["a"]) == [Record("a", text="red apple")]
        assert len(store.search([1.0] * 8)) == 0

    def test_records_without_vectors_claim_no_embedder(self, db: Database) -> None:
        db.create("texts", Schema(dim=8, vectors="optional")).upsert([Record("a", text="red"), Record("b")])
        one, other = (db.open("texts", embedder=ToyEmbedder(8, seed=seed)) for seed in (1, 2))
        one.upsert([Record("c", text="kept as it is", embed=False), Record("d")])
        assert db.open("texts").embedder_identity is None
        other.upsert([Record("e", text="embedded")])  # no vector is there yet: this one may say whose they are
        with pytest.raises(EmbedderMismatch):
            one.upsert([Record("f", text="embedded")])
        one.upsert([Record("g", text="not embedded", embed=False)])
        assert [record.id for record in other.scan() if record.vector is not None] == ["e"]

    def test_vectors_of_unknown_origin_are_still_refused(self, db: Database) -> None:
        db.create("texts", Schema(dim=8, vectors="optional")).upsert([Record("a"), Record("b", [1.0] * 8)])
        with pytest.raises(EmbedderMismatch, match="claim"):
            db.open("texts", embedder=ToyEmbedder(8)).upsert([Record("c", text="embedded")])
