"""Update and delete: parts of records, and whole ones, by id and by filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ..database import Database
from ..errors import (
    DimensionMismatch,
    EmbedderRequired,
    InvalidArgument,
    InvalidFilter,
    InvalidId,
    InvalidMetadata,
    InvalidVector,
    UnknownField,
    VecstoreError,
)
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..records import Record
from ..rows.metadata import MAX_BYTES
from ..schema import Schema
from ..store import VectorStore
from .place import Place
from .sample_records import SampleStore, key_by_id, make_book, make_books, read_contents
from .toy_embedder import ToyEmbedder

BAD_SELECTIONS: dict[str, tuple[dict[str, Any], type[VecstoreError]]] = {
    "none": ({}, InvalidArgument),
    "both": ({"ids": ["book-00001"], "where": F.lang == "en"}, InvalidArgument),
    "both, no ids": ({"ids": [], "where": ALL}, InvalidArgument),
    "ids is a str": ({"ids": "book-00001"}, InvalidArgument),
    "ids is an int": ({"ids": 3}, InvalidArgument),
    "an id is None": ({"ids": ["book-00001", None]}, InvalidId),
    "an id is empty": ({"ids": ["book-00001", ""]}, InvalidId),
    "empty dict": ({"where": {}}, InvalidFilter),
    "empty condition": ({"where": {"lang": {}}}, InvalidFilter),
    "empty $or": ({"where": {"$or": []}}, InvalidFilter),
    "where is a str": ({"where": "lang"}, InvalidFilter),
    "where is True": ({"where": True}, InvalidFilter),
    "where None in it": ({"where": F.lang == None}, InvalidFilter),  # noqa: E711
    "undeclared field": ({"where": F.shelf == 1}, UnknownField),
    "wrong type": ({"where": F.year == "2001"}, InvalidFilter),
}
"""Selections that `update` and `delete` refuse; none of them may ever reach a record."""


def changed(number: int, values: Mapping[str, Any]) -> Record:
    """Return a book with other metadata; None removes a key."""
    return make_book(number, metadata=values)


class UpdateTests(SampleStore):
    """`VectorStore.update`."""

    def test_set_changes_keys_and_leaves_the_rest(self, store: VectorStore) -> None:
        new = {"lang": "xx", "year": -5, "tags": [], "price": 7, "note": {"deep": [1, None]}, "shelf": "gone"}
        assert store.update(ids=["book-00001"], metadata=new) == 1
        expected = key_by_id(make_books(range(10))) | {"book-00001": changed(1, new)}
        assert read_contents(store) == expected

    def test_filters_see_the_change_at_once(self, store: VectorStore) -> None:
        store.update(ids=["book-00001"], metadata={"lang": "xx", "year": None})
        assert [record.id for record in store.scan(F.lang == "xx")] == ["book-00001"]
        assert [record.id for record in store.scan(F.year.is_missing())] == ["book-00001"]
        assert store.count(F.lang == "en") == 2

    def test_none_and_unset_remove_a_key(self, store: VectorStore) -> None:
        assert store.update(ids=["book-00001"], metadata={"lang": None, "shelf": None}) == 1
        assert store.update(ids=["book-00002"], unset=["lang", "shelf"]) == 1
        assert store.update(ids=["book-00003"], unset=["never", "there"]) == 1
        gone = key_by_id([changed(1, {"lang": None, "shelf": None}), changed(2, {"lang": None, "shelf": None})])
        assert read_contents(store) == key_by_id(make_books(range(10))) | gone

    def test_set_and_unset_together(self, store: VectorStore) -> None:
        store.update(ids=["book-00001"], metadata={"lang": "xx"}, unset={"year", "shelf"})
        assert store.get(["book-00001"]) == [changed(1, {"lang": "xx", "year": None, "shelf": None})]

    def test_an_unchanged_record_counts_as_changed(self, store: VectorStore) -> None:
        assert store.update(where=ALL, metadata={"note": None}) == 10
        assert read_contents(store) == key_by_id(make_books(range(10)))

    def test_a_vector_is_replaced_alone(self, store: VectorStore) -> None:
        store.update(ids=["book-00001"], vector=[50, 50, 50, 50])
        old = make_book(1)
        assert store.get(["book-00001"]) == [Record(old.id, [50, 50, 50, 50], old.text, old.metadata)]
        assert store.search([50, 50, 50, 50], k=1)[0].score == 0

    def test_a_text_is_replaced_with_its_vector(self, store: VectorStore) -> None:
        store.update(ids=["book-00001"], text="new", vector=[50, 50, 50, 50])
        assert store.get(["book-00001"]) == [Record("book-00001", [50, 50, 50, 50], "new", make_book(1).metadata)]

    def test_a_text_is_removed_and_the_vector_stays(self, store: VectorStore) -> None:
        store.update(ids=["book-00001"], text=None)
        old = make_book(1)
        assert store.get(["book-00001"]) == [Record(old.id, old.vector, None, old.metadata)]

    def test_new_text_without_embedder_is_refused(self, store: VectorStore) -> None:
        with pytest.raises(EmbedderRequired, match="embedder="):
            store.update(where=ALL, metadata={"lang": "xx"}, text="new")
        assert read_contents(store) == key_by_id(make_books(range(10)))

    def test_new_text_is_embedded_again(self, db: Database) -> None:
        embedder = ToyEmbedder()
        store = db.create("texts", Schema(metric="cosine"), embedder=embedder)
        store.insert([Record("a", text="red apple"), Record("b", text="green pear"), Record("c", text="blue sky")])
        assert store.update(ids=["b", "c"], text="red apple") == 2
        vectors = [np.asarray(record.vector) for record in store.get(["a", "b", "c"]) if record]
        assert [record.text for record in store.scan()] == ["red apple"] * 3
        assert (vectors[1] == vectors[2]).all()
        assert np.allclose(vectors[0], vectors[1], atol=1e-6)
        assert store.search("red apple", k=3)[2].score > 0.999

    def test_text_with_its_vector_is_not_embedded(self, db: Database) -> None:
        embedder = ToyEmbedder(4)
        store = db.create("texts", Schema(metric="l2"), embedder=embedder)
        store.insert([Record("a", [1, 2, 3, 4], "red apple")])
        embedder.documents.clear()
        store.update(ids=["a"], text="green pear", vector=[4, 3, 2, 1])
        assert store.get(["a"]) == [Record("a", [4, 3, 2, 1], "green pear")]
        assert embedder.documents == []

    def test_keys_named_like_a_records_parts_are_metadata(self, place: Place, store: VectorStore) -> None:
        parts = {"id": "x", "text": "metadata", "vector": [1], "score": 2, "set": None}
        assert store.update(ids=["book-00001"], metadata=parts) == 1
        assert store.update(ids=["book-00002"], metadata=parts, text=None, vector=[5, 5, 5, 5]) == 1
        assert store.update(ids=["book-00001"], unset=["text", "id"]) == 1
        expected = changed(1, {"vector": [1], "score": 2})
        other = changed(2, {name: value for name, value in parts.items() if value is not None})
        assert store.get(["book-00001", "book-00002"]) == [
            expected, Record("book-00002", [5, 5, 5, 5], None, other.metadata)
        ]  # fmt: skip
        stored = place.raw(store.name)
        assert stored is None or stored["book-00001"].text == make_book(1).text
        assert store.update(where=ALL, unset=["text", "vector", "id"]) == 10
        assert store.get(["book-00003"]) == [make_book(3)]

    def test_the_former_spelling_is_refused_with_the_new_one(self, store: VectorStore) -> None:
        for former in ({"lang": "xx"}, {"text": "new"}, {}, "lang"):
            with pytest.raises(InvalidArgument, match=r"update\(metadata=.*text=.*vector=.*unset="):
                store.update(where=ALL, set=former)  # type: ignore[arg-type]
        assert read_contents(store) == key_by_id(make_books(range(10)))

    def test_absent_ids_are_not_counted_and_repeated_ones_once(self, store: VectorStore) -> None:
        assert store.update(ids=["book-00001", "absent", "book-00001", "book-00002"], metadata={"year": 1}) == 2
        assert store.update(ids=["absent"], metadata={"year": 1}) == 0
        assert store.update(ids=[], metadata={"year": 1}) == 0
        assert store.update(ids=iter(["book-00003"]), metadata={"year": 1}) == 1
        assert [record.id for record in store.scan(F.year == 1)] == ["book-00001", "book-00002", "book-00003"]

    def test_by_filter_in_both_spellings(self, store: VectorStore) -> None:
        assert store.update(where=(F.year >= 2005) & (F.lang == "fr"), metadata={"note": 1}) == 2
        assert store.update(where={"year": {"$lt": 2002}}, metadata={"note": 1}) == 2
        assert store.update(where=F.lang == "no such", metadata={"note": 1}) == 0
        noted = [record.id for record in store.scan() if "note" in record.metadata]
        assert noted == ["book-00000", "book-00001", "book-00005", "book-00008"]

    def test_the_filter_may_name_what_is_changed(self, store: VectorStore) -> None:
        assert store.update(where=F.year <= 2004, metadata={"year": 2009}) == 5
        assert store.count(F.year == 2009) == 6
        assert store.update(where=F.year.exists(), unset=["year"]) == 10
        assert store.update(where=F.year.exists(), unset=["year"]) == 0

    def test_everything(self, store: VectorStore) -> None:
        assert store.update(where=ALL, metadata={"lang": "xx"}) == 10
        assert read_contents(store) == key_by_id(changed(number, {"lang": "xx"}) for number in range(10))

    @pytest.mark.parametrize("kind", BAD_SELECTIONS)
    def test_selections_that_are_refused(self, store: VectorStore, kind: str) -> None:
        selection, error = BAD_SELECTIONS[kind]
        with pytest.raises(error):
            store.update(**selection, metadata={"lang": "xx"})
        assert read_contents(store) == key_by_id(make_books(range(10)))

    @pytest.mark.parametrize("change", [
        {}, {"metadata": {}}, {"metadata": None}, {"unset": []}, {"metadata": [("lang", "xx")]}, {"metadata": "lang"},
        {"unset": "lang"}, {"metadata": {"lang": "xx"}, "unset": ["lang"]}, {"vector": None},
        {"vector": None, "text": None, "metadata": {"lang": "xx"}},
    ], ids=str)  # fmt: skip
    def test_changes_that_are_refused(self, store: VectorStore, change: Any) -> None:
        with pytest.raises(InvalidArgument):
            store.update(where=ALL, **change)
        assert read_contents(store) == key_by_id(make_books(range(10)))

    @pytest.mark.parametrize(
        "change, error",
        [
            ({"metadata": {"year": "2024"}}, InvalidMetadata),
            ({"metadata": {"year": True}}, InvalidMetadata),
            ({"metadata": {"year": 2**53 + 1}}, InvalidMetadata),
            ({"metadata": {"tags": "one"}}, InvalidMetadata),
            ({"metadata": {"price": float("nan")}}, InvalidMetadata),
            ({"metadata": {"at": "2024-01-01"}}, InvalidMetadata),
            ({"metadata": {"note": float("inf")}}, InvalidMetadata),
            ({"metadata": {"note": {1: 2}}}, InvalidMetadata),
            ({"metadata": {"note\0": 1}}, InvalidMetadata),
            ({"metadata": {3: 1}}, InvalidMetadata),
            ({"unset": ["note\0"]}, InvalidMetadata),
            ({"text": 3, "vector": [1, 2, 3, 4]}, InvalidMetadata),
            ({"text": "\ud800", "vector": [1, 2, 3, 4]}, InvalidMetadata),
            ({"vector": [1, 2, 3]}, DimensionMismatch),
            ({"vector": [1, 2, 3, float("nan")]}, InvalidVector),
            ({"vector": "abcd"}, InvalidVector),
        ],
        ids=ascii,
    )
    def test_values_that_are_refused(self, store: VectorStore, change: Any, error: type[VecstoreError]) -> None:
        with pytest.raises(error):
            store.update(where=ALL, **{**change, "metadata": {"lang": "xx", **change.get("metadata", {})}})
        assert read_contents(store) == key_by_id(make_books(range(10)))

    def test_metadata_that_would_grow_too_large_changes_no_record(self, store: VectorStore) -> None:
        store.update(ids=["book-00007"], metadata={"long": "x" * (MAX_BYTES - 200)})
        before = read_contents(store)
        with pytest.raises(InvalidMetadata):
            store.update(where=ALL, metadata={"note": "x" * 1_000})
        assert read_contents(store) == before


class DeleteTests(SampleStore):
    """`VectorStore.delete`."""

    def test_by_ids(self, store: VectorStore) -> None:
        assert store.delete(ids=["book-00001", "absent", "book-00001", "book-00004"]) == 2
        assert store.delete(ids=["book-00001"]) == 0
        assert store.delete(ids=[]) == 0
        assert store.delete(ids=iter(["book-00002"])) == 1
        assert read_contents(store) == key_by_id(make_books([0, 3, 5, 6, 7, 8, 9]))

    def test_what_is_removed_is_nowhere(self, store: VectorStore) -> None:
        store.delete(ids=["book-00003"])
        assert store.get(["book-00003"]) == [None]
        assert store.search(make_book(3).vector, k=10)[0].id != "book-00003"
        assert len(store.search(make_book(3).vector, k=10)) == 9
        assert store.count(F.id == "book-00003") == 0
        assert store.update(ids=["book-00003"], metadata={"year": 1}) == 0

    def test_by_filter_in_both_spellings(self, store: VectorStore) -> None:
        assert store.delete(where=F.year >= 2008) == 2
        assert store.delete(where={"lang": "fr"}) == 2
        assert store.delete(where=F.lang == "no such") == 0
        assert read_contents(store) == key_by_id(make_books([0, 1, 3, 4, 6, 7]))

    def test_everything(self, store: VectorStore) -> None:
        assert store.delete(where=ALL) == 10
        assert read_contents(store) == {}
        assert store.delete(where=ALL) == 0
        assert store.insert(make_books(range(3))) == 3
        assert read_contents(store) == key_by_id(make_books(range(3)))

    @pytest.mark.parametrize("kind", BAD_SELECTIONS)
    def test_selections_that_are_refused(self, store: VectorStore, kind: str) -> None:
        selection, error = BAD_SELECTIONS[kind]
        with pytest.raises(error):
            store.delete(**selection)
        assert read_contents(store) == key_by_id(make_books(range(10)))

    def test_written_again_a_record_is_new(self, store: VectorStore) -> None:
        store.delete(ids=["book-00003"])
        store.insert([Record("book-00003", [1, 1, 1, 1])])
        assert store.get(["book-00003"]) == [Record("book-00003", [1, 1, 1, 1])]
