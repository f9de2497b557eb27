"""`Database.declare` and `Database.undeclare`: keys become fields and back, and no answer changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from .. import fields
from ..database import Database
from ..errors import (
    InvalidArgument,
    InvalidFilter,
    InvalidMetadata,
    MetadataMismatch,
    SchemaMismatch,
    StoreNotFound,
    UnknownField,
)
from ..filters.field_ref import F
from ..filters.nodes import Filter
from ..index_options import Flat
from ..rebuild import declaration
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Place
from .sample_records import SCHEMA, SampleStore, make_vector, read_contents

DYNAMIC = replace(SCHEMA, fields={}, dynamic=True)
"""A store of books in which nothing is declared."""
KEYS: dict[str, fields.Field] = {
    "source": fields.Keyword(), "number": fields.Int(), "share": fields.Float(), "words": fields.Keywords(),
    "open": fields.Bool(), "when": fields.DateTime(text=True, naive="utc"), "moment": fields.DateTime(),
}  # fmt: skip
QUESTIONS: tuple[Filter, ...] = (
    F["source"] == "web", F["source"] != "web", F["source"].in_(["web", "Web"]), F["source"].starts_with("w"),
    F["number"] >= 3, F["number"].between(-1, 4), ~(F["number"] == 2.0), F["share"] < 1, F["share"] == 2,
    F["words"].exists(), F["words"].contains("a"), F["words"].contains_all(["a", "b"]),
    F["open"] == True, F["open"].in_([False]),  # noqa: E712
    F["when"].exists(), F["moment"].is_missing(), F["other"] == 1, (F["source"] == "web") & (F["number"] > 2),
)  # fmt: skip
"""Filters that mean the same of undeclared keys and of fields."""


def make_noted(number: int) -> Record:
    """Return a record whose metadata could be fields; each key is missing in some of them."""
    values: dict[str, Any] = {
        "source": ("web", "Web", "mail")[number % 3], "number": number % 7 - 1, "share": (number % 5) / 2,
        "words": ["a", "b", "c"][: number % 4], "open": number % 2 == 0,
        "when": f"2024-01-{number % 28 + 1:02}T00:00:00", "moment": f"2024-02-{number % 28 + 1:02}T09:30:00.5+01:00",
        "other": number % 3,
    }  # fmt: skip
    kept = {key: value for place, (key, value) in enumerate(values.items()) if (number + place) % 11}
    return Record(f"note-{number:05}", make_vector(number), f"text {number}", kept)


def ask(store: VectorStore, questions: tuple[Filter, ...] = QUESTIONS) -> list[list[str]]:
    """Return the answers to questions: the ids that match, and the nearest of them."""
    found = [[record.id for record in store.scan(each, include=())] for each in questions]
    nearest = [[hit.id for hit in store.search([1, 2, 3, 4], k=5, where=each, exact=True)] for each in questions]
    return [*found, *nearest]


def to_undeclared(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata with dates as one text for each moment, so that both forms of a date are equal."""
    return {
        key: datetime.fromisoformat(str(value)).replace(tzinfo=UTC).isoformat()
        if key == "when"
        else datetime.fromisoformat(str(value)).astimezone(UTC).isoformat()
        if key == "moment"
        else value
        for key, value in metadata.items()
    }


def read_undeclared(store: VectorStore) -> dict[str, Record]:
    """Return everything that a store holds, with dates as text."""
    return {id_: replace(each, metadata=to_undeclared(each.metadata)) for id_, each in read_contents(store).items()}


