"""Stores divided into partitions: refused where the backend has none, and otherwise like any other store."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from .. import fields
from ..database import Database
from ..errors import InvalidArgument, Unsupported
from ..fields import Keyword
from ..filters.field_ref import F
from ..hits import Hits
from ..index_options import HNSW, Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Place, Places

DIM = 8
SCHEMA = Schema(DIM, "cosine", "float32", Flat(), {"n": fields.Int(), "lang": Keyword()})
DIVIDED = SCHEMA.with_partitions(4)
_ROWS = 300


def _draw(count: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


def _make_records(count: int = _ROWS, seed: int = 1) -> list[Record]:
    return [
        Record(f"r{number:04}", vector, f"text {number}", {"n": number, "lang": "de" if number % 3 else "en"})
        for number, vector in enumerate(_draw(count, seed))
    ]


def _list_hits(hits: Hits) -> list[tuple[str, str | None]]:
    return [(hit.id, hit.text) for hit in hits]


class PartitionsTests(Places):
    """Stores divided into partitions."""

    @pytest.fixture
    def able(self, db: Database) -> Database:
        """Return the database if its backend has partitions."""
        if db.capabilities.max_partitions == 1:
            pytest.skip("the backend has no partitions")
        return db

    @pytest.fixture
    def pair(self, able: Database) -> Sequence[VectorStore]:
        """Return a divided store and one that is not, with the same records."""
        stores = [able.create("divided", DIVIDED), able.create("whole", SCHEMA)]
        for store in stores:
            store.upsert(_make_records())
        return stores

    @pytest.mark.parametrize("number", [0, -1, 3, 12, 257, 512, 2.0, "4", True, None])
    def test_only_powers_of_two_up_to_256(self, number: object) -> None:
        with pytest.raises(InvalidArgument, match="partitions"):
            Schema(DIM, partitions=number)  # type: ignore[arg-type]

    def test_a_schema_keeps_its_number(self) -> None:
        assert Schema(DIM).partitions == 1
        assert "partitions" not in Schema(DIM).to_dict()
        for same in (Schema.from_dict(DIVIDED.to_dict()), copy.copy(DIVIDED), copy.deepcopy(DIVIDED)):
            assert same == DIVIDED
            assert same.partitions == 4
        assert SCHEMA != DIVIDED
        assert hash(DIVIDED.with_partitions(1)) == hash(SCHEMA)
        assert DIVIDED.differences(SCHEMA) == []

    def test_a_backend_without_partitions_refuses_them_and_writes_nothing(self, db: Database) -> None:
        if db.capabilities.max_partitions > 1:
            pytest.skip("the backend has partitions")
        with pytest.raises(Unsupported, match="a store of 4 partitions"):
            db.create("divided", DIVIDED)
        assert db.names() == []
        store = db.create("whole", SCHEMA)
        store.upsert(_make_records(3))
        with pytest.raises(Unsupported, match="a store of 4 partitions"):
            db.rebuild("whole", schema=DIVIDED)
        assert db.open("whole").schema.partitions == 1
        assert store.count() == 3

    def test_it_answers_like_a_store_that_is_not_divided(self, pair: Sequence[VectorStore]) -> None:
        divided, whole = pair
        for query in _draw(5, 2):
            for where in (None, F.n < 40, F.lang == "en", F.n == -1):
                mine, theirs = (store.search(query, 12, where=where) for store in pair)
                assert _list_hits(mine) == _list_hits(theirs)
                assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in theirs], abs=1e-6)
        assert divided.digest() == whole.digest()
        assert [record.id for record in divided.scan()] == [record.id for record in whole.scan()]
        assert [record.id for record in divided.scan(limit=7)] == [f"r{number:04}" for number in range(7)]
        assert divided.values("lang") == whole.values("lang")
        assert divided.count(F.n >= 250) == whole.count(F.n >= 250) == 50
        assert divided.verify().ok

    def test_writes_fences_and_deletions(self, pair: Sequence[VectorStore]) -> None:
        for store in pair:
            store.update(where=F.n < 100, metadata={"lang": "fr"})
            store.delete(ids=[f"r{number:04}" for number in range(50)])
            store.delete(where=F.n >= 280)
            store.upsert(_make_records(20, 3))
        divided, whole = pair
        assert divided.count() == whole.count() == 300 - 50 - 20 + 20
        assert divided.digest() == whole.digest()
        assert divided.values("lang") == whole.values("lang")

    def test_a_rebuild_changes_the_number_and_nothing_else(self, able: Database) -> None:
        store = able.create("shelf", SCHEMA.with_index(HNSW()))
        store.upsert(_make_records())
        before, query = store.digest(), _draw(1, 4)[0]
        hits = _list_hits(store.search(query, 10, exact=True))
        for number in (8, 2, 1, 4):
            done = able.rebuild("shelf", schema=SCHEMA.with_index(HNSW()).with_partitions(number))
            assert (done.changed, done.records, done.embedded) == (True, _ROWS, False)
            assert able.open("shelf").schema.partitions == number
            assert store.digest() == before
            assert _list_hits(store.search(query, 10, exact=True)) == hits
            assert len(store.search(query, 10)) == 10
            assert store.verify().ok
        assert not able.rebuild("shelf", schema=SCHEMA.with_index(HNSW()).with_partitions(4)).changed
        able.rollback("shelf")
        assert able.open("shelf").schema.partitions == 1
        assert store.digest() == before

    def test_fields_are_declared_in_it(self, able: Database) -> None:
        store = able.create("shelf", Schema(DIM, index=Flat(), partitions=2))
        store.upsert(_make_records(30))
        able.declare("shelf", {"n": fields.Int()})
        assert able.open("shelf").schema.partitions == 2
        assert store.count(F.n < 10) == 10
        able.undeclare("shelf", ["n"])
        assert able.open("shelf").schema == Schema(DIM, index=Flat(), partitions=2)

    def test_its_index_covers_all_partitions(self, place: Place, able: Database) -> None:
        store = able.create("shelf", SCHEMA.with_index(HNSW(m=8, ef_construction=40)).with_partitions(2))
        store.upsert(_make_records())
        assert (store.index_status().state, store.index_status().indexed) == ("ready", _ROWS)
        assert len(place.indexes("shelf")) == 2
        store.reindex(HNSW(m=6, ef_construction=40))
        assert {index.m for index in place.indexes("shelf")} == {6}
        assert len(place.indexes("shelf")) == 2
        store.reindex(Flat())
        assert place.indexes("shelf") == []

    def test_an_existing_store_is_opened_whatever_its_number(self, able: Database) -> None:
        able.create("shelf", DIVIDED)
        assert able.create("shelf", SCHEMA, if_exists="open").schema.partitions == 4
        able.drop("shelf")
        assert able.names() == []

    def test_a_copy_keeps_them_and_a_place_without_leaves_them_out(self, able: Database) -> None:
        from .. import connect

        store = able.create("shelf", DIVIDED)
        store.upsert(_make_records(20))
        store.copy_to(able, "copy")
        assert able.open("copy").schema == DIVIDED
        with connect("memory:") as other:
            done = store.copy_to(other)
            assert done.digest == str(store.digest())
            assert other.open("shelf").schema == SCHEMA
            with pytest.raises(Unsupported, match="a store of 4 partitions"):
                store.copy_to(other, "again", schema=DIVIDED)
            store.move_to(other, "moved", accept_volatile=True)
            other.open("moved").upsert(_make_records(25))
            other.open("moved").move_back(able, accept_volatile=True)
        assert able.open("shelf").schema == DIVIDED
        assert able.open("shelf").count() == 25
