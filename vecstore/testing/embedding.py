"""Stores that embed: texts in, the right embedder or none, and what a wrong one is told."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ..database import Database
from ..embedders.base import Embedder, Role
from ..errors import DuplicateId, EmbedderMismatch, EmbedderRequired, InvalidArgument, InvalidVector, PartialWrite
from ..filters.field_ref import F
from ..filters.nodes import ALL
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Place, Places
from .sample_records import key_by_id
from .threads import run_at_once
from .toy_embedder import ToyEmbedder

TEXTS = {"a": "red apple", "b": "green pear", "c": "blue sky", "d": "red sky"}
WRONG: dict[str, ToyEmbedder] = {
    "another model, same dim": ToyEmbedder(8, seed=9, name="words"),
    "another model, another dim": ToyEmbedder(7, seed=9, name="words"),
    "the same words, another dim": ToyEmbedder(7, name="words"),
}


class Blind(Embedder):
    """Makes no numbers of some texts."""

    def __init__(self) -> None:
        super().__init__(kind="toy", model="blind", dim=8)

    def _encode(self, texts: list[str], role: Role) -> NDArray[np.float64]:
        return np.array([np.full(8, np.nan if "unspeakable" in text else len(text) + 1.0) for text in texts])


class Texts(Places):
    """A store of four texts."""

    @pytest.fixture
    def embedder(self) -> ToyEmbedder:
        """Return the embedder that fills the store; nothing was asked of it but its canaries."""
        embedder = ToyEmbedder()
        _ = embedder.identity
        embedder.documents.clear()
        embedder.queries.clear()
        return embedder

    @pytest.fixture
    def store(self, db: Database, embedder: ToyEmbedder) -> VectorStore:
        """Return the store."""
        store = db.create("texts", Schema(metric="cosine", index=Flat()), embedder=embedder)
        store.insert(Record(id_, text=text) for id_, text in TEXTS.items())
        return store


class EmbeddingTests(Texts):
    """What an embedder does for a store."""

    def test_texts_become_vectors(self, store: VectorStore, embedder: ToyEmbedder) -> None:
        found = list(store.scan())
        assert {record.id: record.text for record in found} == TEXTS
        wanted = embedder.embed_documents(TEXTS.values())
        assert np.array_equal(np.array([record.vector for record in found]), wanted)

    def test_documents_and_queries_are_embedded_in_their_roles(self, store: VectorStore, embedder: ToyEmbedder) -> None:
        assert sorted(embedder.documents) == sorted(TEXTS.values())
        assert embedder.queries == []
        store.search("what is red?")
        assert embedder.queries == ["what is red?"]
        store.search_many(["one", "two"])
        assert sorted(embedder.queries[1:]) == ["one", "two"]

    def test_a_text_finds_its_record(self, store: VectorStore) -> None:
        for id_, text in TEXTS.items():
            hits = store.search(text, k=4)
            assert (hits[0].id, len(hits)) == (id_, 4)
            assert hits[0].score == pytest.approx(1)

    def test_texts_and_vectors_mix_in_one_search(self, store: VectorStore, embedder: ToyEmbedder) -> None:
        vector = embedder.embed_queries(["green pear"])[0]
        queries: list[Any] = ["blue sky", vector, list(vector), "red apple"]
        assert [hits[0].id for hits in store.search_many(queries, k=1)] == ["c", "b", "b", "a"]
        assert store.search(vector, k=1)[0].id == "b"

    def test_a_record_with_a_vector_is_not_embedded(self, store: VectorStore, embedder: ToyEmbedder) -> None:
        embedder.documents.clear()
        given = [float(number) for number in range(1, 9)]
        store.upsert([Record("x", given, "own vector"), Record("y", text="to embed"), Record("z", given)])
        assert embedder.documents == ["to embed"]
        assert store.get(["x", "z"]) == [Record("x", given, "own vector"), Record("z", given)]

    def test_without_embedder_a_text_is_refused_and_a_vector_is_not(self, db: Database, store: VectorStore) -> None:
        bare = db.open("texts")
        vector_and_text: list[Any] = [[1.0] * 8, "red apple"]
        with pytest.raises(EmbedderRequired, match="embedder="):
            bare.search("red apple")
        with pytest.raises(EmbedderRequired, match="embedder="):
            bare.search_many(vector_and_text)
        with pytest.raises(EmbedderRequired, match=r"'x'.*embedder="):
            bare.upsert([Record("y", [1.0] * 8), Record("x", text="red apple")])
        with pytest.raises(EmbedderRequired):
            bare.update(ids=["a"], text="x")
        assert bare.search([1.0] * 8, k=4)[0].id in TEXTS
        assert bare.similar_to("a", k=1)[0].id in TEXTS
        assert bare.upsert([Record("y", [1.0] * 8, "text kept")]) == 1
        assert bare.count() == 5

    @pytest.mark.parametrize("with_embedder", [True, False])
    def test_a_record_without_vector_and_text(self, db: Database, store: VectorStore, *, with_embedder: bool) -> None:
        target = store if with_embedder else db.open("texts")
        with pytest.raises(InvalidVector, match="'x'"):
            target.upsert([Record("y", [1.0] * 8), Record("x", metadata={"a": 1})])
        assert store.count() == 4

    def test_an_empty_text_is_a_text(self, store: VectorStore) -> None:
        store.upsert([Record("empty", [1.0] * 8, text="")])
        assert store.search([1.0] * 8, k=5, where=F.id == "empty")[0].text == ""
        assert [record.text for record in store.get(["empty"]) if record] == [""]

    def test_a_bad_record_is_found_before_anything_is_embedded(self, store: VectorStore, embedder: ToyEmbedder) -> None:
        embedder.documents.clear()
        with pytest.raises(DuplicateId):
            store.insert([Record("x", text="one"), Record("x", text="two")])
        with pytest.raises(PartialWrite):
            store.upsert([Record("x", text="one"), Record("y", text="two"), Record("\0", text="3")], batch_size=2)
        assert sorted(embedder.documents) == ["one", "two"]

    def test_what_the_embedder_makes_is_checked(self, db: Database) -> None:
        class Broken(ToyEmbedder):
            def _encode(self, texts: list[str], role: Any) -> Any:
                made = super()._encode(texts, role)
                made[[text == "poison" for text in texts]] = np.nan
                return made

        store = db.create("broken", Schema(metric="cosine"), embedder=Broken())
        with pytest.raises(InvalidVector):
            store.upsert([Record("a", text="fine"), Record("b", text="poison")])
        with pytest.raises(InvalidVector):
            store.search("poison")
        assert store.count() == 0

    def test_threads_embed_at_once(self, store: VectorStore) -> None:
        def write(name: str) -> int:
            return store.upsert(Record(f"{name}{number}", text=f"{name} {number}") for number in range(20))

        assert run_at_once(*[lambda name=name: write(name) for name in "wxyz"]) == [20] * 4
        for text in ("w 3", "z 19"):
            assert store.search(text, k=1)[0].text == text


class IdentityTests(Texts):
    """The identity of the embedder that filled a store, checked when another one is used."""

    @pytest.mark.parametrize("kind", WRONG)
    def test_a_wrong_embedder_is_refused_at_its_first_use(self, db: Database, store: VectorStore, kind: str) -> None:
        wrong = db.open("texts", embedder=WRONG[kind])
        assert wrong.count() == 4
        assert wrong.search([1.0] * 8, k=1)[0].id in TEXTS
        for call in (
            lambda: wrong.search("red apple"),
            lambda: wrong.search_many(["red apple"]),
            lambda: wrong.upsert([Record("x", text="one")]),
            lambda: wrong.insert([Record("x", text="one")]),
            lambda: wrong.update(where=ALL, text="one"),
        ):
            with pytest.raises(EmbedderMismatch, match="rebuild"):
                call()
        assert {record.id: record.text for record in store.scan()} == TEXTS

    def test_of_a_refused_write_nothing_is_written(self, db: Database, store: VectorStore) -> None:
        wrong = db.open("texts", embedder=WRONG["another model, same dim"])
        with pytest.raises(PartialWrite) as caught:
            wrong.upsert([Record("x", [1.0] * 8), Record("y", text="one")], batch_size=1)
        assert (caught.value.committed, type(caught.value.__cause__)) == (1, EmbedderMismatch)
        with pytest.raises(EmbedderMismatch):
            wrong.upsert([Record("z", [1.0] * 8), Record("y", text="one")])
        assert store.get(["y", "z"]) == [None, None]

    def test_the_same_vectors_under_another_name_are_accepted_and_noted(
        self, db: Database, store: VectorStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, logger="vecstore"):
            assert db.open("texts", embedder=ToyEmbedder(name="another")).search("blue sky", k=1)[0].id == "c"
        assert "toy:words" in caplog.text
        assert "toy:another" in caplog.text

    def test_nearly_the_same_vectors_are_accepted(self, db: Database, store: VectorStore) -> None:
        assert db.open("texts", embedder=ToyEmbedder(scale=1 + 1e-6)).search("blue sky", k=1)[0].id == "c"

    @pytest.mark.parametrize("metric, accepted", [("cosine", True), ("ip", False), ("l2", False)])
    def test_lengths_count_where_the_metric_looks_at_them(self, db: Database, metric: Any, *, accepted: bool) -> None:
        store = db.create("lengths", Schema(metric=metric), embedder=ToyEmbedder())
        store.insert([Record("a", text="red apple")])
        longer = db.open("lengths", embedder=ToyEmbedder(scale=1.05))
        if accepted:
            assert longer.search("red apple", k=1)[0].id == "a"
        else:
            with pytest.raises(EmbedderMismatch):
                longer.search("red apple", k=1)
        assert db.open("lengths", embedder=ToyEmbedder(scale=1.005)).search("red apple", k=1)[0].id == "a"

    def test_of_two_the_one_that_fits_is_used(self, db: Database, store: VectorStore, embedder: ToyEmbedder) -> None:
        wrong = list(WRONG.values())
        for given in ((wrong[0], embedder), (embedder, wrong[1]), (*wrong, embedder)):
            assert db.open("texts", embedder=given).search("blue sky", k=1)[0].id == "c"
        with pytest.raises(EmbedderMismatch):
            db.open("texts", embedder=(wrong[0], wrong[1])).search("blue sky")

    def test_the_identity_is_kept_with_the_store(self, place: Place, db: Database, store: VectorStore) -> None:
        if not place.shared:
            pytest.skip("a second connection sees nothing of this place")
        with place.connect() as other:
            assert other.open("texts", embedder=ToyEmbedder()).search("blue sky", k=1)[0].id == "c"
            with pytest.raises(EmbedderMismatch):
                other.open("texts", embedder=WRONG["another model, same dim"]).search("blue sky")

    def test_if_exists_open_checks_at_first_use_too(self, db: Database, store: VectorStore) -> None:
        schema = Schema(metric="cosine")
        wrong = db.create("texts", schema, embedder=WRONG["another model, same dim"], if_exists="open")
        with pytest.raises(EmbedderMismatch):
            wrong.search("red apple")
        right = db.create("texts", schema, embedder=ToyEmbedder(), if_exists="open")
        assert right.search("red apple", k=1)[0].id == "a"

    def test_a_write_that_fails_does_not_choose_the_embedder(self, db: Database) -> None:
        store = db.create("plain", Schema(dim=8, metric="cosine"), embedder=None)
        early = db.open("plain", embedder=ToyEmbedder(seed=9))
        with pytest.raises(InvalidArgument):
            early.upsert([Record("a", text="red apple"), Record("a", [1.0])])
        with pytest.raises(InvalidArgument):
            early.update(ids=["a"], metadata={"note": float("nan")}, text="red apple")
        db.open("plain", embedder=ToyEmbedder()).upsert([Record("a", text="red apple")])
        assert store.count() == 1

    @pytest.mark.parametrize("given", ["wordllama", len, [ToyEmbedder()], (ToyEmbedder(), "x"), Embedder], ids=ascii)
    def test_what_is_no_embedder(self, db: Database, store: VectorStore, given: Any) -> None:
        with pytest.raises(InvalidArgument, match="embedder must be"):
            db.open("texts", embedder=given)

    def test_records_are_the_same_whoever_reads_them(self, db: Database, store: VectorStore) -> None:
        handles = [store, db.open("texts"), db.open("texts", embedder=WRONG["another model, same dim"])]
        first, *others = [key_by_id(handle.scan()) for handle in handles]
        assert all(other == first for other in others)
