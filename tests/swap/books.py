"""A store of books that has everything that a copy must not lose."""

from __future__ import annotations

from dataclasses import replace

from vecstore import HNSW, Database, Record, VectorStore
from vecstore.backend import Backend, Entry, Generation
from vecstore.digest import digest_generation
from vecstore.testing.backend_level import read_tombstones, read_versions, write_fenced
from vecstore.testing.place import Place
from vecstore.testing.sample_records import SCHEMA, make_books

RICH = replace(SCHEMA, index=HNSW(m=8), vectors="optional", dynamic=True)
"""Metadata of every kind, vectors that may be missing, an index."""
COUNT = 60


def make_store(place: Place, database: Database) -> VectorStore:
    """Make a store of books with versions, tombstones, and records without a vector or a text."""
    store = database.create("docs", RICH)
    store.insert(make_books(range(COUNT)))
    store.upsert(
        [Record("bare", text="no vector", embed=False), Record("mute", [1, 2, 3, 4]), Record("~ü", [1, 1, 1, 1])]
    )
    backend = place.backend()
    active = backend.find(name="docs").active
    write_fenced(backend, active, [("book-00001", 7), ("gone", 5), ("book-00002", 3)])
    backend.delete(active, ["gone", "book-00003", "book-00002"])
    backend.delete(active, ["never"], fence=[9])
    return store


def read_state(place: Place, name: str = "docs") -> tuple[object, ...]:
    """Return what must be the same in a copy: records by digest, versions, tombstones, schema, identity."""
    backend = place.backend()
    active = backend.find(name=name).active
    return (
        read_digest(backend, active), read_versions(backend, active), read_tombstones(backend, active), active.schema,
        active.identity,
    )  # fmt: skip


def read_digest(backend: Backend, generation: Generation) -> str:
    """Return the digest of a generation."""
    return str(digest_generation(backend, generation))


def find_entry(place: Place, name: str = "docs") -> Entry:
    """Return the entry of a store."""
    return place.backend().find(name=name)


def check_clean(place: Place, name: str = "docs") -> None:
    """Prove that a store has one generation, and that nothing is noted."""
    backend = place.backend()
    entry = backend.find(name=name)
    assert [each.remote for each in entry.generations] == [None]
    assert backend.changes(entry.active, (), 10) == []
