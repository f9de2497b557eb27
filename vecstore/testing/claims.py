"""Stores without the identity of an embedder: who may give them one, and who may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from ..database import Database
from ..errors import EmbedderMismatch, EmbedderRequired, InvalidArgument, VecstoreError
from ..filters.nodes import ALL
from ..index_options import HNSW, Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Place, Places
from .threads import run_at_once
from .toy_embedder import ToyEmbedder

SCHEMA = Schema(dim=8, metric="cosine", index=Flat())
FIRST, SECOND = 0, 9
TEXT_WRITES: dict[str, Callable[[VectorStore], object]] = {
    "upsert": lambda store: store.upsert([Record("t", text="red apple")]),
    "insert": lambda store: store.insert([Record("t", text="red apple")]),
    "mixed": lambda store: store.upsert([Record("w", [1.0] * 8), Record("t", text="red apple")]),
    "mixed, batch by batch": lambda store: store.upsert(
        [Record("t", text="red apple"), Record("w", [1.0] * 8)], batch_size=1
    ),
    "generator": lambda store: store.upsert(Record(f"t{number}", text=f"text {number}") for number in range(3)),
}


def embedder(seed: int = FIRST) -> ToyEmbedder:
    """Return an embedder of 8 dimensions; another seed is another model."""
    return ToyEmbedder(8, seed=seed, name=f"words {seed}")


class ClaimTests(Places):
    """The embedder of a store that was made without one."""

    @pytest.fixture
    def empty(self, db: Database) -> VectorStore:
        """Return an empty store that was made without an embedder."""
        return db.create("plain", SCHEMA)

    @pytest.fixture
    def given(self, empty: VectorStore) -> VectorStore:
        """Return a store of given vectors."""
        empty.insert([Record("v", [1.0] * 8, "given"), Record("x", [2.0] * 4 + [1.0] * 4)])
        return empty

    @pytest.mark.parametrize("how", TEXT_WRITES)
    def test_an_empty_store_takes_the_first_embedder_that_writes(
        self, db: Database, empty: VectorStore, how: str
    ) -> None:
        TEXT_WRITES[how](db.open("plain", embedder=embedder()))
        empty.reindex(HNSW())
        assert db.open("plain", embedder=embedder()).search("red apple", k=1)[0].id.startswith("t")
        check_refused(db, embedder(SECOND))

    @pytest.mark.parametrize("how", TEXT_WRITES)
    def test_given_vectors_are_not_taken_over_without_a_word(self, db: Database, given: VectorStore, how: str) -> None:
        asked = embedder()
        store = db.open("plain", embedder=asked)
        with pytest.raises(EmbedderMismatch, match=r"check_embedder\(claim=True\).*db\.rebuild\('plain'") as caught:
            TEXT_WRITES[how](store)
        assert type(caught.value) is EmbedderMismatch
        assert not asked.documents
        assert [record.id for record in given.scan()] == ["v", "x"]
        assert db.open("plain").embedder_config is None

    def test_an_update_does_not_take_them_over_either(self, db: Database, given: VectorStore) -> None:
        store = db.open("plain", embedder=embedder())
        for select in ({"ids": ["v"]}, {"where": ALL}, {"ids": ["absent"]}):
            with pytest.raises(EmbedderMismatch, match="claim=True"):
                store.update(**select, text="red apple")
        assert store.update(ids=["v"], text="red apple", vector=[3.0] * 8) == 1
        assert store.update(ids=["v"], text=None) == 1
        assert db.open("plain").embedder_config is None

    def test_batches_of_one_call_are_cut_anywhere(self, db: Database) -> None:
        records = [Record("v", [1.0] * 8), Record("w", [1.0] * 8), Record("t", text="red apple")]
        for size in (1, 2, 3):
            store = db.create(f"cut_{size}", SCHEMA)
            assert db.open(store.name, embedder=embedder()).upsert(records, batch_size=size) == 3
            assert (db.open(store.name).embedder_config or {})["model"] == "words 0"

    def test_vectors_may_be_written_and_texts_searched_by_anyone(self, db: Database, given: VectorStore) -> None:
        for seed in (FIRST, SECOND):
            store = db.open("plain", embedder=embedder(seed))
            assert store.upsert([Record(f"more {seed}", [1.0] * 8, "text")]) == 1
            assert len(store.search("red apple")) == store.count()
        assert db.open("plain").embedder_config is None

    def test_a_claim_makes_the_store_the_embedders(self, place: Place, db: Database, given: VectorStore) -> None:
        store = db.open("plain", embedder=embedder())
        for _ in range(2):
            store.check_embedder(claim=True)
        store.check_embedder()
        assert (store.embedder_config or {})["model"] == "words 0"
        assert store.upsert([Record("t", text="red apple")]) == 1
        assert db.open("plain", embedder=embedder()).search("red apple", k=1)[0].id == "t"
        check_refused(db, embedder(SECOND))
        check_refused(db, embedder(SECOND), claim=True)
        if place.shared:
            with place.connect() as other:
                other.open("plain", embedder=embedder()).check_embedder()
                check_refused(other, embedder(SECOND), claim=True)

    def test_a_rebuild_is_the_other_way_out(self, db: Database, given: VectorStore) -> None:
        given.update(ids=["x"], text="blue sky", vector=[1.0] * 8)
        db.rebuild("plain", embedder=embedder())
        store = db.open("plain", embedder=embedder())
        store.check_embedder()
        assert store.search("blue sky", k=1)[0].id == "x"

    def test_checking_before_embedding_elsewhere(self, db: Database, given: VectorStore) -> None:
        with pytest.raises(EmbedderMismatch, match="claim=True"):
            db.open("plain", embedder=embedder()).check_embedder()
        with pytest.raises(EmbedderRequired, match="'plain'"):
            db.open("plain").check_embedder()
        with pytest.raises(EmbedderRequired):
            db.open("plain").check_embedder(claim=True)
        for claim in (False, True):
            with pytest.raises(EmbedderMismatch, match="7 dimensions"):
                db.open("plain", embedder=ToyEmbedder(7)).check_embedder(claim=claim)
        assert db.open("plain").embedder_config is None

    def test_checking_an_empty_store_claims_nothing(self, db: Database, empty: VectorStore) -> None:
        for seed in (FIRST, SECOND):
            db.open("plain", embedder=embedder(seed)).check_embedder()
        assert db.open("plain").embedder_config is None
        db.open("plain", embedder=embedder(SECOND)).check_embedder(claim=True)
        check_refused(db, embedder(FIRST))

    def test_checking_a_store_of_its_own_embedder(self, db: Database) -> None:
        store = db.create("plain", Schema(metric="cosine"), embedder=embedder())
        for claim in (False, True):
            store.check_embedder(claim=claim)
            check_refused(db, embedder(SECOND), claim=claim)
        assert (db.open("plain").embedder_config or {})["model"] == "words 0"

    def test_a_claim_names_one_embedder(self, db: Database, given: VectorStore) -> None:
        with pytest.raises(InvalidArgument, match="Open the store with one"):
            db.open("plain", embedder=(embedder(), embedder(SECOND))).check_embedder(claim=True)
        db.open("plain", embedder=(ToyEmbedder(7), embedder())).check_embedder(claim=True)
        check_refused(db, embedder(SECOND))
        db.open("plain", embedder=(embedder(SECOND), embedder())).check_embedder(claim=True)

    def test_of_two_that_claim_at_once_one_stays(self, place: Place, db: Database) -> None:
        for number in range(4):
            store = db.create(f"race_{number}", SCHEMA)
            store.insert([Record("v", [1.0] * 8)])
            handles = [db.open(store.name, embedder=embedder(seed)) for seed in (FIRST, SECOND, 17, 23)]
            found = run_at_once(
                *[lambda handle=handle: attempt(partial(handle.check_embedder, claim=True)) for handle in handles]
            )
            assert sorted(map(str, found), key=len) == ["None", *["EmbedderMismatch"] * 3]
            winner = handles[found.index(None)]
            assert db.open(store.name).embedder_config == winner.embedder_config
            for handle in handles:
                expected = None if handle is winner else "EmbedderMismatch"
                assert attempt(partial(handle.upsert, [Record("t", text="red apple")])) == expected

    def test_of_two_that_write_the_first_text_at_once_one_stays(self, db: Database) -> None:
        for number in range(4):
            store = db.create(f"race_{number}", SCHEMA)
            handles = [db.open(store.name, embedder=embedder(seed)) for seed in (FIRST, SECOND, 17)]
            texts = [[Record(f"t{place}", text="red apple")] for place in range(3)]
            found = run_at_once(
                *[
                    lambda handle=handle, text=text: attempt(partial(handle.upsert, text))
                    for handle, text in zip(handles, texts, strict=True)
                ]
            )
            assert sorted(map(str, found), key=len) == ["None", *["EmbedderMismatch"] * 2]
            assert [record.id for record in store.scan()] == [f"t{found.index(None)}"]

    def test_an_index_is_calibrated_and_changed_without_losing_a_claim(self, db: Database, given: VectorStore) -> None:
        old = db.open("plain")
        db.open("plain", embedder=embedder()).check_embedder(claim=True)
        old.reindex(HNSW(m=8))
        old.calibrate()
        check_refused(db, embedder(SECOND))
        assert db.open("plain").schema.index == HNSW(m=8)

    def test_an_identity_is_stored_once(self, place: Place, db: Database, given: VectorStore) -> None:
        db.open("plain", embedder=embedder()).check_embedder(claim=True)
        backend = place.backend() if place.shared else db._backend
        active = backend.find(name="plain").active
        for identity in (None, embedder(SECOND).identity.to_json()):
            backend.amend(replace(active, identity=identity, ef=48))
            found = backend.find(name="plain").active
            assert (found.identity, found.ef) == (active.identity, 48)


def check_refused(db: Database, wrong: ToyEmbedder, *, claim: bool = False) -> None:
    """Prove that an embedder is not the one of the store ``plain``."""
    store = db.open("plain", embedder=wrong)
    before = store.count()
    for call in (
        lambda: store.check_embedder(claim=claim),
        lambda: store.search("red apple"),
        lambda: store.upsert([Record("no", text="red apple")]),
        lambda: store.update(where=ALL, text="red apple"),
    ):
        with pytest.raises(EmbedderMismatch, match="rebuild"):
            call()
    assert store.count() == before


def attempt(call: Callable[[], object]) -> str | None:
    """Return the name of the error that a call raises, or None."""
    try:
        call()
    except VecstoreError as error:
        return type(error).__name__
    return None
