"""Sample stores below the facade, with a model of what they should hold."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore import HNSW, Flat, Schema, fields
from vecstore.backend import Generation, Rows, Search, Update
from vecstore.backends.file.backend import FileBackend
from vecstore.filters import ALL, Filter
from vecstore.filters.key_values import KeyValue
from vecstore.filters.nodes import Compare, CompareKey

DIM = 8
FIELDS = {"lang": fields.Keyword(), "year": fields.Int(), "tags": fields.Keywords()}
SCHEMA = Schema(dim=DIM, metric="l2", index=Flat(), fields=FIELDS, dynamic=True)
OPTIONAL = replace(SCHEMA, vectors="optional")
INDEXED = SCHEMA.with_index(HNSW(m=8, ef_construction=32))
LANGS = ("en", "de", None)
LATER = CompareKey(("stamp",), "gte", KeyValue("number", 3.0))
"""The records that were written with stamp 3 and later; nobody declared the key."""


@dataclass(frozen=True)
class ExpectedRecord:
    """A record as a read must return it."""

    version: int
    text: str | None
    vector: bytes
    """Empty without one."""
    fields: Mapping[str, Any]
    extra: str


Model = dict[str, ExpectedRecord]


def connect_backend(place: Path, **parameters: str) -> FileBackend:
    return FileBackend.connect(str(place), parameters)


def make_generation(schema: Schema = SCHEMA, *, standby: bool = False) -> Generation:
    return Generation(uuid.uuid4().hex, schema, standby=standby)


def make_rows(numbers: Iterable[int], stamp: int, dim: int = DIM) -> Rows:
    """Return records that depend on their number and a stamp."""
    listed = list(numbers)
    vectors = np.random.default_rng([stamp, 1]).standard_normal((len(listed), dim)).astype(np.float32)
    return Rows(
        ids=[f"id-{number:05}" for number in listed],
        vectors=vectors,
        texts=[None if number % 5 == 0 else f"text {number} stamp {stamp} " + "é" * (number % 50) for number in listed],
        fields={
            "lang": [LANGS[number % 3] for number in listed],
            "year": [stamp if number % 4 else None for number in listed],
            "tags": [tuple(f"t{tag}" for tag in range(number % 4)) if number % 7 else None for number in listed],
        },
        extras=[f'{{"stamp":{stamp},"n":{number}}}' for number in listed],
    )


def make_sparse_rows(numbers: Iterable[int], stamp: int) -> Rows:
    """Return the same records, two in three without a vector."""
    batch = make_rows(numbers, stamp)
    present = np.arange(len(batch)) % 3 == 1
    assert batch.vectors is not None
    return replace(batch, vectors=batch.vectors * present[:, None], present=present)


def make_model(batch: Rows, versions: Sequence[int] | None = None) -> Model:
    versions = versions or batch.versions or [0] * len(batch)
    assert batch.vectors is not None
    assert batch.texts is not None
    assert batch.fields is not None
    assert batch.extras is not None
    return {
        id_: ExpectedRecord(
            versions[place],
            batch.texts[place],
            batch.vectors[place].tobytes() if batch.present is None or batch.present[place] else b"",
            {name: column[place] for name, column in batch.fields.items()},
            batch.extras[place],
        )
        for place, id_ in enumerate(batch.ids)
    }


def read_contents(backend: FileBackend, where: Generation, limit: int = 100) -> Model:
    """Read every record, page by page."""
    found: Model = {}
    after = None
    while len(page := backend.page(where, None, after, limit)):
        assert list(page.ids) == sorted(page.ids)
        assert not set(page.ids) & set(found)
        found |= make_model(page)
        after = page.ids[-1]
    return found


@dataclass
class Store:
    """A store with the model of what it holds."""

    place: Path
    backend: FileBackend
    active: Generation
    model: Model = field(default_factory=dict)

    @classmethod
    def create(cls, place: Path, schema: Schema = SCHEMA, **parameters: str) -> Store:
        backend = connect_backend(place, **parameters)
        return cls(place, backend, backend.create("docs", make_generation(schema)).active)

    def upsert(self, numbers: Iterable[int], stamp: int, make: Callable[..., Rows] = make_rows) -> None:
        batch = make(numbers, stamp)
        assert self.backend.write(self.active, batch, insert=False) == len(batch)
        self.model |= make_model(batch)

    def delete(self, numbers: Iterable[int]) -> None:
        ids = [f"id-{number:05}" for number in numbers]
        assert self.backend.delete(self.active, ids) == len(ids)
        for id_ in ids:
            del self.model[id_]

    def set_year(self, where: Filter, year: int) -> None:
        ids = list_ids(self.backend, self.active, where)
        assert self.backend.update(self.active, where, Update({"year": year}, {})) == len(ids)
        for id_ in ids:
            kept = self.model[id_]
            self.model[id_] = replace(kept, fields={**kept.fields, "year": year})

    def check(self) -> None:
        """Compare the model with what a new connection and this one read."""
        fresh = connect_backend(self.place)
        try:
            for backend in (fresh, self.backend):
                assert read_contents(backend, self.active) == self.model
                assert backend.count(self.active, None) == len(self.model)
            assert fresh.verify(self.active).problems == ()
        finally:
            fresh.close()

    def files(self) -> list[Path]:
        """Return the paths of all files, relative to the place."""
        return sorted(path.relative_to(self.place) for path in self.place.rglob("*") if path.is_file())


def list_ids(backend: FileBackend, where: Generation, condition: Filter) -> list[str]:
    return list(backend.page(where, condition, None, 1_000_000).ids)


def make_busy_store(place: Path, schema: Schema = SCHEMA, **parameters: str) -> Store:
    """Return a store with segments, a memtable, removed rows in both, updates, tombstones and notes."""
    store = Store.create(place, schema, **parameters)
    store.upsert(range(100), 1)
    store.upsert(range(100, 190), 2)
    store.upsert(range(95, 105), 3)
    store.delete([3, 96, 150])
    store.set_year(Compare("lang", "eq", "de"), 1999)
    fenced = make_rows([300, 301, 302], 4)
    store.backend.write(store.active, fenced, insert=False, fence=[5, 6, 7])
    store.model |= make_model(fenced, [5, 6, 7])
    store.backend.delete(store.active, ["id-00300"], [9])
    del store.model["id-00300"]
    store.backend.create("docs", make_generation(standby=True))
    store.upsert([1, 2, 400], 5)
    return store


QUERIES: NDArray[np.float32] = np.random.default_rng(7).standard_normal((3, DIM)).astype(np.float32)


def list_reads(backend: FileBackend, where: Generation) -> dict[str, Any]:
    """Return every kind of read as a call of its own."""
    few = ["id-00001", "id-00003", "id-00100", "id-00302", "absent"]
    search = Search(QUERIES, 7, include=frozenset({"text", "metadata", "vector"}))
    return {
        "names": backend.names,
        "count": lambda: backend.count(where, None),
        "search": lambda: find_sorted(backend, where, search),
        "lean search": lambda: find_sorted(backend, where, Search(QUERIES[:1], 3)),
        "filtered": lambda: find_sorted(backend, where, replace(search, where=Compare("year", "lt", 3))),
        "count where": lambda: backend.count(where, Compare("tags", "contains_any", ("t2",))),
        "count where key": lambda: backend.count(where, LATER),
        "contents": lambda: read_contents(backend, where),
        "fetch": lambda: make_model(backend.fetch(where, few)),
        "all": lambda: backend.count(where, ALL),
        "changes": lambda: [change.id for change in backend.changes(where, (), 100)],
        "tombstones": lambda: dict(backend.tombstones(where, None, 100)),
    }


def find_sorted(backend: FileBackend, where: Generation, search: Search) -> list[Any]:
    return [
        sorted(zip(one.scores.tolist(), one.rows.ids, one.rows.texts or one.rows.ids, strict=True))
        for one in backend.search(where, search)
    ]


_WHOLE = Search(QUERIES, 7, include=frozenset({"text", "metadata", "vector"}), ef=1_000)
SEARCHES = (_WHOLE, replace(_WHOLE, where=Compare("lang", "eq", "en")), Search(QUERIES[:1], 20, ef=1_000))
"""Their effort is so high that a graph search finds every row."""


def find_inexact(backend: FileBackend, where: Generation) -> list[str]:
    """Return the searches whose results differ from those of an exact search."""
    return [
        f"search {number} is not exact"
        for number, search in enumerate(SEARCHES)
        if find_sorted(backend, where, search) != find_sorted(backend, where, replace(search, exact=True))
    ]
