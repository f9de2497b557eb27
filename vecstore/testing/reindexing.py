"""Indexes that change: other options, other records, other processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ..calibration.calibrate import CHEAPER
from ..database import Database
from ..filters.field_ref import F
from ..filters.nodes import Filter
from ..index_options import HNSW, Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from ..upkeep import UnusedIndexWarning
from .indexes import DIM, FIELDS, TARGET, draw_clustered, make_records, mean_recall
from .place import Place, Places, RawIndex


class ReindexTests(Places):
    """Indexes that change: other options, other records, other processes."""

    SCHEMA = Schema(DIM, "l2", "float32", HNSW(target_recall=TARGET), FIELDS)

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store of a thousand records with an index."""
        store = db.create("clusters", self.SCHEMA)
        store.insert(make_records(1_000))
        return store

    def test_there_and_back_with_other_options(self, place: Place, db: Database, store: VectorStore) -> None:
        query = draw_clustered(1, 6)[0][0]
        truth = [hit.id for hit in store.search(query, exact=True)]
        store.reindex(Flat())
        status = store.index_status()
        assert (status.kind, status.state, status.ef, status.target_recall) == ("flat", "none", None, None)
        assert place.indexes("clusters") == []
        assert [hit.id for hit in store.search(query, ef=16)] == truth
        assert store.search(query, ef=16).exact
        calls: list[tuple[str, int, int | None]] = []
        options = HNSW(m=6, ef_construction=40, target_recall=0.9)
        store.reindex(options, on_progress=lambda *call: calls.append(call))
        assert list(dict.fromkeys(phase for phase, *_ in calls)) == ["indexing", "calibrating"] * place.indexed
        indexing = [(done, total) for phase, done, total in calls if phase == "indexing"]
        assert indexing == sorted(indexing)
        assert indexing[:1] + indexing[-1:] == [(0, 1_000), (1_000, 1_000)] * place.indexed
        measuring = [call for call in calls if call[0] == "calibrating"]
        assert all(done == total for _, done, total in measuring[-1:])
        status = store.index_status()
        assert (status.kind, status.target_recall) == ("hnsw", 0.9)
        assert (status.state == "ready", status.ef is not None) == (place.indexed, place.indexed)
        assert place.indexes("clusters") == [RawIndex(6, 40)] * place.indexed
        assert store.measure_recall().mean >= 0.9
        assert db.open("clusters").schema.index == options

    def test_a_small_store_says_why_it_has_no_index_and_gets_one_when_asked(self, place: Place, db: Database) -> None:
        store = db.create("few", self.SCHEMA)
        store.insert(make_records(20))
        status = store.index_status()
        assert (status.state, status.ef, status.measured) == ("none", None, None)
        assert place.indexes("few") == []
        assert status.reason is not None
        assert ("index_min_rows" in status.reason) == place.indexed
        store.reindex()
        status = store.index_status()
        assert (status.state, status.indexed) == (("ready", 20) if place.indexed else ("none", 0))
        assert place.indexes("few") == [RawIndex(16, status.ef_construction or 0)] * place.indexed
        assert (status.reason is None) == (status.ef is not None)
        store.upsert(make_records(5, 2, "more"))
        assert len(store.search(draw_clustered(1, 3)[0][0], 25)) == 25
        assert len(place.indexes("few")) == place.indexed
        store.reindex(Flat())
        assert "Flat" in (store.index_status().reason or "")

    def test_a_target_that_no_effort_reaches_is_told_once(self, place: Place, db: Database) -> None:
        """Uniform vectors of many dimensions, and a graph with too few links."""
        if not place.indexed:
            pytest.skip("no graph that could miss anything")
        schema = Schema(96, "l2", "float32", HNSW(m=2, ef_construction=4, target_recall=1.0))
        store = db.create("uniform", schema)
        rows = np.random.default_rng(3).normal(size=(2_000, 96)).astype(np.float32)
        with warnings.catch_warnings(record=True, category=UnusedIndexWarning, action="always") as caught:
            store.insert(Record(f"r{number:04}", row) for number, row in enumerate(rows))
        status = store.index_status()
        assert (status.state, status.ef) == ("ready", None)
        assert status.reason
        assert status.recall is None or status.recall < 1
        # Where comparing all of so few rows costs no more, nothing is amiss.
        assert [status.reason in str(each.message) for each in caught] == [True] * (status.reason != CHEAPER)
        with warnings.catch_warnings(action="error"):
            store.upsert([Record("new", rows[0])])
            assert store.search(rows[0], 3).exact
        assert db.open("uniform").index_status().reason == status.reason

    def test_few_among_many_twins_are_found(self, store: VectorStore) -> None:
        """A thousand records of one vector, as of one boilerplate text, hide nobody."""
        store.update(where=F.share >= 20, vector=[1.0] * DIM)
        for _ in range(2):
            for record in store.scan(F.share < 20):
                assert record.vector is not None
                hits = store.search(record.vector, 3)
                assert record.id in {hit.id for hit in hits}
            store.reindex()

    def test_calibration_by_hand(self, place: Place, store: VectorStore) -> None:
        ef = store.calibrate()
        assert (ef is not None) == place.indexed
        assert store.index_status().ef == ef
        store.reindex(Flat())
        assert store.calibrate() is None

    def test_every_connection_goes_by_the_catalogue(self, place: Place, db: Database) -> None:
        """A handle from before the index, and one from before it went, neither searches nor tends by what it knew."""
        if not place.shared:
            pytest.skip("a second connection sees nothing of this place")
        query = draw_clustered(1, 6)[0][0]
        with place.connect() as other:
            store = db.create("clusters", self.SCHEMA)
            old = other.open("clusters")
            store.insert(make_records(1_000))
            assert old.search(query).exact is not place.indexed
            assert old.index_status() == store.index_status()
            assert len(place.indexes("clusters")) == place.indexed
            store.reindex(Flat())
            assert old.search(query).exact
            old.upsert(make_records(50, 7, "new"))
            assert old.index_status() == store.index_status()
            assert store.index_status().state == "none"
            assert place.indexes("clusters") == []

    def test_an_index_lives_through_deletes_and_updates(self, store: VectorStore) -> None:
        model = {record.id: record for record in make_records(1_000)}
        draw = np.random.default_rng(8)
        queries = draw_clustered(40, 9)[0]
        for turn in range(4):
            removed = draw.choice(sorted(model), len(model) // 4, replace=False).tolist()
            store.delete(ids=removed)
            for id_ in removed:
                del model[id_]
            self.change(store, model, draw.choice(sorted(model), 150, replace=False).tolist(), turn)
            fresh = make_records(200, 20 + turn, f"n{turn}-")
            store.upsert(fresh)
            model |= {record.id: record for record in fresh}
            self.check(store, model, queries)
        store.reindex()
        self.check(store, model, queries)
        store.delete(where=F.share >= 3)
        few = {id_: record for id_, record in model.items() if record.metadata["share"] < 3}
        assert {hit.id for hit in store.search(queries[0], 100)} == set(few)

    def change(self, store: VectorStore, model: dict[str, Record], ids: Sequence[str], turn: int) -> None:
        """Move some records to other places, and change only the text and the metadata of others."""
        moved = dict(zip(ids[:50], draw_clustered(50, 30 + turn)[0], strict=True))
        store.upsert(replace(model[id_], vector=vector) for id_, vector in moved.items())
        model |= {id_: replace(model[id_], vector=vector) for id_, vector in moved.items()}
        vector = draw_clustered(1, 40 + turn)[0][0]
        store.update(ids=ids[50:60], vector=vector)
        store.update(ids=ids[60:], metadata={"cluster": -turn}, text=None)
        for id_ in ids[50:60]:
            model[id_] = replace(model[id_], vector=vector)
        for id_ in ids[60:]:
            metadata = {**model[id_].metadata, "cluster": -turn}
            model[id_] = replace(model[id_], text=None, metadata=metadata)

    def check(self, store: VectorStore, model: dict[str, Record], queries: NDArray[np.float32]) -> None:
        filters: list[tuple[Any, int]] = [
            (None, len(model)),
            *((where, sum(bool(test(record)) for record in model.values())) for where, test in WHERES),
        ]
        for where, matching in filters:
            found = store.search_many(queries, 10, where=where, include=["text", "metadata", "vector"])
            for hits in found:
                assert len(hits) == min(10, matching)
                for hit in hits:
                    assert Record(hit.id, hit.vector, hit.text, hit.metadata or {}) == model[hit.id]
            assert mean_recall(found, store.search_many(queries, 10, where=where, exact=True)) >= 0.95
        assert store.count() == len(model)


WHERES: list[tuple[Filter, Callable[[Record], bool]]] = [
    (F.share < 20, lambda record: record.metadata["share"] < 20),
    (F.share < 300, lambda record: record.metadata["share"] < 300),
    (F.cluster <= 0, lambda record: record.metadata["cluster"] <= 0),
    (F.cluster > 4, lambda record: record.metadata["cluster"] > 4),
]
