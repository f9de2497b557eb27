"""Rebuild and rollback of an idle store: the schema changes, the records stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from .. import fields
from ..database import Database
from ..errors import InvalidArgument, InvalidFilter, InvalidMetadata, InvalidVector, UnknownField
from ..filters.field_ref import F
from ..index_options import HNSW
from ..metric import Metric
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .backend_level import check_storage
from .place import Place
from .sample_records import SCHEMA, WIDER, SampleStore, key_by_id, make_book, make_books, read_contents


def with_fields(changes: Mapping[str, fields.Field | None]) -> Schema:
    """Return the schema of books with other fields; None removes a field."""
    declared = {**SCHEMA.fields, **changes}
    return replace(SCHEMA, fields={name: each for name, each in declared.items() if each})


class RebuildTests(SampleStore):
    """`Database.rebuild` with another schema."""

    def test_the_same_again(self, db: Database, store: VectorStore) -> None:
        report = db.rebuild("docs")
        assert (report.records, report.copied, report.embedded, report.overlap) == (10, 0, False, 1.0)
        assert read_contents(store) == read_contents(db.open("docs")) == key_by_id(make_books(range(10)))

    def test_an_empty_store(self, db: Database) -> None:
        db.create("empty", SCHEMA)
        assert db.rebuild("empty", schema=with_fields({"pages": fields.Int()})).records == 0
        assert read_contents(db.open("empty")) == {}

    def test_progress_is_reported(self, db: Database, store: VectorStore) -> None:
        calls: list[tuple[str, int, int | None]] = []
        db.rebuild("docs", schema=WIDER, on_progress=lambda *call: calls.append(call), records_per_second=1e6)
        for phase in ("copying", "comparing"):
            found = [call for call in calls if call[0] == phase]
            assert found[-1] == (phase, 10, 10)
            assert found == sorted(found)

    def test_a_new_field_takes_its_values_from_undeclared_metadata(self, db: Database, store: VectorStore) -> None:
        store.update(where=F.year >= 2005, metadata={"pages": 7})
        before = read_contents(store)
        with pytest.raises(UnknownField):
            store.count(F.pages == 7)
        db.rebuild("docs", schema=with_fields({"pages": fields.Int()}))
        for each in (store, db.open("docs")):
            assert read_contents(each) == before
            assert each.count(F.pages == 7) == 5
            assert each.count(F.pages.is_missing()) == 5
        assert store.schema.fields["pages"] == fields.Int()

    @pytest.mark.parametrize("use", ["count", "scan", "search", "upsert", "update", "delete"])
    def test_a_handle_from_before_knows_the_new_field(self, db: Database, store: VectorStore, use: str) -> None:
        db.rebuild("docs", schema=with_fields({"year": None, "edition": fields.Int()}))
        if use == "upsert":
            with pytest.raises(InvalidMetadata):
                store.upsert([make_book(11, metadata={"edition": "first"})])
            assert store.upsert([make_book(11, metadata={"edition": 1, "year": "free now"})]) == 1
        where = F.edition.exists() if use == "upsert" else F.edition.is_missing()
        expected = 1 if use == "upsert" else 10
        found: dict[str, Any] = {
            "count": lambda: store.count(where),
            "scan": lambda: len(list(store.scan(where))),
            "search": lambda: len(store.search([1, 2, 3, 4], where=where)),
            "upsert": lambda: store.count(where),
            "update": lambda: store.update(where=where, metadata={"edition": 1}),
            "delete": lambda: store.delete(where=where),
        }
        assert found[use]() == expected

    def test_a_dropped_field_stays_as_undeclared_metadata(self, db: Database, store: VectorStore) -> None:
        before = read_contents(store)
        db.rebuild("docs", schema=with_fields({"year": None, "tags": None, "lang": None, "price": None}))
        assert read_contents(store) == before
        with pytest.raises(UnknownField):
            store.count(F.year == 2001)
        db.rebuild("docs", schema=SCHEMA)
        assert read_contents(store) == before
        assert store.count(F.year == 2001) == 1
        assert store.count(F.tags.contains("t1")) == 6

    def test_a_date_is_iso_text_where_no_field_declares_it(self, db: Database, store: VectorStore) -> None:
        before = read_contents(store)
        dates = {id_: record.metadata["at"] for id_, record in before.items()}
        db.rebuild("docs", schema=with_fields({"at": None}))
        assert {record.id: record.metadata["at"] for record in store.scan()} == {
            id_: date.isoformat() for id_, date in dates.items()
        }
        db.rebuild("docs", schema=SCHEMA)
        assert read_contents(store) == before
        assert store.count(F.at <= dates["book-00004"]) == 5

    @pytest.mark.parametrize(
        "value, kind", [("x", fields.Int()), (1, fields.Keyword()), ("no date", fields.DateTime())]
    )
    def test_a_value_that_does_not_fit_stops_the_rebuild(
        self, db: Database, store: VectorStore, value: Any, kind: fields.Field
    ) -> None:
        store.update(ids=["book-00003"], metadata={"extra": value})
        before = read_contents(store)
        with pytest.raises(InvalidMetadata, match=r"book-00003.*extra"):
            db.rebuild("docs", schema=with_fields({"extra": kind}))
        assert read_contents(store) == read_contents(db.open("docs")) == before
        store.update(ids=["book-00003"], unset=["extra"])
        assert db.rebuild("docs", schema=with_fields({"extra": kind})).records == 10
        assert store.count(F.extra.exists()) == 0

    def test_another_dtype(self, db: Database, store: VectorStore) -> None:
        store.upsert([Record("third", [1 / 3, 1, 1, 1])])
        report = db.rebuild("docs", schema=replace(SCHEMA, dtype="float16"))
        assert report.records == 11
        rounded = Record("third", np.array([1 / 3, 1, 1, 1], np.float16))
        assert read_contents(store) == key_by_id([*make_books(range(10)), rounded])
        assert all(np.asarray(record.vector).dtype == np.float16 for record in store.scan())

    def test_a_vector_beyond_the_new_dtype_stops_the_rebuild(self, db: Database, store: VectorStore) -> None:
        store.upsert([Record("huge", [1e6, 1, 1, 1])])
        with pytest.raises(InvalidVector, match="huge"):
            db.rebuild("docs", schema=replace(SCHEMA, dtype="float16"))
        assert db.open("docs").schema.dtype == "float32"
        assert store.count() == 11

    @pytest.mark.parametrize("metric", ["cosine", "ip"])
    def test_another_metric(self, db: Database, store: VectorStore, metric: Any) -> None:
        db.rebuild("docs", schema=replace(SCHEMA, metric=Metric(metric)))
        assert read_contents(store) == key_by_id(make_books(range(10)))
        query, vectors = (
            np.array([4.0, 3, 2, 1]),
            np.array([make_book(number).vector for number in range(10)], np.float64),
        )
        scores = vectors @ query
        if metric == "cosine":
            scores = scores / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
        assert [hit.score for hit in store.search(query, k=10, exact=True)] == pytest.approx(sorted(scores)[::-1])

    def test_a_zero_vector_stops_a_rebuild_to_cosine(self, db: Database, store: VectorStore) -> None:
        store.upsert([Record("zero", [0, 0, 0, 0])])
        with pytest.raises(InvalidVector, match="zero"):
            db.rebuild("docs", schema=replace(SCHEMA, metric=Metric.COSINE))
        assert store.search([0, 0, 0, 0], k=1)[0].id == "zero"

    def test_another_index(self, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=SCHEMA.with_index(HNSW(m=8)))
        assert db.open("docs").schema.index == HNSW(m=8)
        assert read_contents(store) == key_by_id(make_books(range(10)))

    @pytest.mark.parametrize("rate", [0, -1, True, "fast", float("nan")])
    def test_a_rate_is_a_number_above_0(self, db: Database, store: VectorStore, rate: Any) -> None:
        with pytest.raises(InvalidArgument, match="records_per_second"):
            db.rebuild("docs", records_per_second=rate)

    @pytest.mark.parametrize("schema", [{"dim": 4}, Schema, 0])
    def test_a_schema_is_a_schema(self, db: Database, store: VectorStore, schema: Any) -> None:
        with pytest.raises(InvalidArgument, match="schema"):
            db.rebuild("docs", schema=schema)

    def test_the_dim_does_not_change_without_embedder(self, db: Database, store: VectorStore) -> None:
        with pytest.raises(InvalidArgument, match="4 dimensions, not 5"):
            db.rebuild("docs", schema=replace(SCHEMA, dim=5))
        assert db.rebuild("docs", schema=replace(SCHEMA, dim=None)).records == 10


class RollbackTests(SampleStore):
    """`Database.rollback`."""

    @pytest.mark.parametrize(
        "schema",
        [
            replace(SCHEMA, dtype="float16"),
            replace(SCHEMA, metric=Metric.COSINE),
            with_fields({"at": None, "year": None}),
            with_fields({"price": None, "pages": fields.Int()}),
            SCHEMA.with_index(HNSW(m=8)),
        ],
        ids=["dtype", "metric", "dates", "fields", "index"],
    )
    def test_the_old_schema_returns_with_all_later_writes(
        self, db: Database, store: VectorStore, schema: Schema
    ) -> None:
        store.upsert([Record("third", [1 / 3, 1, 1, 1])])
        db.rebuild("docs", schema=schema)
        store.insert([make_book(20, metadata={"at": None})])
        store.upsert([Record("book-00001", [1, 1, 1, 1])])
        store.update(ids=["book-00002"], metadata={"lang": "xx"}, text=None)
        store.delete(ids=["book-00003"])
        report = db.rollback("docs")
        expected = key_by_id(
            [*make_books([0, 2, *range(4, 10)]), Record("third", np.array([1 / 3, 1, 1, 1], np.float32))]
        )
        old = expected["book-00002"]
        expected["book-00002"] = Record(old.id, old.vector, None, {**old.metadata, "lang": "xx"})
        expected["book-00001"] = Record("book-00001", [1, 1, 1, 1])
        since = read_contents(store)
        del since["book-00020"]
        assert since == expected
        assert store.schema == db.open("docs").schema == SCHEMA
        assert (report.records, report.copied) == (11, 0)

    def test_forth_and_back_and_forth(self, place: Place, db: Database, store: VectorStore) -> None:
        for turn in range(4):
            db.rebuild("docs", schema=WIDER) if turn == 0 else db.rollback("docs")
            store.upsert([make_book(100 + turn)])
            store.delete(ids=[f"book-{turn:05}"])
        assert read_contents(store) == key_by_id(make_books([*range(4, 10), *range(100, 104)]))
        check_storage(place, place.backend())

    def test_dropping_the_previous_generation_stops_notes(self, place: Place, db: Database, store: VectorStore) -> None:
        assert not db.drop_previous("docs")
        db.rebuild("docs", schema=WIDER)
        kept = read_contents(store)
        assert db.drop_previous("docs")
        assert not db.drop_previous("docs")
        assert read_contents(store) == kept
        store.upsert(make_books(range(3)))
        entry = place.backend().find(name="docs")
        assert entry.standby is None
        assert place.backend().changes(entry.active, (), 10) == [], "a change was noted for nobody"
        check_storage(place, place.backend())
        with pytest.raises(InvalidArgument, match="no previous generation"):
            db.rollback("docs")

    def test_without_a_previous_generation(self, place: Place, db: Database, store: VectorStore) -> None:
        with pytest.raises(InvalidArgument, match="no previous"):
            db.rollback("docs")
        db.rebuild("docs", schema=WIDER, keep_previous=False)
        check_storage(place, place.backend())
        with pytest.raises(InvalidArgument, match="no previous"):
            db.rollback("docs")

    def test_a_previous_generation_can_be_dropped(self, db: Database, store: VectorStore) -> None:
        assert not db.drop_previous("docs")
        db.rebuild("docs", schema=WIDER)
        store.upsert([make_book(10)])
        assert db.drop_previous("docs")
        assert not db.drop_previous("docs")
        with pytest.raises(InvalidArgument, match="no previous"):
            db.rollback("docs")
        assert read_contents(store) == key_by_id(make_books(range(11)))

    def test_a_rebuild_replaces_the_previous_generation(self, place: Place, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=with_fields({"pages": fields.Int()}))
        db.rebuild("docs", schema=with_fields({"edition": fields.Int()}))
        check_storage(place, place.backend())
        db.rollback("docs")
        assert store.count(F.pages.is_missing()) == 10
        assert db.open("docs").schema.fields.keys() == {*SCHEMA.fields, "pages"}

    def test_filters_of_the_old_schema_work_again(self, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=with_fields({"year": None}))
        with pytest.raises(InvalidFilter):
            store.count(F.year == 2001)
        db.rollback("docs")
        assert store.count(F.year == 2001) == 1
