"""Dates as text: ``fields.DateTime(text=True)``, in a record, in filters, and in the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .. import fields
from ..columns.given import Columns
from ..database import Database
from ..errors import InvalidFilter, InvalidMetadata, SchemaMismatch
from ..filters.field_ref import F
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Place, Places

VECTOR = [1.0, 2.0]
SCHEMA = Schema(
    dim=2,
    index=Flat(),
    fields={
        "at": fields.DateTime(text=True),
        "day": fields.DateTime(text=True, naive="utc"),
        "moment": fields.DateTime(naive="utc"),
        "plain": fields.DateTime(),
    },
)
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


class DateTextTests(Places):
    """Fields whose dates are ISO 8601 text, beside one whose dates are not."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return an empty store."""
        return db.create("dates", SCHEMA)

    def test_text_in_and_out(self, store: VectorStore) -> None:
        given: list[dict[str, Any]] = [
            {"at": "2024-06-01T12:00:00Z", "day": "2024-06-01", "moment": datetime(2024, 6, 1), "plain": NOON},
            {"at": "2024-06-01T14:00:00.000001+02:00", "day": "2024-06-01T12:00:00"},
            {"at": NOON, "day": NOON + timedelta.resolution, "moment": NOON},
            {"at": None},
        ]
        store.insert(Record(f"r{number}", VECTOR, metadata=each) for number, each in enumerate(given))
        noon, day = "2024-06-01T12:00:00+00:00", "2024-06-01T00:00:00+00:00"
        expected: list[dict[str, Any]] = [
            {"at": noon, "day": day, "moment": datetime(2024, 6, 1, tzinfo=UTC), "plain": NOON},
            {"at": "2024-06-01T12:00:00.000001+00:00", "day": noon},
            {"at": noon, "day": "2024-06-01T12:00:00.000001+00:00", "moment": NOON},
            {},
        ]
        assert [record.metadata for record in store.scan()] == expected
        assert sorted(repr(hit.metadata) for hit in store.search(VECTOR)) == sorted(map(repr, expected))
        store.upsert(list(store.scan()))
        assert [record.metadata for record in store.scan()] == expected

    def test_columns(self, store: VectorStore) -> None:
        texts = ["2024-06-01T12:00:00Z", None, "2024-06-01T14:00:00+02:00"]
        days = ["2024-06-01", "2024-06-02T00:00", None]
        store.upsert(Columns(ids=["a", "b", "c"], vectors=[VECTOR] * 3, metadata={"at": texts, "day": days}))
        assert [(record.metadata.get("at"), record.metadata.get("day")) for record in store.scan()] == [
            ("2024-06-01T12:00:00+00:00", "2024-06-01T00:00:00+00:00"),
            (None, "2024-06-02T00:00:00+00:00"),
            ("2024-06-01T12:00:00+00:00", None),
        ]

    def test_filters_order_instants(self, store: VectorStore) -> None:
        hours = [f"2024-06-01T{12 + zone:02}:00:0{zone}+{zone:02}:00" for zone in (0, 9, 3)]
        store.insert(Record(f"r{number}", VECTOR, metadata={"at": hour}) for number, hour in enumerate(hours))
        assert [record.id for record in store.scan(F.at > "2024-06-01T12:00:02Z")] == ["r1", "r2"]
        assert [record.id for record in store.scan({"at": {"$lt": "2024-06-01T08:00:03.5-04:00"}})] == ["r0", "r2"]
        assert [record.id for record in store.scan(F.at == NOON)] == ["r0"]
        assert [record.id for record in store.scan(F.at.in_([hours[2], NOON]))] == ["r0", "r2"]
        assert store.count(F.day >= "2024-06-01") == 0
        assert store.values("at", limit=2) == [("2024-06-01T12:00:00+00:00", 1), ("2024-06-01T12:00:03+00:00", 1)]
        for where in (F.at > "2024-06-01", F.at > "soon", F.plain > "2024-06-01"):
            with pytest.raises(InvalidFilter):
                store.count(where)

    def test_updates(self, store: VectorStore) -> None:
        store.insert([Record("a", VECTOR, metadata={"at": NOON})])
        store.update(ids=["a"], metadata={"at": "2025-01-01T00:00:00Z", "day": "2025-01-02"})
        (record,) = store.scan()
        assert record.metadata == {"at": "2025-01-01T00:00:00+00:00", "day": "2025-01-02T00:00:00+00:00"}

    @pytest.mark.parametrize(
        "bad",
        [
            {"at": "2024-06-01T12:00:00"}, {"at": "2024-06-01"}, {"at": "soon"}, {"at": ""}, {"at": 3},
            {"at": datetime(2024, 6, 1)}, {"plain": "2024-06-01T12:00:00Z"}, {"plain": datetime(2024, 6, 1)},
            {"moment": "2024-06-01"}, {"day": "1.6.2024"},
        ],
        ids=ascii,
    )  # fmt: skip
    def test_what_is_refused(self, store: VectorStore, bad: dict[str, Any]) -> None:
        with pytest.raises(InvalidMetadata, match="'bad'"):
            store.upsert([Record("good", VECTOR), Record("bad", VECTOR, metadata=bad)])
        with pytest.raises(InvalidMetadata):
            store.update(ids=["good"], metadata=bad)
        assert store.count() == 0

    def test_the_catalogue_keeps_the_options(self, place: Place, db: Database, store: VectorStore) -> None:
        store.insert([Record("a", VECTOR, metadata={"at": NOON})])
        with place.connect() if place.shared else db as other:
            found = other.open("dates")
            assert dict(found.schema.fields) == dict(SCHEMA.fields)
            assert [record.metadata for record in found.scan()] == [{"at": "2024-06-01T12:00:00+00:00"}]
            plain = Schema(dim=2, index=Flat(), fields={**SCHEMA.fields, "at": fields.DateTime()})
            with pytest.raises(SchemaMismatch, match="at is datetime with text=True, not datetime"):
                other.create("dates", plain, if_exists="open")
        assert Schema.from_dict(SCHEMA.to_dict()) == SCHEMA

    def test_a_rebuild_changes_the_form(self, db: Database, store: VectorStore) -> None:
        store.insert([Record("a", VECTOR, metadata={"at": NOON, "plain": NOON, "note": "2024-06-01T12:00:00Z"})])
        turned = {"at": fields.DateTime(), "plain": fields.DateTime(text=True), "note": fields.DateTime(text=True)}
        db.rebuild("dates", schema=Schema(dim=2, index=Flat(), fields=turned))
        text = "2024-06-01T12:00:00+00:00"
        assert [record.metadata for record in db.open("dates").scan()] == [{"at": NOON, "plain": text, "note": text}]
