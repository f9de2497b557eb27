"""Items that are no texts: what is embedded, what is stored, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..columns import Columns
from ..database import Database
from ..errors import (
    EmbedderMismatch,
    EmbedderRequired,
    InvalidArgument,
    InvalidQuery,
    InvalidVector,
    PartialWrite,
)
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Place, Places
from .toy_embedder import ToyEmbedder
from .toy_pictures import NOTE, CodeEmbedder, Picture, PictureEmbedder, SoundEmbedder

RED, GREEN = Picture(1, 0), Picture(0, 1)
NO_STR = "takes Picture or Path. A str is never opened as a path"


class Pictures(Places):
    """A store of two pictures."""

    @pytest.fixture
    def embedder(self) -> PictureEmbedder:
        """Return the embedder that fills the store; nothing was asked of it but its canaries."""
        embedder = PictureEmbedder()
        _ = embedder.identity
        embedder.documents.clear()
        embedder.queries.clear()
        return embedder

    @pytest.fixture
    def store(self, db: Database, embedder: PictureEmbedder) -> VectorStore:
        """Return the store."""
        store = db.create("pictures", Schema(metric="l2"), embedder=embedder)
        store.insert([
            Record("red", item=RED, text="a sunset", metadata={"source": "red.png"}),
            Record("green", item=GREEN),
        ])  # fmt: skip
        return store


class ItemTests(Pictures):
    """Records whose vectors are made from items."""

    def test_the_vector_comes_from_the_item_and_the_text_is_kept(
        self, store: VectorStore, embedder: PictureEmbedder
    ) -> None:
        assert embedder.documents == [RED, GREEN]
        red, green = store.get(["red", "green"])
        assert red == Record("red", [1, 0, 1], "a sunset", {"source": "red.png"})
        assert green == Record("green", [0, 1, 1])

    def test_the_item_is_not_stored(self, place: Place, store: VectorStore) -> None:
        assert [record.item for record in store.scan()] == [None, None]
        raw = place.raw("pictures")
        if raw is None:
            pytest.skip("this place shows nothing of what it stores")
        assert set(raw) == {"red", "green"}
        assert NOTE not in repr(raw)

    def test_an_item_is_no_part_of_a_record_that_is_shown_or_compared(self) -> None:
        with_item = Record("a", item=RED, text="x")
        assert with_item == Record("a", text="x")
        assert NOTE not in repr(with_item)
        assert replace(with_item, text="y").item is RED

    def test_a_mapping_may_have_an_item(self, store: VectorStore) -> None:
        store.upsert([{"id": "red", "item": GREEN}])
        assert store.get(["red"]) == [Record("red", [0, 1, 1])]

    def test_a_text_store_takes_another_text_as_item(self, db: Database) -> None:
        embedder = ToyEmbedder()
        store = db.create("titles", Schema(), embedder=embedder)
        store.insert([Record("a", item="Fruit: red apple", text="red apple")])
        assert embedder.documents[-1] == "Fruit: red apple"
        hit = store.search("Fruit: red apple", k=1)[0]
        assert hit.text == "red apple"
        assert hit.score == pytest.approx(1)
        other = ToyEmbedder(5, seed=2)
        assert db.rebuild("titles", embedder=other).embedded
        assert other.documents[-1] == "red apple"  # nothing is left of the item

    @pytest.mark.parametrize("record, error, told", [
        (Record("x", [1, 2, 3], item=RED), InvalidVector, "'x' has both a vector and an item"),
        (Record("x", item=7), InvalidArgument, "'x' is int, not Picture or Path"),
        (Record("x", item="red.png"), InvalidArgument, "'x' is str.*never opened as a path"),
        (Record("x", text="a sunset"), InvalidArgument, "'x' has a text and no item.*image items alone"),
        (Record("x", item=RED, embed=False), InvalidVector, "'x' has no vector and says embed=False"),
    ])  # fmt: skip
    def test_a_record_that_cannot_be(
        self, store: VectorStore, record: Record, error: type[Exception], told: str
    ) -> None:
        with pytest.raises(error, match=told):
            store.upsert([Record("y", item=RED), record])
        with pytest.raises(PartialWrite, match=told):
            store.upsert([Record("y", item=RED), record], batch_size=1)
        assert sorted(each.id for each in store.scan()) == ["green", "red", "y"]

    def test_without_an_embedder(self, db: Database, store: VectorStore) -> None:
        bare = db.open("pictures")
        with pytest.raises(EmbedderRequired, match=r"'x' has an item.*embedder="):
            bare.upsert([Record("x", item=RED)])
        with pytest.raises(EmbedderRequired, match="embedder="):
            bare.search(item=RED)
        assert bare.search([1, 0, 1], k=1)[0].id == "red"

    def test_a_new_text_leaves_the_vector_of_an_item(self, store: VectorStore, embedder: PictureEmbedder) -> None:
        embedder.documents.clear()
        store.update(ids=["red"], text="a sunrise")
        store.update(ids=["green"], text=" ")
        assert embedder.documents == []
        assert store.get(["red", "green"]) == [
            Record("red", [1, 0, 1], "a sunrise", {"source": "red.png"}),
            Record("green", [0, 1, 1], " "),
        ]

    def test_a_new_text_is_no_code(self, db: Database) -> None:
        store = db.create("codes", Schema(metric="l2"), embedder=CodeEmbedder())
        store.insert([Record("a", item="tea", text="Darjeeling"), Record("b", item=7)])
        for text in ("milk", "First flush", " "):
            assert store.update(ids=["a", "b"], text=text) == 2
            assert store.get(["a", "b"]) == [Record("a", [1, 0, 0], text), Record("b", [0, 0, 1], text)]

    @pytest.mark.parametrize("vectors", ["required", "optional"])
    def test_a_text_without_an_item_is_no_code(self, db: Database, vectors: str) -> None:
        store = db.create("codes", Schema(metric="l2", vectors=vectors), embedder=CodeEmbedder())
        columns = Columns(ids=["b"], texts=["tea"])
        for call in (store.upsert, store.insert):
            for given in ([Record("a", item="tea"), Record("b", text="tea")], [{"id": "b", "text": "tea"}], columns):
                with pytest.raises(InvalidArgument, match=r"'b' has a text and no item.*code items alone.*item="):
                    call(given)
        assert list(store.scan()) == []
        store.insert([Record("a", item="tea", text="milk"), Record("b", [0, 1, 0], text="tea")])
        assert store.get(["a", "b"]) == [Record("a", [1, 0, 0], "milk"), Record("b", [0, 1, 0], "tea")]
        if vectors == "optional":
            store.insert([Record("c", text="tea", embed=False)])
            assert [hit.id for hit in store.search(item="tea")] == ["a", "b"]

    def test_a_blank_item_is_a_blank_text(self, db: Database) -> None:
        store = db.create("optional", Schema(vectors="optional"), embedder=ToyEmbedder())
        store.upsert([Record("a", text="red apple"), Record("b", item=" \n", text="pear")])
        assert [record.id for record in store.scan() if record.vector is None] == ["b"]
        required = db.create("required", Schema(), embedder=ToyEmbedder())
        with pytest.raises(InvalidVector, match="'b' has a blank text"):
            required.upsert([Record("b", item=" \n", text="pear")])

    def test_another_embedder_of_items_is_refused(self, db: Database, store: VectorStore) -> None:
        turned = db.open("pictures", embedder=PictureEmbedder(name="turned", turned=True))
        with pytest.raises(EmbedderMismatch, match="add the items to a new store"):
            turned.search(RED)
        with pytest.raises(EmbedderMismatch):
            db.open("pictures", embedder=ToyEmbedder(3)).search("red")
        assert db.open("pictures", embedder=PictureEmbedder(name="again")).search(RED, k=1)[0].id == "red"

    @pytest.mark.parametrize("other", [ToyEmbedder(3), PictureEmbedder(turned=True)], ids=["texts", "pictures"])
    def test_items_are_not_embedded_again_from_texts(self, db: Database, store: VectorStore, other: Any) -> None:
        store.update(ids=["green"], text="grass")
        with pytest.raises(InvalidArgument, match="which are not stored"):
            db.rebuild("pictures", embedder=other)
        assert store.search(RED, k=1)[0].id == "red"
        assert not db.rebuild("pictures", schema=Schema(metric="cosine"), embedder=PictureEmbedder()).embedded
        assert store.search(RED, k=1)[0].id == "red"


class ItemQueryTests(Pictures):
    """Searches for items."""

    def test_an_item_is_a_query(self, store: VectorStore, embedder: PictureEmbedder) -> None:
        for hits in (store.search(GREEN), store.search(item=GREEN), store.search(vector=[0, 1, 1])):
            assert [(hit.id, hit.distance) for hit in hits] == [("green", 0), ("red", pytest.approx(2**0.5))]
        assert embedder.queries == [GREEN, GREEN]
        assert store.search([0, 1, 1], k=1)[0].id == "green"
        assert store.search(Path("a.png"), k=2)

    def test_an_item_that_is_a_text_is_a_query_text(self, db: Database) -> None:
        store = db.create("texts", Schema(), embedder=ToyEmbedder())
        store.insert([Record("a", text="red apple")])
        assert [hit.id for hit in store.search(item="apple")] == ["a"]
        for call in (lambda: store.search(item="..."), lambda: store.search_many(items=["apple", "..."])):
            with pytest.raises(InvalidQuery, match="has no letter, digit or symbol"):
                call()

    def test_many_items(self, store: VectorStore) -> None:
        mixed: list[Any] = [RED, [0, 1, 1], GREEN, np.array([1, 0, 1])]
        assert [hits[0].id for hits in store.search_many(mixed, k=1)] == ["red", "green", "green", "red"]
        assert [hits[0].id for hits in store.search_many(items=[GREEN, RED], k=1)] == ["green", "red"]
        assert [hits[0].id for hits in store.search_many(vectors=np.eye(3), k=1)] == ["red", "green", "green"]
        assert store.search_many(items=[]) == store.search_many(vectors=[]) == []

    @pytest.mark.parametrize("given", [
        {}, {"query": RED, "item": RED}, {"query": [0, 1, 1], "vector": [0, 1, 1]},
        {"item": RED, "vector": [0, 1, 1]}, {"query": None, "vector": None},
    ], ids=str)  # fmt: skip
    def test_a_search_has_exactly_one_query(self, store: VectorStore, given: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument, match="exactly one of"):
            store.search(**given)
        many: dict[str, Any] = {
            "queries" if name == "query" else f"{name}s": [value] for name, value in given.items() if value is not None
        }
        with pytest.raises(InvalidArgument, match="exactly one of"):
            store.search_many(**many)

    def test_a_str_is_never_a_path(self, store: VectorStore, embedder: PictureEmbedder) -> None:
        with pytest.raises(InvalidArgument, match=NO_STR):
            store.search("red.png")
        with pytest.raises(InvalidArgument, match=f"Query 1 .*{NO_STR}"):
            store.search_many([RED, "red.png"])
        with pytest.raises(InvalidArgument, match=r"The query is str, not Picture or Path.*never opened as a path"):
            store.search(item="red.png")
        for call in (lambda: store.search(vector="red.png"), lambda: store.search_many(vectors=["red.png"])):
            with pytest.raises(InvalidVector, match="takes numbers"):
                call()
        assert embedder.queries == []

    def test_an_array_where_items_are_arrays_has_to_be_named(self, db: Database) -> None:
        store = db.create("sounds", Schema(metric="l2"), embedder=SoundEmbedder())
        store.insert([Record("a", item=np.array([1, 0, 0, 9, 9], np.float32)), Record("b", [0, 1, 0])])
        query = np.array([1, 0, 0], np.float32)
        with pytest.raises(InvalidArgument, match=r"an item or a vector. Write item=… or vector=…"):
            store.search(query)
        with pytest.raises(InvalidArgument, match=r"Query 0 .*Write items=… or vectors=…"):
            store.search_many([query, query])
        found = (store.search(item=query), store.search(vector=query), store.search([1, 0, 0]))
        assert [hits[0].id for hits in found] == ["a", "a", "a"]
        assert [store.search_many(items=[query])[0][0].id, store.search_many(vectors=[query])[0][0].id] == ["a", "a"]
