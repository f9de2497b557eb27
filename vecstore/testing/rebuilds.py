"""Rebuild and rollback while others write and read."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import pytest

from .. import fields
from ..backend import Backend, Entry
from ..database import Database
from ..index_options import HNSW
from ..records import Record
from ..schema import Schema
from .author import Author
from .backend_level import BackendLevel, read_tombstones, read_versions, write_fenced
from .place import Place
from .rebuild_fixtures import (
    OLD,
    PAGES,
    TEXT_SCHEMA,
    SmallPages,
    apply_to_active,
    check_texts,
    make_texts,
    new_model,
    start_author,
    write_fenced_to_active,
)
from .sample_records import SCHEMA, key_by_id, make_book, make_books, read_contents
from .threads import RepeatingThreads


class RebuildUnderWritesTests(SmallPages):
    """Every acknowledged write is there after the switch."""

    @pytest.mark.parametrize(
        "schema",
        [
            replace(SCHEMA, fields={**SCHEMA.fields, "pages": fields.Int()}, index=HNSW()),
            replace(SCHEMA, dtype="float16", fields={"lang": fields.Keyword(), "year": fields.Int()}),
        ],
        ids=["one more field", "another dtype, fewer fields"],
    )
    def test_rebuild_and_rollback_under_writers(self, db: Database, seed: int, schema: Schema) -> None:
        store = db.create("docs", SCHEMA)
        base = [make_book(number, metadata={"at": None}) for number in range(PAGES)]
        store.insert(base)
        authors = [Author(db.open("docs"), name, seed) for name in ("ann", "bob", "eve")]
        with RepeatingThreads(*(author.step for author in authors)) as threads:
            report = db.rebuild("docs", schema=schema, on_progress=lambda phase, done, total: threads.wait_for(3))
            for _ in range(2):
                threads.wait_for(3)
                db.rollback("docs")
            threads.wait_for(3)
        assert read_contents(store) == key_by_id(
            [*base, *(record for author in authors for record in author.kept.values())]
        )
        assert store.schema == schema
        assert report.caught_up > 0

    def test_a_new_model_under_writers_and_searches(self, db: Database, seed: int) -> None:
        new = new_model()
        both = (OLD, new)
        db.create("texts", TEXT_SCHEMA, embedder=OLD).insert(make_texts(PAGES))
        authors = [Author(db.open("texts", embedder=both), name, seed, embeds=True) for name in ("ann", "bob")]
        reader = db.open("texts", embedder=both)

        def search() -> None:
            hits = reader.search("text 7", k=20, exact=True, include=("text", "vector"))
            assert (len({hit.id for hit in hits}), hits[0].text) == (20, "text 7")
            assert len({np.asarray(hit.vector).shape for hit in hits}) == 1
            assert hits[0].score > 0.999
            near = reader.similar_to("text-00007", k=20, exact=True)
            assert (len(near), "text-00007" in {hit.id for hit in near}) == (20, False)

        with RepeatingThreads(*(author.step for author in authors), search) as threads:
            report = db.rebuild("texts", embedder=new, on_progress=lambda phase, done, total: threads.wait_for(3))
            threads.wait_for(3)
        kept = key_by_id([*make_texts(PAGES), *(record for author in authors for record in author.kept.values())])
        check_texts(reader, kept, new)
        assert (report.embedded, report.copied) == (True, report.copied)
        assert reader.schema.dim == new.dim

    def test_processes_that_write(self, place: Place, db: Database, seed: int) -> None:
        if not place.processes:
            pytest.skip("no other process sees this place")
        new = new_model()
        db.create("texts", TEXT_SCHEMA, embedder=OLD).insert(make_texts(PAGES))
        kept = key_by_id(make_texts(PAGES))
        with ExitStack() as stack:
            names = ("ann", "bob")
            authors = [stack.enter_context(start_author(place, name, seed)) for name in names]

            def all_write(done: int = 0, total: int = 0) -> None:
                for author in authors * 3:
                    assert author.ask() == "."

            all_write()
            with RepeatingThreads(*((lambda each=author: each.ask()) for author in authors)) as threads:
                db.rebuild("texts", embedder=new, on_progress=lambda phase, done, total: threads.wait_for(3))
            all_write()
            for author in authors:
                for id_, (text, values) in json.loads(author.finish().splitlines()[-1]).items():
                    kept[id_] = Record(id_, None, text, values)
        check_texts(db.open("texts", embedder=new), kept, new)

    def test_versions_and_tombstones_under_fenced_writers(self, place: Place, db: Database) -> None:
        db.create("docs", SCHEMA).insert(make_books(range(PAGES)))
        backend = place.backend()
        versions, tombstones = dict.fromkeys(read_contents(db.open("docs")), 0), dict[str, int]()
        turns = count(1)

        def step() -> None:
            version = next(turns)
            id_, other = f"book-{version % 50:05}", f"new-{version % 20}"
            write_fenced_to_active(backend, [(id_, version), (other, version)])
            for each in (id_, other):
                versions[each] = version
                tombstones.pop(each, None)
            removed = f"book-{(version + 25) % 50:05}"
            apply_to_active(backend, lambda entry: backend.delete(entry.active, [removed], fence=[version]))
            versions.pop(removed, None)
            tombstones[removed] = version

        with RepeatingThreads(step) as threads:
            schema = SCHEMA.with_index(HNSW(m=8))
            db.rebuild("docs", schema=schema, on_progress=lambda phase, done, total: threads.wait_for(3))
            threads.wait_for(3)
            db.rollback("docs")
            threads.wait_for(60)
            db.rollback("docs")
        active = backend.find(name="docs").active
        assert read_versions(backend, active) == versions
        assert read_tombstones(backend, active) == tombstones


class CarriedTests(BackendLevel):
    """What a rebuild carries below the facade."""

    def test_versions_and_tombstones(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [(f"r{number}", number) for number in range(10)])
        backend.delete(entry.active, ["r3", "r4", "never"], fence=[7, 4, 2])
        backend.delete(entry.active, ["r5"])
        db = Database(backend)
        for change in (partial(db.rebuild, schema=SCHEMA.with_index(HNSW(m=8))), db.rollback, db.rollback):
            change("docs")
            active = backend.find(name="docs").active
            assert read_versions(backend, active) == {f"r{number}": number for number in (0, 1, 2, 6, 7, 8, 9)}
            assert read_tombstones(backend, active) == {"never": 2, "r3": 7, "r4": 4, "r5": 5}
