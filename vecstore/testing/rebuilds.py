"""Rebuild and rollback while others write and read."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from .. import fields
from ..backend import Backend, Entry
from ..database import Database
from ..index import HNSW
from ..records import Record
from ..schema import Schema
from .author import Author
from .backend_level import Below, buried, put, stored
from .place import Place
from .rebuild_fixtures import (
    OLD,
    PAGES,
    TEXT_SCHEMA,
    SmallPages,
    author_process,
    holds_texts,
    new_model,
    on_active,
    put_active,
    texts,
)
from .sample_records import SCHEMA, book, books, by_id, contents
from .threads import Crowd


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
        base = [book(number, metadata={"at": None}) for number in range(PAGES)]
        store.insert(base)
        authors = [Author(db.open("docs"), name, seed) for name in ("ann", "bob", "eve")]
        with Crowd(*(author.step for author in authors)) as crowd:
            report = db.rebuild("docs", schema=schema, on_progress=lambda done, total: crowd.wait_for(3))
            for _ in range(2):
                crowd.wait_for(3)
                db.rollback("docs")
            crowd.wait_for(3)
        assert contents(store) == by_id([*base, *(record for author in authors for record in author.kept.values())])
        assert store.schema == schema
        assert report.caught_up > 0

    def test_a_new_model_under_writers_and_searches(self, db: Database, seed: int) -> None:
        new = new_model()
        both = (OLD, new)
        db.create("texts", TEXT_SCHEMA, embedder=OLD).insert(texts(PAGES))
        authors = [Author(db.open("texts", embedder=both), name, seed, embeds=True) for name in ("ann", "bob")]
        reader = db.open("texts", embedder=both)

        def search() -> None:
            hits = reader.search("text 7", k=20, exact=True, include=("text", "vector"))
            assert (len({hit.id for hit in hits}), hits[0].text) == (20, "text 7")
            assert len({np.asarray(hit.vector).shape for hit in hits}) == 1
            assert hits[0].score > 0.999
            near = reader.similar_to("text-00007", k=20, exact=True)
            assert (len(near), "text-00007" in {hit.id for hit in near}) == (20, False)

        with Crowd(*(author.step for author in authors), search) as crowd:
            report = db.rebuild("texts", embedder=new, on_progress=lambda done, total: crowd.wait_for(3))
            crowd.wait_for(3)
        kept = by_id([*texts(PAGES), *(record for author in authors for record in author.kept.values())])
        holds_texts(reader, kept, new)
        assert (report.embedded, report.copied) == (True, report.copied)
        assert reader.schema.dim == new.dim

    def test_processes_that_write(self, place: Place, db: Database, seed: int) -> None:
        if not place.processes:
            pytest.skip("no other process sees this place")
        new = new_model()
        db.create("texts", TEXT_SCHEMA, embedder=OLD).insert(texts(PAGES))
        kept = by_id(texts(PAGES))
        with ExitStack() as stack:
            names = ("ann", "bob")
            authors = [stack.enter_context(author_process(place, name, seed)) for name in names]

            def all_write(done: int = 0, total: int = 0) -> None:
                for author in authors * 3:
                    assert author.ask() == "."

            all_write()
            with Crowd(*((lambda each=author: each.ask()) for author in authors)) as crowd:
                db.rebuild("texts", embedder=new, on_progress=lambda done, total: crowd.wait_for(3))
            all_write()
            for author in authors:
                for id_, (text, values) in json.loads(author.finish().splitlines()[-1]).items():
                    kept[id_] = Record(id_, None, text, values)
        holds_texts(db.open("texts", embedder=new), kept, new)

    def test_versions_and_tombstones_under_fenced_writers(self, place: Place, db: Database) -> None:
        db.create("docs", SCHEMA).insert(books(range(PAGES)))
        backend = place.backend()
        versions, tombstones = dict.fromkeys(contents(db.open("docs")), 0), dict[str, int]()
        turns = count(1)

        def step() -> None:
            version = next(turns)
            id_, other = f"book-{version % 50:05}", f"new-{version % 20}"
            put_active(backend, [(id_, version), (other, version)])
            for each in (id_, other):
                versions[each] = version
                tombstones.pop(each, None)
            doomed = f"book-{(version + 25) % 50:05}"
            on_active(backend, lambda entry: backend.delete(entry.active, [doomed], fence=[version]))
            versions.pop(doomed, None)
            tombstones[doomed] = version

        with Crowd(step) as crowd:
            db.rebuild("docs", on_progress=lambda done, total: crowd.wait_for(3))
            crowd.wait_for(3)
            db.rollback("docs")
            crowd.wait_for(60)
            db.rollback("docs")
        active = backend.find(name="docs").active
        assert stored(backend, active) == versions
        assert buried(backend, active) == tombstones


class CarriedTests(Below):
    """What a rebuild carries below the facade."""

    def test_versions_and_tombstones(self, backend: Backend, entry: Entry) -> None:
        put(backend, entry.active, [(f"r{number}", number) for number in range(10)])
        backend.delete(entry.active, ["r3", "r4", "never"], fence=[7, 4, 2])
        backend.delete(entry.active, ["r5"])
        db = Database(backend)
        for change in (db.rebuild, db.rollback, db.rollback):
            change("docs")
            active = backend.find(name="docs").active
            assert stored(backend, active) == {f"r{number}": number for number in (0, 1, 2, 6, 7, 8, 9)}
            assert buried(backend, active) == {"never": 2, "r3": 7, "r4": 4, "r5": 5}
