"""Texts of which no vector is made: blank ones, and those of which the embedder knows nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ..columns.given import Columns
from ..database import Database
from ..embedders.base import Embedder, Role
from ..errors import InvalidQuery, InvalidVector
from ..records import Record
from ..schema import Schema
from .place import Places
from .toy_embedder import ToyEmbedder

BLANK = ("", " ", "\n\t", "\u3000", "\u200b", "\ufeff\u00ad", "\u2800")


class Colours(Embedder[str]):
    """Knows two words, and skips a text without them."""

    def __init__(self) -> None:
        super().__init__(kind="toy", model="two words", dim=2, on_unknown="skip")

    def _encode(self, items: list[str], role: Role, /) -> NDArray[np.float32]:
        return np.array([[item.split().count(word) for word in ("red", "green")] for item in items], np.float32)

    def _canaries(self) -> list[str]:
        return ["red", "green red"]


class UnknownTextTests(Places):
    """Texts of which an embedder knows nothing, and which it skips."""

    @pytest.mark.parametrize("columns", [False, True])
    def test_a_record_stays_without_a_vector_where_that_is_allowed(self, db: Database, *, columns: bool) -> None:
        texts = {"a": "red apple", "b": "blue sky", "c": "green pear", "d": "grey"}
        records: Any = Columns(ids=list(texts), texts=list(texts.values()))
        if not columns:
            records = [Record(id_, text=text) for id_, text in texts.items()]
        required = db.create("required", Schema(), embedder=Colours())
        with pytest.raises(InvalidVector, match=r"'b' contains nothing that the embedder knows.*vectors='optional'"):
            required.upsert(records)
        assert required.count() == 0
        store = db.create("optional", Schema(vectors="optional"), embedder=Colours())
        assert store.upsert(records) == 4
        assert {record.id: record.text for record in store.scan()} == texts
        assert [record.id for record in store.scan() if record.vector is None] == ["b", "d"]
        assert [hit.id for hit in store.search("green")] == ["c", "a"]

    def test_a_query_of_which_nothing_is_known(self, db: Database) -> None:
        store = db.create("optional", Schema(vectors="optional"), embedder=Colours())
        store.upsert([Record("a", text="red")])
        with pytest.raises(InvalidQuery, match="The query contains nothing that the store's embedder knows"):
            store.search("blue")
        with pytest.raises(InvalidQuery, match="Query 1 contains nothing"):
            store.search_many(["red", "blue"])

    def test_an_update_to_one_is_like_an_upsert(self, db: Database) -> None:
        for vectors in ("optional", "required"):
            store = db.create(vectors, Schema(vectors=vectors), embedder=Colours())
            store.upsert([Record("a", text="red"), Record("b", text="green")])
            if vectors == "optional":
                assert store.update(ids=["a"], text="blue") == 1
            else:
                with pytest.raises(InvalidVector, match="The new text contains nothing that the embedder knows"):
                    store.update(ids=["a"], text="blue")
        kept = [{record.id: (record.text, record.vector is None) for record in db.open(name).scan()}
                for name in ("optional", "required")]  # fmt: skip
        assert kept == [{"a": ("blue", True), "b": ("green", False)}, {"a": ("red", False), "b": ("green", False)}]


class BlankTextTests(Places):
    """A text without a visible character is stored, and never embedded."""

    @pytest.mark.parametrize("text", BLANK, ids=ascii)
    def test_a_blank_text_is_refused_where_vectors_are_required(self, db: Database, text: str) -> None:
        embedder = ToyEmbedder()
        store = db.create("texts", Schema(), embedder=embedder)
        store.insert([Record("a", text="red apple")])
        for records in ([Record("x", text=text)], Columns(ids=["x"], texts=[text])):
            with pytest.raises(InvalidVector, match=r"'x' has a blank text.*vectors='optional'"):
                store.upsert(records)
        with pytest.raises(InvalidVector, match="blank text"):
            store.update(ids=["a"], text=text)
        assert text not in embedder.documents
        assert store.get(["a", "x"])[1] is None
        assert store.update(ids=["a"], text=text, vector=[1.0] * 8) == 1
        assert [record.text for record in store.get(["a"]) if record] == [text]

    @pytest.mark.parametrize("text", BLANK, ids=ascii)
    def test_a_blank_text_gives_no_vector_where_they_are_optional(self, db: Database, text: str) -> None:
        embedder = ToyEmbedder()
        store = db.create("texts", Schema(vectors="optional"), embedder=embedder)
        store.upsert([Record("a", text="red apple"), Record("x", text=text), Record("y", text="pear")])
        store.upsert(Columns(ids=["z"], texts=[text]))
        store.update(ids=["y"], text=text)
        assert text not in embedder.documents
        assert {record.id: record.text for record in store.scan()} == {
            "a": "red apple",
            "x": text,
            "y": text,
            "z": text,
        }
        assert [record.id for record in store.scan() if record.vector is not None] == ["a"]
        assert [hit.id for hit in store.search("pear")] == ["a"]

    def test_a_rebuild_does_not_lose_the_vector_of_a_blank_text(self, db: Database) -> None:
        store = db.create("texts", Schema(), embedder=ToyEmbedder())
        store.insert([Record("a", text="red apple"), Record("x", [1.0] * 8, " ")])
        with pytest.raises(InvalidVector, match=r"'x' has a vector but only a blank text"):
            db.rebuild("texts", embedder=ToyEmbedder(5, seed=2))
        assert store.count() == 2
