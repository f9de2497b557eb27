"""Rebuild with another embedder: all vectors are made again from the texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..database import Database
from ..errors import DimensionMismatch, EmbedderMismatch, EmbedderRequired, InvalidArgument, InvalidVector
from ..filters.nodes import ALL
from ..index_options import HNSW
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places
from .toy_embedder import ToyEmbedder

TEXTS = {"a": "red apple", "b": "green pear", "c": "blue sky", "d": "red sky"}


class ModelTests(Places):
    """`Database.rebuild` with another embedder."""

    old = ToyEmbedder(8, seed=1, name="old")

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store of four texts, filled with the old model."""
        store = db.create("texts", Schema(metric="cosine", index=HNSW()), embedder=self.old)
        store.insert(Record(id_, text=text) for id_, text in TEXTS.items())
        return store

    @pytest.mark.parametrize("dim", [8, 5])
    def test_all_vectors_are_made_again_from_the_texts(self, db: Database, store: VectorStore, dim: int) -> None:
        new = ToyEmbedder(dim, seed=2, name="new")
        report = db.rebuild("texts", embedder=new)
        assert (report.records, report.embedded) == (4, True)
        again = db.open("texts", embedder=new)
        assert again.schema.dim == dim
        assert again.search("blue sky", k=1, include=("text", "vector"))[0].text == "blue sky"
        found = np.array([record.vector for record in again.scan()])
        assert np.allclose(found, new.embed_documents(TEXTS.values()), atol=1e-6)

    def test_the_same_model_embeds_nothing(self, db: Database, store: VectorStore) -> None:
        same = ToyEmbedder(8, seed=1, name="another name")
        assert not db.rebuild("texts", embedder=same).embedded
        assert set(same.documents).isdisjoint(TEXTS.values())

    def test_a_running_handle_with_old_and_new_survives(self, db: Database, store: VectorStore) -> None:
        new = ToyEmbedder(5, seed=2, name="new")
        running = db.open("texts", embedder=(self.old, new))
        assert running.search("blue sky", k=1)[0].id == "c"
        db.rebuild("texts", embedder=new)
        assert running.search("blue sky", k=1)[0].id == "c"
        running.upsert([Record("e", text="old shoe")])
        assert np.allclose(running.get(["e"])[0].vector, new.embed_documents(["old shoe"])[0], atol=1e-6)  # type: ignore[union-attr, arg-type]
        db.rollback("texts", embedder=self.old)
        assert running.search("old shoe", k=1)[0].id == "e"
        assert running.schema.dim == 8

    def test_a_handle_that_had_only_the_new_one_begins_to_work(self, db: Database, store: VectorStore) -> None:
        new = ToyEmbedder(5, seed=2, name="new")
        early = db.open("texts", embedder=new)
        with pytest.raises(EmbedderMismatch):
            early.search("blue sky")
        db.rebuild("texts", embedder=new)
        assert early.search("blue sky", k=1)[0].id == "c"

    def test_a_handle_with_the_old_one_is_refused_and_writes_nothing(self, db: Database, store: VectorStore) -> None:
        db.rebuild("texts", embedder=ToyEmbedder(5, seed=2, name="new"))
        for call in (
            lambda: store.search("blue sky"),
            lambda: store.upsert([Record("e", text="x")]),
            lambda: store.update(where=ALL, text="x"),
        ):
            with pytest.raises(EmbedderMismatch):
                call()
        assert {record.id: record.text for record in store.scan()} == TEXTS

    def test_a_record_without_text_stops_the_rebuild(self, db: Database, store: VectorStore) -> None:
        store.upsert([Record("bare", [1] * 8)])
        with pytest.raises(InvalidVector, match="bare"):
            db.rebuild("texts", embedder=ToyEmbedder(5, seed=2))
        assert store.search("blue sky", k=1)[0].id == "c"

    def test_a_model_for_a_store_that_had_none(self, db: Database) -> None:
        store = db.create("plain", Schema(dim=4, metric="l2"))
        store.insert(Record(id_, [1, 2, 3, 4], text) for id_, text in TEXTS.items())
        db.rebuild("plain", embedder=ToyEmbedder(8))
        assert db.open("plain", embedder=ToyEmbedder(8)).search("blue sky", k=1)[0].id == "c"

    def test_a_schema_with_another_dim_than_the_embedder(self, db: Database, store: VectorStore) -> None:
        with pytest.raises((InvalidArgument, DimensionMismatch), match=r"dim=6, but the embedder makes 5"):
            db.rebuild("texts", schema=Schema(dim=6, metric="cosine"), embedder=ToyEmbedder(5))

    @pytest.mark.parametrize("embedder", ["name", len, (ToyEmbedder(4), ToyEmbedder(5))], ids=["str", "len", "two"])
    def test_an_embedder_is_one_embedder(self, db: Database, store: VectorStore, embedder: Any) -> None:
        with pytest.raises(InvalidArgument, match="embedder"):
            db.rebuild("texts", embedder=embedder)

    def test_texts_written_since_need_the_old_embedder(self, db: Database) -> None:
        old, new = ToyEmbedder(8, seed=1, name="old"), ToyEmbedder(5, seed=2, name="new")
        store = db.create("texts", Schema(metric="cosine"), embedder=old)
        store.insert(Record(id_, text=text) for id_, text in TEXTS.items())
        db.rebuild("texts", embedder=new)
        db.open("texts", embedder=new).upsert([Record("e", text="old shoe")])
        with pytest.raises(EmbedderRequired):
            db.rollback("texts")
        with pytest.raises(EmbedderMismatch):
            db.rollback("texts", embedder=ToyEmbedder(8, seed=3))
        db.rollback("texts", embedder=old)
        assert store.search("old shoe", k=1)[0].id == "e"
        assert store.count() == 5
