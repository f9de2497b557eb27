"""The oracle: every sentence of the contract in plain Python and numpy, simple enough to be obviously right.

Applications use it in their unit tests, and every other backend is compared with it.
"""

# Longer than 300 lines because one class implements the whole contract.

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import (
    Backend,
    Capabilities,
    Change,
    Entry,
    Found,
    Generation,
    IndexState,
    Progress,
    Rows,
    Search,
    Selection,
    Stats,
    Superseded,
    Update,
    Verification,
)
from ..errors import (
    InvalidUrl,
    RecordExists,
    StoreExists,
    StoreLocked,
    StoreNotFound,
    Unsupported,
)
from ..fields import Stored
from ..filters.nodes import Filter, matches
from ..metric import score_rows
from ..rows import metadata
from .shared.guards import check_usable


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    vector: NDArray[Any]
    text: str | None
    fields: Mapping[str, Stored | None]
    extra: str
    version: int


@dataclass(slots=True)
class _Table:
    """One generation's records, tombstones and change list."""

    generation: Generation
    rows: dict[str, _Row] = field(default_factory=dict)
    tombstones: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    last_seq: int = 0

    def version(self, id_: str) -> int:
        row = self.rows.get(id_)
        return row.version if row else self.tombstones.get(id_, 0)

    def note(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            self.last_seq += 1
            self.changes[id_] = self.last_seq

    def select(self, selection: Selection | None) -> list[str]:
        if selection is None:
            return list(self.rows)
        if isinstance(selection, Filter):
            return [id_ for id_, row in self.rows.items() if matches(selection, id_, row.fields)]
        return [id_ for id_ in dict.fromkeys(selection) if id_ in self.rows]

    def columns(self, ids: Sequence[str]) -> Rows:
        rows = [self.rows[id_] for id_ in ids]
        schema = self.generation.schema
        return Rows(
            ids=list(ids),
            vectors=np.array([row.vector for row in rows], schema.dtype).reshape(len(rows), schema.width),
            texts=[row.text for row in rows],
            fields={name: [row.fields.get(name) for row in rows] for name in schema.fields},
            extras=[row.extra for row in rows],
            versions=[row.version for row in rows],
        )


class MemoryBackend(Backend):
    """Keeps records in dicts with one lock around everything. Each connection is a new, empty database."""

    capabilities = Capabilities(backend="memory", max_dim=16_000, max_hnsw_dim=16_000, durable=False, shared=False)

    def __init__(self) -> None:
        self._lock = RLock()
        self._entries: dict[str, Entry] = {}
        self._tables: dict[str, _Table] = {}
        self._builders: set[str] = set()
        self._process = os.getpid()
        self._closed = False

    @classmethod
    def connect(cls, location: str, options: Mapping[str, str]) -> MemoryBackend:
        """Open a new, empty database. A location or parameters are refused with an error."""
        if location:
            raise InvalidUrl("Each connect('memory:') is a new, empty database; it takes no name or path.")
        if options:
            raise InvalidUrl("memory: takes no parameters.")
        return cls()

    # -- catalogue

    def names(self) -> list[str]:
        self._check_usable()
        with self._lock:
            return sorted(entry.name for entry in self._entries.values())

    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        self._check_usable()
        with self._lock:
            for entry in self._entries.values():
                if entry.name == name or entry.uid == uid:
                    return entry
            raise StoreNotFound(name or "that was dropped", self.names())

    def create(self, name: str, generation: Generation) -> Entry:
        self._check_usable()
        with self._lock:
            if generation.standby:
                entry = self.find(name=name)
                if entry.standby:
                    raise StoreExists(f"Store {name!r} already has a generation beside the active one.")
                entry = replace(entry, building=generation)
            else:
                if name in self.names():
                    raise StoreExists(f"There is already a store {name!r}.")
                entry = Entry(uuid.uuid4().hex, name, generation)
            self._entries[entry.uid] = entry
            self._tables[generation.id] = _Table(generation)
            return entry

    def rename(self, uid: str, name: str) -> None:
        with self._lock:
            entry = self.find(uid=uid)
            if name in self.names():
                raise StoreExists(f"There is already a store {name!r}.")
            self._entries[uid] = replace(entry, name=name)

    def drop(self, uid: str, generation: str | None = None) -> None:
        with self._lock:
            entry = self.find(uid=uid)
            if generation is None:
                del self._entries[uid]
                for each in filter(None, (entry.active, entry.standby)):
                    del self._tables[each.id]
                return
            if entry.standby is None or entry.standby.id != generation:
                raise StoreNotFound(entry.name)
            self._entries[uid] = replace(entry, building=None, previous=None)
            self._tables[entry.active.id].changes.clear()
            del self._tables[generation]

    def amend(self, generation: Generation) -> None:
        with self._lock:
            table = self._table(generation)
            table.generation = generation
            entry = self._entry_of(generation)
            roles = {
                role: generation if each and each.id == generation.id else each
                for role, each in (("building", entry.building), ("previous", entry.previous))
            }
            active = generation if entry.active.id == generation.id else entry.active
            self._entries[entry.uid] = Entry(entry.uid, entry.name, active, **roles)

    def builder(self, uid: str) -> AbstractContextManager[None]:
        return self._building(uid)

    @contextmanager
    def _building(self, uid: str) -> Iterator[None]:
        with self._lock:
            if uid in self._builders:
                raise StoreLocked(f"Another rebuild of {self.find(uid=uid).name!r} is running.")
            self._builders.add(uid)
        try:
            yield
        finally:
            self._builders.discard(uid)

    def switch(self, uid: str, standby: str, drain: Callable[[Sequence[Change]], None]) -> Entry:
        with self._lock:
            entry = self.find(uid=uid)
            if entry.standby is None or entry.standby.id != standby:
                raise StoreNotFound(entry.name)
            old, new = entry.active, entry.standby
            drain(self.changes(old, (), self._tables[old.id].last_seq))
            self._tables[old.id].changes.clear()
            self._tables[new.id].changes.clear()
            switched = Entry(uid, entry.name, replace(new, standby=False), previous=replace(old, standby=True))
            self._entries[uid] = switched
            return switched

    # -- records

    def write(self, generation: Generation, rows: Rows, *, insert: bool, fence: Sequence[int] | None = None) -> int:
        with self._lock:
            table = self._table(generation)
            taken = [id_ for id_ in rows.ids if id_ in table.rows]
            if insert and taken:
                raise RecordExists(taken)
            written = []
            for number, id_ in enumerate(rows.ids):
                version = table.version(id_)
                if fence is not None:
                    if version > fence[number]:
                        continue
                    version = fence[number]
                table.rows[id_] = _row(rows, number, version)
                table.tombstones.pop(id_, None)
                written.append(id_)
            self._note(table, written)
            return len(written)

    def update(self, generation: Generation, selection: Selection, update: Update) -> int:
        with self._lock:
            table = self._table(generation)
            changed = {}
            for id_ in table.select(selection):
                row = table.rows[id_]
                changed[id_] = replace(
                    row,
                    vector=row.vector if update.vector is None else update.vector,
                    text=update.text if update.sets_text else row.text,
                    fields={**row.fields, **update.fields},
                    extra=metadata.merge(row.extra, update.extra, id_),
                )
            table.rows.update(changed)
            self._note(table, list(changed))
            return len(changed)

    def delete(self, generation: Generation, selection: Selection, fence: Sequence[int] | None = None) -> int:
        with self._lock:
            table = self._table(generation)
            removed = table.select(selection)
            if fence is not None and not isinstance(selection, Filter):
                limits = dict(zip(selection, fence, strict=True))
                removed = [id_ for id_ in removed if table.version(id_) <= limits[id_]]
                for id_, limit in limits.items():
                    if 0 < limit >= table.version(id_):
                        table.tombstones[id_] = limit
            for id_ in removed:
                version = table.rows.pop(id_).version
                if version:
                    table.tombstones[id_] = max(version, table.tombstones.get(id_, 0))
            self._note(table, removed)
            return len(removed)

    def changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        with self._lock:
            table = self._table(generation)
            for change in settled:
                if table.changes.get(change.id) == change.seq:
                    del table.changes[change.id]
            noted = sorted((seq, id_) for id_, seq in table.changes.items())
            return [Change(seq, id_) for seq, id_ in noted[:limit]]

    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        with self._lock:
            table = self._table(generation)
            return table.columns(table.select(ids))

    def page(self, generation: Generation, where: Filter | None, after: str | None, limit: int) -> Rows:
        with self._lock:
            table = self._table(generation)
            ids = sorted(id_ for id_ in table.select(where) if after is None or id_ > after)
            return table.columns(ids[:limit])

    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        with self._lock:
            table = self._table(generation)
            ids = sorted(table.select(where))
            chosen = ids if len(ids) <= size else [ids[number * len(ids) // size] for number in range(size)]
            return table.columns(chosen)

    def count(self, generation: Generation, where: Filter | None) -> int:
        with self._lock:
            return len(self._table(generation).select(where))

    def search(self, generation: Generation, search: Search) -> list[Found]:
        with self._lock:
            table = self._table(generation)
            rows = table.columns(sorted(table.select(search.where)))
            return [_nearest(table, rows, query, search) for query in search.queries]

    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        with self._lock:
            found = self._table(generation).tombstones
            ids = sorted(id_ for id_ in found if after is None or id_ > after)
            return {id_: found[id_] for id_ in ids[:limit]}

    # -- upkeep

    def build_index(self, generation: Generation, on_progress: Progress | None = None) -> None:
        """Do nothing, because every search is exact."""
        self._table(generation)

    def index_state(self, generation: Generation) -> IndexState:
        return IndexState("none", rows=self.count(generation, None), indexed=0)

    def compact(self, generation: Generation) -> bool:
        """Do nothing, because removed records take no space."""
        self._table(generation)
        return False

    def backup(self, target: str) -> None:
        hint = "Use a file: database for records that have to last."
        raise Unsupported("backup", self.capabilities.backend, hint)

    def stats(self, generation: Generation) -> Stats:
        with self._lock:
            table = self._table(generation)
            size = sum(row.vector.nbytes + len(row.text or "") + len(row.extra) for row in table.rows.values())
            return Stats(len(table.rows), size)

    def verify(self, generation: Generation) -> Verification:
        return Verification(self.count(generation, None))

    def close(self) -> None:
        self._closed = True

    # -- parts

    def _check_usable(self) -> None:
        check_usable(self._process, closed=self._closed)

    def _entry_of(self, generation: Generation) -> Entry:
        for entry in self._entries.values():
            expected = entry.standby if generation.standby else entry.active
            if expected and expected.id == generation.id:
                return entry
        raise Superseded

    def _table(self, generation: Generation) -> _Table:
        self._check_usable()
        self._entry_of(generation)
        return self._tables[generation.id]

    def _note(self, table: _Table, ids: Sequence[str]) -> None:
        entry = next((each for each in self._entries.values() if each.active.id == table.generation.id), None)
        if entry and entry.standby:
            table.note(ids)


def _row(rows: Rows, number: int, version: int) -> _Row:
    if rows.vectors is None or rows.texts is None or rows.fields is None or rows.extras is None:
        raise TypeError("a write needs every column")
    return _Row(
        vector=rows.vectors[number].copy(),
        text=rows.texts[number],
        fields={name: column[number] for name, column in rows.fields.items()},
        extra=rows.extras[number],
        version=version,
    )


def _nearest(table: _Table, rows: Rows, query: NDArray[np.float32], search: Search) -> Found:
    if rows.vectors is None:
        raise TypeError("columns() returns every column")
    found = score_rows(table.generation.schema.metric, rows.vectors, query)
    best = np.argsort(-found, kind="stable")[: search.k]  # rows are in the order of ids, and ties keep it
    return Found(table.columns([rows.ids[number] for number in best]), found[best], exact=True)
