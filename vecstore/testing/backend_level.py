"""What the suite needs to talk to a backend itself: rows with versions, generations, what is stored."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence

import pytest

from ..backend import Backend, Entry, Generation, Rows
from ..records import Record
from ..rows.conversion import as_rows
from ..schema import Schema
from .place import Place, Places
from .sample_records import SCHEMA, make_book


class BackendLevel(Places):
    """A store made without the facade."""

    @pytest.fixture
    def backend(self, place: Place) -> Iterator[Backend]:
        """Return a backend on an empty place. After the test, the storage must hold what the backend answers."""
        backend = place.backend()
        yield backend
        check_storage(place, backend)
        backend.close()

    @pytest.fixture
    def entry(self, backend: Backend) -> Entry:
        """Return the entry of an empty store of books."""
        return backend.create("docs", new_generation())


def new_generation(schema: Schema = SCHEMA, *, standby: bool = False) -> Generation:
    """Return a generation that was not created yet."""
    return Generation(uuid.uuid4().hex, schema, standby=standby)


def make_rows(*records: Record, schema: Schema = SCHEMA) -> Rows:
    """Return records as the facade hands them to a backend."""
    return as_rows(records, schema, None)


def make_rows_named(*ids: str) -> Rows:
    """Return rows with these ids; what else is in them does not matter."""
    return make_rows(*(make_book(len(id_), id=id_) for id_ in ids))


def read_versions(backend: Backend, generation: Generation) -> dict[str, int]:
    """Return the id and the version of every record."""
    found: dict[str, int] = {}
    while (page := backend.page(generation, None, max(found, default=None), 1_000)).ids:
        assert page.versions is not None
        found |= zip(page.ids, page.versions, strict=True)
    return found


def read_tombstones(backend: Backend, generation: Generation, page: int = 1_000) -> dict[str, int]:
    """Return all tombstones, read in pages."""
    found: dict[str, int] = {}
    after = None
    while part := backend.tombstones(generation, after, page):
        assert len(part) <= page
        found |= part
        after = list(part)[-1]
    return found


def read_changed_ids(backend: Backend, generation: Generation, limit: int = 1_000) -> list[str]:
    """Return the ids in the change list, oldest note first."""
    return [change.id for change in backend.changes(generation, (), limit)]


def check_storage(place: Place, backend: Backend) -> None:
    """Check that the storage, read without vecstore, holds what the backend answers, and no other generation."""
    stored = place.generations()
    if stored is None:
        return
    entries = [backend.find(name=name) for name in backend.names()]
    held = [each for entry in entries for each in entry.generations if each.remote is None]
    remote = {each.id for entry in entries for each in entry.generations if each.remote is not None}
    assert stored.keys() - remote == {each.id for each in held}
    for raw in (stored[id_] for id_ in remote & stored.keys()):
        assert not raw.versions
        assert not raw.tombstones
        assert not raw.changes
    for each in (each for entry in entries for each in (entry.active, entry.standby) if each and each.remote is None):
        raw = stored[each.id]
        assert raw.versions == read_versions(backend, each)
        assert raw.tombstones == read_tombstones(backend, each)
        assert list(raw.changes) == read_changed_ids(backend, each)


def map_versions(rows_: Rows) -> dict[str, int]:
    """Return the versions that fetched rows carry."""
    return dict(zip(rows_.ids, rows_.versions or (), strict=True))


def map_texts(rows_: Rows) -> dict[str, str | None]:
    """Return the texts that fetched rows carry."""
    return dict(zip(rows_.ids, rows_.texts or (), strict=True))


def write_fenced(backend: Backend, generation: Generation, versions: Iterable[tuple[str, int]]) -> int:
    """Write records with fences."""
    pairs: Sequence[tuple[str, int]] = list(versions)
    return backend.write(
        generation, make_rows_named(*(id_ for id_, _ in pairs)), insert=False, fence=[v for _, v in pairs]
    )
