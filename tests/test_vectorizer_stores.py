"""Vectorisers in stores: a fit is a model, an id is a query, and what is unknown has no vector."""

from __future__ import annotations

import pytest

import vecstore
from tests.test_vectorizers import TEXTS, table
from vecstore import Record, Schema
from vecstore.embedders import Tfidf
from vecstore.errors import EmbedderMismatch, InvalidQuery, InvalidVector, UnknownItem
from vecstore.query_items import QueryItem


class TestStores:
    def test_a_store_refuses_another_fit_until_it_is_rebuilt(self) -> None:
        old = Tfidf(svd=3).fit(TEXTS)
        new = Tfidf(svd=3).fit(TEXTS[1:])
        with vecstore.connect("memory:") as database:
            store = database.create("texts", Schema(), embedder=old)
            store.insert([Record(str(number), text=text) for number, text in enumerate(TEXTS)])
            assert store.search("stocks", k=1)[0].text in TEXTS[3:6]
            with pytest.raises(EmbedderMismatch, match="rebuild"):
                database.open("texts", embedder=new).search("stocks")
            database.rebuild("texts", embedder=new)
            assert database.open("texts", embedder=new).search("stocks", k=1)[0].text in TEXTS[3:6]

    def test_ids_are_queries(self) -> None:
        with vecstore.connect("memory:") as database:
            store = database.create("items", Schema(metric="cosine"), embedder=table())
            store.insert([Record("first", item="a"), Record("third", item=7)])
            assert [hit.id for hit in store.search("a")] == ["first", "third"]
            assert store.search(7, k=1)[0].id == "third"
            with pytest.raises(UnknownItem, match="does not know the item"):
                store.search("-")
            with pytest.raises(UnknownItem, match="'second'"):
                store.insert([Record("second", item="secret")])
            assert "secret" not in repr(QueryItem("secret"))

    def test_what_is_skipped_has_no_vector(self) -> None:
        embedder = Tfidf(on_unknown="skip").fit(TEXTS)
        records = [Record("a", text="cat"), Record("x", text="xyzzy"), Record("b", text="dog")]
        with vecstore.connect("memory:") as database:
            store = database.create("required", Schema(), embedder=embedder)
            with pytest.raises(InvalidVector, match=r"'x' contains nothing that the embedder knows"):
                store.upsert(records)
            store = database.create("optional", Schema(vectors="optional"), embedder=embedder)
            assert store.upsert(records) == 3
            store.upsert(vecstore.Columns(ids=["y", "c"], texts=["plugh", "mat"]))
            assert [each.id for each in store.scan() if each.vector is None] == ["x", "y"]
            assert store.search("dog", k=1)[0].id == "b"
            with pytest.raises(InvalidQuery, match="contains nothing"):
                store.search("xyzzy")
            with pytest.raises(InvalidQuery, match="Query 1 contains nothing"):
                store.search_many(["cat", "xyzzy"])