class DeclareTests(SampleStore):
    """Keys become fields, and fields keys, of a store that nobody writes to."""

    @pytest.fixture
    def notes(self, db: Database) -> VectorStore:
        """Return a store of notes in which nothing is declared."""
        store = db.create("notes", DYNAMIC)
        store.insert(map(make_noted, range(40)))
        return store

    def test_answers_are_equal_before_and_after(self, db: Database, notes: VectorStore) -> None:
        answers, contents = ask(notes), read_undeclared(notes)
        assert len({*map(tuple, answers)}) > 20
        done = db.declare("notes", KEYS)
        assert (done.records, dict(db.open("notes").schema.fields)) == (40, KEYS)
        assert done.values == {name: sum(name in each.metadata for each in contents.values()) for name in KEYS}
        for store in (notes, db.open("notes")):
            assert ask(store) == answers
            assert read_undeclared(store) == contents
        done = db.undeclare("notes", list(KEYS))
        assert (done.records, {*done.values}, dict(db.open("notes").schema.fields)) == (40, {*KEYS}, {})
        assert ask(notes) == answers
        assert read_undeclared(notes) == contents

    def test_values_are_typed_from_then_on(self, db: Database, notes: VectorStore) -> None:
        db.declare("notes", {"number": fields.Int(), "moment": fields.DateTime()})
        with pytest.raises(InvalidMetadata, match="number"):
            notes.upsert([Record("wrong", [1, 2, 3, 4], metadata={"number": "3"})])
        with pytest.raises(InvalidFilter):
            notes.count(F.number == "3")
        [record] = notes.get(["note-00003"])
        assert record is not None
        assert record.metadata["moment"] == datetime(2024, 2, 4, 8, 30, 0, 500_000, UTC)
        assert notes.count(F.moment == record.metadata["moment"]) == 2  # the days of 28 notes, twelve of them twice
        assert sum(count for _, count in notes.values("number")) == notes.count(F.number.exists())

    def test_the_storage_holds_fields(self, db: Database, place: Place, notes: VectorStore) -> None:
        before = place.raw("notes")
        if before is None:
            pytest.skip("the storage cannot be read without vecstore")
        assert before["note-00003"].metadata["moment"] == "2024-02-04T09:30:00.5+01:00"
        db.declare("notes", {name: KEYS[name] for name in ("source", "number", "words", "moment")})
        after = place.raw("notes")
        assert after is not None
        assert after.keys() == before.keys()
        found = after["note-00003"]
        assert (found.text, found.vector) == (before["note-00003"].text, before["note-00003"].vector)
        assert found.metadata["moment"] == 1_707_035_400_500_000
        assert (found.metadata["number"], list(found.metadata["words"])) == (2, ["a", "b", "c"])
        db.undeclare("notes", ["number", "words", "moment"])
        again = place.raw("notes")
        assert again is not None
        assert again["note-00003"].metadata["moment"] == "2024-02-04T08:30:00.500000+00:00"
        assert {**again["note-00003"].metadata, "moment": 0} == {**before["note-00003"].metadata, "moment": 0}

    def test_a_store_that_is_not_dynamic(self, db: Database, store: VectorStore) -> None:
        store.update(where=F.year >= 2005, metadata={"pages": 7})
        before = read_contents(store)
        with pytest.raises(UnknownField, match=r"declare\(\)"):
            store.count(F.pages == 7)
        assert db.declare("docs", {"pages": fields.Int()}).values == {"pages": 5}
        assert read_contents(store) == before
        assert store.count(F.pages == 7) == 5
        assert {*store.schema.fields} == {*SCHEMA.fields, "pages"}
        assert db.undeclare("docs", ["pages", "year"]).values == {"pages": 5, "year": 10}
        assert read_contents(store) == before
        with pytest.raises(UnknownField):
            store.count(F.year == 2001)

    def test_again_changes_nothing(self, db: Database, place: Place, notes: VectorStore) -> None:
        db.declare("notes", KEYS)
        active = place.backend().find(name="notes").active
        some = {"source": fields.Keyword()}
        for done in (db.declare("notes", KEYS), db.declare("notes", some), db.undeclare("notes", ["absent"])):
            assert (done.records, done.values) == (40, {})
        entry = place.backend().find(name="notes")
        assert (entry.active, entry.standby) == (active, None)
        assert db.declare("notes", {**some, "other": fields.Int()}).values == {"other": notes.count(F.other.exists())}

    def test_an_empty_store(self, db: Database) -> None:
        store = db.create("empty", DYNAMIC)
        assert db.declare("empty", KEYS).values == dict.fromkeys(KEYS, 0)
        store.upsert([Record("a", [1, 2, 3, 4], metadata={"source": "web", "number": 1})])
        assert db.undeclare("empty", ["source"]).values == {"source": 1}

    @pytest.mark.parametrize(
        "value, kind, reason",
        [
            (1, fields.Keyword(), "must be a str, not int"),
            ("x" * 1025, fields.Keyword(), "that is not declared may be longer"),
            (2.0, fields.Int(), "must be an int, not float"),
            (True, fields.Int(), "must be an int"),
            (2**53 + 1, fields.Int(), "2**53"),
            (2**53 + 1, fields.Float(), "a float would change"),
            (10**400, fields.Float(), "a float would change"),
            ("1", fields.Float(), "must be a float"),
            (0, fields.Bool(), "must be a bool"),
            (["a", 1], fields.Keywords(), "position 1"),
            ("a", fields.Keywords(), "a list of str"),
            ({"a": 1}, fields.Keyword(), "must be a str"),
            ("yesterday", fields.DateTime(), "ISO 8601"),
            ("2024-01-01T00:00:00", fields.DateTime(text=True), "time zone"),
            (1, fields.DateTime(), "must be a datetime"),
        ],
    )
    def test_values_of_another_type_are_refused(
        self, db: Database, place: Place, store: VectorStore, value: Any, kind: fields.Field, reason: str
    ) -> None:
        store.update(ids=["book-00003", "book-00007"], metadata={"extra": value})
        before, entry = read_contents(store), place.backend().find(name="docs")
        with pytest.raises(MetadataMismatch) as refused:
            db.declare("docs", {"other": fields.Int(), "extra": kind})
        assert refused.value.ids == ("book-00003", "book-00007")
        assert all(part in str(refused.value) for part in ("'docs'", "book-00003", "'extra'", reason, "unset=["))
        assert "xxx" not in str(refused.value)
        assert place.backend().find(name="docs") == entry
        assert read_contents(store) == read_contents(db.open("docs")) == before
        store.update(ids=["book-00003", "book-00007"], unset=["extra"])
        assert db.declare("docs", {"extra": kind}).values == {"extra": 0}

    def test_the_first_ten_are_named(self, db: Database, notes: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(declaration, "PAGE", 7)
        with pytest.raises(MetadataMismatch, match="the first 10 are") as refused:
            db.declare("notes", {"other": fields.Keyword()})
        expected = [id_ for id_, each in read_contents(notes).items() if "other" in each.metadata]
        assert list(refused.value.ids) == expected[:10]
        notes.update(ids=["note-00012"], metadata={"source": ["web"]})
        with pytest.raises(MetadataMismatch, match="these: 'note-00012'") as refused:
            db.declare("notes", {"source": fields.Keyword()})
        assert refused.value.ids == ("note-00012",)

    def test_undeclared_metadata_that_would_be_too_large(self, db: Database, place: Place, store: VectorStore) -> None:
        store.update(ids=["book-00004"], metadata={"tags": ["é" * 512] * 600})
        store.update(ids=["book-00004"], metadata={"large": "x" * 500_000})
        entry = place.backend().find(name="docs")
        with pytest.raises(MetadataMismatch, match="1,048,576 bytes") as refused:
            db.undeclare("docs", ["tags"])
        assert refused.value.ids == ("book-00004",)
        assert place.backend().find(name="docs") == entry

    def test_records_without_a_vector_stay_without(self, db: Database) -> None:
        store = db.create("some", replace(DYNAMIC, vectors="optional"))
        store.insert([make_noted(1), replace(make_noted(2), vector=None)])
        before = read_undeclared(store)
        db.declare("some", KEYS)
        assert read_undeclared(store) == before

    def test_what_else_the_schema_says_stays(self, db: Database) -> None:
        schema = Schema(dim=4, metric="ip", dtype="float16", index=Flat(), fields={"year": fields.Int()})
        db.create("half", schema).insert([make_noted(1)])
        db.declare("half", {"source": fields.Keyword()})
        assert db.open("half").schema == replace(schema, fields={**schema.fields, "source": fields.Keyword()})

    def test_the_way_back_of_an_earlier_rebuild_ends(self, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=replace(SCHEMA, dtype="float16"))
        db.declare("docs", {"pages": fields.Int()})
        with pytest.raises(InvalidArgument, match="no previous generation"):
            db.rollback("docs")

    def test_a_call_that_changes_nothing_keeps_the_way_back(self, db: Database, store: VectorStore) -> None:
        db.rebuild("docs", schema=replace(SCHEMA, dtype="float16"))
        db.declare("docs", {"year": fields.Int()})
        db.undeclare("docs", ["pages"])
        db.rollback("docs")
        assert db.open("docs").schema == SCHEMA

    def test_wrong_arguments_are_refused_before_anything_is_read(self, db: Database) -> None:
        wrong: list[Any] = [
            {}, None, ["year"], {"year": "int"}, {"year": fields.Int}, {"id": fields.Int()}, {"Year": fields.Int()},
            {1: fields.Int()}, {"postgresql://me:secret@h/db": fields.Int()},
        ]  # fmt: skip
        for given in wrong:
            with pytest.raises(InvalidArgument) as refused:
                db.declare("absent", given)
            assert "secret" not in str(refused.value)
        with pytest.raises(InvalidArgument, match="dynamic=True") as refused:
            db.declare("absent", {"Page Number": fields.Int()})
        assert "page_number" not in str(refused.value)
        for names in ([], "year", None, [1], ["Page Number"], 3):
            with pytest.raises(InvalidArgument):
                db.undeclare("absent", names)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match="on_progress"):
            db.declare("absent", KEYS, on_progress=1)  # type: ignore[arg-type]
        with pytest.raises(StoreNotFound):
            db.declare("absent", KEYS)
        with pytest.raises(StoreNotFound):
            db.undeclare("absent", ["year"])

    def test_a_field_of_another_kind_is_refused(self, db: Database, store: VectorStore) -> None:
        for kind in (fields.Keyword(), fields.Float()):
            with pytest.raises(SchemaMismatch, match=r"'year' of store 'docs' is declared as int.*undeclare\(\)"):
                db.declare("docs", {"pages": fields.Int(), "year": kind})
        with pytest.raises(SchemaMismatch, match="datetime, not datetime with text=True"):
            db.declare("docs", {"at": fields.DateTime(text=True)})
        assert store.schema == SCHEMA

    def test_progress_is_reported(self, db: Database, notes: VectorStore) -> None:
        calls: list[tuple[str, int, int | None]] = []
        db.declare("notes", KEYS, on_progress=lambda *call: calls.append(call))
        for phase in ("checking", "copying", "comparing"):
            assert [call for call in calls if call[0] == phase][-1] == (phase, 40, 40)
