"""`VectorStore.digest`: the same on every backend, and what it should be."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from .. import fields
from ..backend import Backend, Entry, Rows
from ..database import Database
from ..digest import Digest, digest_generation
from ..errors import InvalidFilter, UnknownField
from ..filters.field_ref import F
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .backend_level import BackendLevel, make_rows, new_generation
from .corpus import list_accepted
from .digest_truth import EXAMPLES, KNOWN, NARROW, WIDE, draw_record, to_shown, work_out
from .sample_records import SCHEMA, SampleStore, make_book, make_books, make_vector


class DigestTests(SampleStore):
    """`VectorStore.digest`."""

    @pytest.mark.parametrize("example", EXAMPLES)
    def test_known_digests(self, db: Database, example: str) -> None:
        schema, record = EXAMPLES[example]
        store = db.create("docs", schema)
        store.insert([record])
        told = replace(record, metadata=to_shown(record.metadata))
        assert store.digest() == KNOWN[example] == work_out([told], schema.dtype)

    def test_nothing(self, db: Database) -> None:
        assert db.create("docs", SCHEMA).digest() == "0" * 64

    @pytest.mark.parametrize("schema", [WIDE, NARROW], ids=["float32", "float16"])
    def test_random_records(self, db: Database, seed: int, schema: Schema) -> None:
        source, strings = random.Random(seed), list_accepted(0, 500)
        records = [draw_record(source, strings, number) for number in range(300)]
        store = db.create("docs", schema)
        store.upsert(records)
        assert store.digest() == work_out(records, schema.dtype)
        chosen = [record for record in records if record.metadata.get("yes") is True]
        assert store.digest(F.yes == True) == work_out(chosen, schema.dtype)  # noqa: E712
        store.delete(where=F.yes == True)  # noqa: E712
        left = [record for record in records if record not in chosen]
        assert store.digest() == work_out(left, schema.dtype)

    def test_more_records_than_a_page_in_any_order(self, db: Database) -> None:
        books = make_books(range(2_300))
        one, other = db.create("one", SCHEMA), db.create("other", SCHEMA)
        one.insert(books)
        other.insert(reversed(books[700:]))
        other.upsert(make_book(number, id=f"book-{number + 1:05}") for number in range(700))
        assert one.digest() != other.digest()
        other.upsert(books[:701])
        assert one.digest() == other.digest() == work_out(books)

    def test_long_texts(self, db: Database) -> None:
        """The pages become smaller than the first one."""
        books = [replace(make_book(number), text=f"{number % 10}" * 60_000) for number in range(1_100)]
        store = db.create("docs", SCHEMA)
        store.insert(books)
        assert store.digest() == work_out(books)

    @pytest.mark.parametrize(
        "change",
        [
            {"metadata": {"year": 2001}}, {"metadata": {"shelf": {"row": 0, "side": "left", "n": 1}}},
            {"metadata": {"price": 0.5}}, {"unset": ["shelf"]}, {"unset": ["lang"]}, {"text": None},
            {"text": "other", "vector": make_vector(0)}, {"text": "", "vector": make_vector(0)},
            {"metadata": {"tags": ["t0", "t0", "t0"]}}, {"metadata": {"more": 1}}, {"vector": [1, 2, 3, 4.5]},
        ],
        ids=lambda change: "-".join(change),
    )  # fmt: skip
    def test_each_part_counts(self, store: VectorStore, change: Any) -> None:
        before = store.digest()
        others = store.digest(F.id != "book-00000")
        store.update(ids=["book-00000"], **change)
        assert store.digest() != before
        assert store.digest(F.id != "book-00000") == others
        store.upsert([make_book(0)])
        assert store.digest() == before

    def test_number_classes_count(self, store: VectorStore) -> None:
        found = set()
        for value in (1, 1.0, True, "1", [1], -0.0, 0.0, 0):
            store.update(ids=["book-00000"], metadata={"more": value})
            found.add(store.digest())
        assert len(found) == 8

    def test_what_does_not_count(self, db: Database, store: VectorStore) -> None:
        before = store.digest()
        store.update(ids=["book-00000"], metadata={"more": None})
        store.update(ids=["book-00000"], metadata={"shelf": {"side": "left", "row": 0}})
        assert store.digest() == before
        db.rename("docs", "articles")
        assert store.digest() == db.open("articles").digest() == before

    def test_filters_are_checked(self, store: VectorStore) -> None:
        with pytest.raises(UnknownField, match="lang"):
            store.digest({"lnag": "en"})
        with pytest.raises(InvalidFilter):
            store.digest("en")  # type: ignore[arg-type]
        assert store.digest(F.lang == "no such") == "0" * 64


class VersionDigestTests(BackendLevel):
    """Below the facade: versions, and what only other programs write."""

    def test_versions_count(self, backend: Backend, entry: Entry) -> None:
        books = make_books(range(6))
        versions = {book.id: version for book, version in zip(books, (0, 1, 7, 2**31, 2**32 + 1, 2**53), strict=True)}
        backend.write(entry.active, make_rows(*books), insert=False, fence=list(versions.values()))
        backend.delete(entry.active, ["absent"], fence=[9])
        assert str(digest_generation(backend, entry.active)) == work_out(books, versions=versions)

    def test_a_random_program_with_fences(self, backend: Backend, entry: Entry, seed: int) -> None:
        source, expected, versions = random.Random(seed), dict[str, Record](), dict[str, int]()
        for _ in range(60):
            books = [make_book(number) for number in source.sample(range(20), source.randrange(1, 9))]
            books = [replace(book, text=f"text {source.random()}") for book in books]
            fence = [source.randrange(12) for _ in books]
            deletes = source.random() < 0.4
            for book, limit in zip(books, fence, strict=True):
                if versions.get(book.id, 0) <= limit:
                    versions[book.id] = limit
                    expected.pop(book.id, None)
                    expected |= {} if deletes else {book.id: book}
            if deletes:
                backend.delete(entry.active, [book.id for book in books], fence=fence)
            else:
                backend.write(entry.active, make_rows(*books), insert=False, fence=fence)
        assert str(digest_generation(backend, entry.active)) == work_out(expected.values(), versions=versions)

    def test_json_in_another_spelling(self, backend: Backend, entry: Entry) -> None:
        rows = make_rows(make_book(1))
        text = '{ "z":1E3, "\\u00e9" : [1.50,-0.0,1e0], "big":100000000000000000000000000000,"a":{"y":2,"x":"\\/"} }'
        written = Rows(rows.ids, rows.vectors, rows.texts, rows.fields, [text])
        backend.write(entry.active, written, insert=True)
        plain = {"z": 1000.0, "é": [1.5, -0.0, 1.0], "big": 10**29, "a": {"y": 2, "x": "/"}, "shelf": None}
        assert str(digest_generation(backend, entry.active)) == work_out([make_book(1, metadata=plain)])

    def test_a_conversion_is_what_a_rebuild_makes(self, backend: Backend, seed: int) -> None:
        source, strings = random.Random(seed), list_accepted(0, 500)
        kept = {name: field for name, field in WIDE.fields.items() if name not in {"at", "told", "whole", "words"}}
        target = replace(NARROW, fields={**kept, "new": fields.Float(), "told": fields.Keyword()})
        db = Database(backend)
        store = db.create("docs", WIDE)
        for number in range(100):
            record = draw_record(source, strings, number)
            store.upsert([replace(record, metadata={**record.metadata, "new": number})])
        before = backend.find(name="docs").active
        converted, bare = (
            str(digest_generation(backend, before, target=target, vectors=each)) for each in (True, False)
        )
        db.rebuild("docs", schema=target)
        after = backend.find(name="docs").active
        assert str(digest_generation(backend, after)) == converted == store.digest()
        assert str(digest_generation(backend, after, vectors=False)) == bare
        assert bare != converted

    def test_pages_in_any_order_and_size(self, backend: Backend, entry: Entry) -> None:
        backend.write(entry.active, make_rows(*make_books(range(50))), insert=True)
        whole = digest_generation(backend, entry.active)
        parts = Digest(SCHEMA)
        for numbers in (range(40, 50), range(3), range(3, 40)):
            parts.add(backend.fetch(entry.active, [make_book(number).id for number in numbers]))
        assert (str(parts), parts.records) == (str(whole), 50)

    def test_an_empty_generation(self, backend: Backend) -> None:
        entry = backend.create("bare", new_generation(NARROW))
        assert str(digest_generation(backend, entry.active, target=WIDE, vectors=False)) == "0" * 64
