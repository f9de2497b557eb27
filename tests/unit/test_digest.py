"""A digest that is read while the store changes its generation, and its pages."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import Record, Schema, digest, fields, pages
from vecstore.backend import Backend, Generation, Include, Rows
from vecstore.backends.memory import MemoryBackend
from vecstore.database import Database
from vecstore.filters.nodes import Filter

SCHEMA = Schema(dim=2, fields={"n": fields.Int()})


class Recorder(MemoryBackend):
    """A backend in memory that counts its pages, and does something before one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int] = []
        self.before: dict[int, Any] = {}

    def page(
        self,
        generation: Generation,
        where: Filter | None,
        after: str | None,
        limit: int,
        include: Include = frozenset({"text", "metadata", "vector"}),
    ) -> Rows:
        self.limits.append(limit)
        if deed := self.before.pop(len(self.limits), None):
            deed()
        return super().page(generation, where, after, limit, include)


def fill(backend: Backend, count: int, text: str = "x") -> Database:
    db = Database(backend)
    db.create("docs", SCHEMA).insert(Record(f"{n:06}", [1, n], text, {"n": n}) for n in range(count))
    return db


def test_a_rebuild_in_the_middle_begins_again() -> None:
    backend = Recorder()
    db = fill(backend, 1_500)
    store, wanted = db.open("docs"), replace(SCHEMA, dtype="float16")
    backend.before[2] = lambda: db.rebuild("docs", schema=wanted)
    copy = fill(MemoryBackend(), 1_500)
    copy.rebuild("docs", schema=wanted)
    assert store.digest() == copy.open("docs").digest() != fill(MemoryBackend(), 1_500).open("docs").digest()


@pytest.mark.parametrize("size, least, most", [(10, 5_000, 5_000), (20_000, 800, 850), (200_000, 100, 100)])
def test_pages_are_as_large_as_the_records_allow(size: int, least: int, most: int) -> None:
    backend = Recorder()
    store = fill(backend, 1_100, "x" * size).open("docs")
    backend.limits.clear()
    store.digest()
    assert backend.limits[0] == pages.FIRST
    assert least <= backend.limits[1] <= most


def test_the_first_page_of_wide_vectors_is_small() -> None:
    backend = Recorder()
    store = Database(backend).create("docs", Schema(dim=16_000))
    store.insert([Record("a", np.ones(16_000))])
    backend.limits.clear()
    store.digest()
    assert backend.limits[0] == pages.PAGE_BYTES // 64_000


def test_vectors_that_are_left_out_are_not_read() -> None:
    backend = Recorder()
    fill(backend, 3)
    found: list[Include] = []
    page = backend.page
    backend.page = lambda *given: found.append(given[4]) or page(*given)  # type: ignore[method-assign, func-returns-value]
    digest.digest_generation(backend, backend.find(name="docs").active, vectors=False)
    assert set(found) == {frozenset({"text", "metadata"})}


def test_memory_is_that_of_a_few_pages() -> None:
    backend = MemoryBackend()
    store = fill(backend, 400, "x" * 200_000).open("docs")  # 80 MB to hash, of one text in memory
    store.digest()
    tracemalloc.start()
    try:
        store.digest()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * pages.PAGE_BYTES


def test_progress() -> None:
    backend = MemoryBackend()
    fill(backend, 1_500)
    told: list[int] = []
    digest.digest_generation(backend, backend.find(name="docs").active, report=told.append)
    assert told == [1_000, 1_500]


def test_a_digest_of_undeclared_json_from_elsewhere_never_fails() -> None:
    """PostgreSQL keeps JSON as an application wrote it: a key twice, half a surrogate pair, numbers beyond doubles."""
    text = '{"a":1,"a":2,"b":"\\ud800","c":1e999,"d":null}'
    found = digest.Digest(SCHEMA)
    found.add(Rows(["a"], np.ones((1, 2), np.float32), [None], {"n": [None]}, [text], [0]))
    assert found.records == 1
    assert vecstore.connect("memory:").create("docs", SCHEMA).digest() != str(found)
