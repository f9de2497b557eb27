"""Records without a vector: read, filtered, counted, changed and removed like any other, and never a hit."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ..database import Database
from ..errors import (
    EmbedderRequired,
    InvalidQuery,
    InvalidVector,
    RecordExists,
    SchemaMismatch,
)
from ..filters.field_ref import F
from ..index_options import HNSW
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Place, Places
from .sample_records import SCHEMA, key_by_id, make_book, make_books, make_vector

OPTIONAL = replace(SCHEMA, vectors="optional")
INDEXED = replace(OPTIONAL, index=HNSW(m=8, ef_construction=40))
"""A graph, where the place builds one over a few dozen records."""


def has_vector(number: int) -> bool:
    """Say whether the book of a number has a vector here."""
    return number % 3 != 0


def make_mixed(numbers: Iterable[int]) -> list[Record]:
    """Return books, every third of them without a vector."""
    books = zip(numbers, make_books(numbers := list(numbers)), strict=True)
    return [book if has_vector(number) else replace(book, vector=None) for number, book in books]


def check_contents(store: VectorStore, expected: Iterable[Record], place: Place | None = None) -> None:
    """Check that each way of reading sees these records, that searches find those with a vector, and raw storage."""
    wanted = key_by_id(expected)
    found = list(store.scan())
    assert [record.id for record in found] == sorted(wanted)
    assert key_by_id(found) == wanted
    assert store.get(list(wanted)) == list(wanted.values())
    assert store.count() == len(wanted)
    searchable = {id_ for id_, record in wanted.items() if record.vector is not None}
    for exact in (True, False):
        for k in (len(wanted) + 1, max(1, len(searchable))):
            hits = store.search(np.ones(store.schema.width), k=k, exact=exact)
            assert ({hit.id for hit in hits}, hits.complete) == (searchable, True)
    assert store.verify().problems == ()
    assert store.index_status().without_vector == len(wanted) - len(searchable)
    raw = None if place is None else place.raw(store.name)
    if raw is not None:
        assert {id_ for id_, record in raw.items() if record.vector is not None} == searchable
        assert raw.keys() == wanted.keys()


class OptionalVectors(Places):
    """Stores whose records may lack a vector."""

    @pytest.fixture(params=[OPTIONAL, INDEXED], ids=["flat", "hnsw"])
    def store(self, db: Database, request: pytest.FixtureRequest) -> VectorStore:
        """Return a store with 60 books, a third of them without a vector."""
        store = db.create("docs", request.param)
        store.insert(make_mixed(range(60)))
        return store


class WithoutVectorTests(OptionalVectors):
    """Reading, searching and writing."""

    def test_they_are_read_and_never_hits(self, place: Place, store: VectorStore) -> None:
        check_contents(store, make_mixed(range(60)), place)

    def test_they_match_filters(self, store: VectorStore) -> None:
        where = F.lang == "de"  # every third book: none of them has a vector
        assert store.count(where) == 20
        assert {record.id for record in store.scan(where)} == {f"book-{number:05}" for number in range(0, 60, 3)}
        for exact in (True, False):
            hits = store.search(make_vector(1), k=5, where=where, exact=exact)
            assert (len(hits), hits.complete) == (0, True)

    def test_random_filters_find_what_has_a_vector(self, store: VectorStore, seed: int) -> None:
        draw = random.Random(seed)
        books = make_mixed(range(60))
        for _ in range(25):
            low, high = sorted(draw.choices(range(2000, 2020), k=2))
            chosen = [each for each in books if low <= each.metadata["year"] <= high]
            searchable = {each.id for each in chosen if each.vector is not None}
            where, k = F.year.between(low, high), draw.choice([1, 5, 60])
            assert store.count(where) == len(chosen)
            for exact in (True, False):
                hits = store.search(make_vector(draw.randrange(99)), k=k, where=where, exact=exact)
                assert len(hits) == min(k, len(searchable))
                assert {hit.id for hit in hits} <= searchable

    def test_many_queries_at_once(self, store: VectorStore) -> None:
        queries = [make_vector(number) for number in range(20)]
        searchable = {each.id for each in make_mixed(range(60)) if each.vector is not None}
        for exact in (True, False):
            for hits in store.search_many(queries, k=60, exact=exact):
                assert {hit.id for hit in hits} == searchable

    def test_a_vector_near_zero_is_no_reason_to_match(self, db: Database) -> None:
        store = db.create("near", Schema(dim=2, metric="l2", vectors="optional"))
        store.insert([Record("none", metadata={"x": 1}), Record("zero", [0, 0]), Record("far", [9, 9])])
        hits = store.search([0, 0], k=3, min_score=-20, include=["vector", "metadata"])
        assert [hit.id for hit in hits] == ["zero", "far"]
        assert hits[0].vector is not None

    @pytest.mark.parametrize("index", [OPTIONAL, INDEXED], ids=["flat", "hnsw"])
    def test_a_store_without_any_vector(self, place: Place, db: Database, index: Schema) -> None:
        store = db.create("bare", index)
        books = [replace(book, vector=None) for book in make_books(range(50))]
        store.insert(books)
        for exact in (True, False):
            hits = store.search([1, 2, 3, 4], k=3, exact=exact)
            assert (len(hits), hits.complete) == (0, True)
        store.reindex()
        assert store.calibrate() is None
        assert store.measure_recall(10).queries == 0
        store.compact()
        check_contents(store, books, place)

    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    @pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
    def test_every_metric_and_dtype(self, db: Database, metric: Any, dtype: str) -> None:
        store = db.create("docs", replace(INDEXED, metric=metric, dtype=dtype))
        store.insert(make_mixed(range(45)))
        searchable = {each.id for each in make_mixed(range(45)) if each.vector is not None}
        for exact in (True, False):
            assert {hit.id for hit in store.search(make_vector(1), k=45, exact=exact)} == searchable
            assert store.search(make_vector(1), k=2, exact=exact)[0].score > -10

    def test_nothing_is_similar_to_them(self, store: VectorStore) -> None:
        with pytest.raises(InvalidQuery, match=r"'book-00003' has no vector.*update"):
            store.similar_to("book-00003")
        assert len(store.similar_to("book-00001", k=60)) == 39

    def test_they_are_no_probes(self, store: VectorStore) -> None:
        store.reindex()
        store.calibrate()
        status = store.index_status()
        assert (status.rows, status.without_vector) == (60, 20)
        assert status.indexed in {0, 40}
        assert store.measure_recall(60, k=5).queries == 40
        assert store.measure_recall(60, k=5, where=F.lang == "de").queries == 0

    def test_insert_and_upsert(self, place: Place, store: VectorStore) -> None:
        books = key_by_id(make_mixed(range(60)))
        with pytest.raises(RecordExists):
            store.insert([Record("new"), Record("book-00003")])
        gained, lost = make_book(3), replace(make_book(4), vector=None)
        assert store.upsert([gained, lost, Record("only-an-id"), Record("text", text="a text")]) == 4
        books |= key_by_id([gained, lost, Record("only-an-id"), Record("text", text="a text")])
        check_contents(store, books.values(), place)

    def test_the_last_of_twins_counts(self, store: VectorStore) -> None:
        store.upsert([Record("a", [1, 2, 3, 4]), Record("a"), Record("b"), Record("b", [1, 2, 3, 4])])
        assert store.get(["a", "b"]) == [Record("a"), Record("b", [1, 2, 3, 4])]

    def test_a_copy_by_hand_is_the_same(self, db: Database, store: VectorStore) -> None:
        copy = db.create("copy", OPTIONAL)
        copy.upsert(store.scan())
        check_contents(copy, make_mixed(range(60)))

    def test_delete(self, place: Place, store: VectorStore) -> None:
        assert store.delete(ids=["book-00003", "book-00004"]) == 2
        assert store.delete(where=F.lang == "de") == 19
        assert store.delete(where=F.year == 2001) > 0
        left = [each for each in make_mixed(range(60)) if each.metadata["lang"] != "de"]
        left = [each for each in left if each.id != "book-00004" and each.metadata["year"] != 2001]
        check_contents(store, left, place)

    def test_upkeep_and_compaction(self, place: Place, store: VectorStore) -> None:
        books = key_by_id(make_mixed(range(60)))
        for start in range(0, 60, 7):
            changed = make_mixed(range(start + 1, start + 5))
            renamed = [replace(each, id=f"book-{start + number:05}") for number, each in enumerate(changed)]
            store.upsert(renamed)
            books |= key_by_id(renamed)
        check_contents(store, books.values(), place)
        store.compact()
        check_contents(store, books.values(), place)
        store.reindex()
        check_contents(store, books.values(), place)

    def test_another_connection_sees_them(self, place: Place, store: VectorStore) -> None:
        if not place.shared:
            pytest.skip("a second connection sees nothing of this place")
        with place.connect() as other:
            check_contents(other.open("docs"), make_mixed(range(60)))
            assert other.open("docs").schema.vectors == "optional"

    def test_the_default_requires_vectors(self, db: Database) -> None:
        store = db.create("required", SCHEMA)
        assert store.schema.vectors == "required"
        with pytest.raises(InvalidVector, match=r"'a' .*vectors='optional'"):
            store.upsert([Record("a")])
        with pytest.raises(EmbedderRequired, match=r"'a' .*vectors='optional'"):
            store.upsert([Record("a", text="a text")])
        with pytest.raises(InvalidVector, match=r"'a' .*embed=False"):
            store.upsert([Record("a", text="a text", embed=False)])
        with pytest.raises(SchemaMismatch, match="vectors is required, not optional"):
            db.create("required", OPTIONAL, if_exists="open")
        assert store.count() == 0

    def test_a_handle_from_before_the_change_knows_it(self, db: Database) -> None:
        """Its schema still says that vectors are required when a call begins."""
        changes: list[Callable[[VectorStore], int]] = [
            lambda store: store.update(ids=["a"], vector=None),
            lambda store: store.upsert([Record("a")]),
            lambda store: store.upsert([Record("a", text="a text")]),
        ]
        for number, change in enumerate(changes):
            store = db.create(f"required{number}", SCHEMA)
            store.insert([Record("a", [1, 2, 3, 4])])
            db.rebuild(f"required{number}", schema=OPTIONAL)
            change(store)
            [found] = store.get(["a"])
            assert found is not None
            assert found.vector is None

    def test_bad_vectors_are_still_refused_by_name(self, store: VectorStore) -> None:
        with pytest.raises(InvalidVector, match="'bad'"):
            store.upsert([Record("none"), Record("good", [1, 2, 3, 4]), Record("bad", [1, 2, float("nan"), 4])])
        assert store.get(["none", "good"]) == [None, None]

    def test_the_schema_is_json(self) -> None:
        described = json.loads(json.dumps(OPTIONAL.to_dict()))
        assert Schema.from_dict(described) == OPTIONAL
        assert "vectors" not in SCHEMA.to_dict()
