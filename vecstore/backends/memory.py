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

from ..backend import (
    EVERYTHING,
    Backend,
    Change,
    Entry,
    Found,
    Generation,
    Include,
    Measure,
    Progress,
    Rows,
    Search,
    Selection,
    Stats,
    Superseded,
    Update,
)
from ..capabilities import Capabilities
from ..errors import (
    InvalidUrl,
    RecordExists,
    StoreExists,
    StoreLocked,
    StoreNotFound,
    Unsupported,
)
from ..filters.matching import matches
from ..filters.nodes import Filter
from ..groups import choose_members, read_member
from .shared.guards import check_usable
from .shared.row_records import RowRecord, choose_evenly, make_rows, search_exactly, take_record


@dataclass(slots=True)
class _Table:
    """One generation's records, tombstones and change list."""

    generation: Generation
    rows: dict[str, RowRecord] = field(default_factory=dict)
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
            return [id_ for id_, row in self.rows.items() if matches(selection, id_, row.fields, row.extra)]
        return [id_ for id_ in dict.fromkeys(selection) if id_ in self.rows]

    def columns(self, ids: Sequence[str]) -> Rows:
        return make_rows(self.generation.schema, self.rows, ids)


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
            return sorted(entry.name for entry in self._entries.values() if not entry.is_incoming)

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
                if entry.building:
                    raise StoreExists(f"Store {name!r} already has a generation under construction.")
                self._tables[entry.active.id].changes.clear()
                entry = replace(entry, building=generation)
            else:
                self._check_free(name)
                entry = Entry(uuid.uuid4().hex, name, generation)
            self._entries[entry.uid] = entry
            self._tables[generation.id] = _Table(generation)
            return entry

    def rename(self, uid: str, name: str) -> None:
        with self._lock:
            entry = self.find(uid=uid)
            self._check_free(name)
            self._entries[uid] = replace(entry, name=name)

    def drop(self, uid: str, generation: str | None = None) -> None:
        with self._lock:
            entry = self.find(uid=uid)
            if generation is None:
                del self._entries[uid]
                for each in entry.generations:
                    del self._tables[each.id]
                return
            left = entry.drop_beside(generation)
            if left is None:
                raise StoreNotFound(entry.name)
            if entry.standby and entry.standby.id == generation:
                self._tables[entry.active.id].changes.clear()
            self._entries[uid] = left
            del self._tables[generation]

    def amend(self, generation: Generation) -> None:
        with self._lock:
            self._check_usable()
            for uid, entry in self._entries.items():
                changed = self._entries[uid] = entry.replace_generation(generation)
                for each in (each for each in changed.generations if each.id == generation.id):
                    self._tables[each.id].generation = each
                    return
            raise Superseded

    def builder(self, uid: str) -> AbstractContextManager[None]:
        return self._building(uid)

    @contextmanager
    def _building(self, uid: str) -> Iterator[None]:
        with self._lock:
            if uid in self._builders:
                name = self.find(uid=uid).name
                raise StoreLocked(f"Another rebuild, copy or load of {name!r} is running. Try again when it has ended.")
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
            drain(() if old.remote else self.changes(old, (), self._tables[old.id].last_seq))
            self._tables[old.id].changes.clear()
            self._tables[new.id].changes.clear()
            self._entries[uid] = entry.switch(new)
            for each in entry.generations:
                if each not in (old, new):  # a parked one
                    del self._tables[each.id]
            return self._entries[uid]

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
                table.rows[id_] = take_record(rows, number, version)
                table.tombstones.pop(id_, None)
                written.append(id_)
            self._note(table, written)
            return len(written)

    def write_groups(self, generation: Generation, rows: Rows, fences: Mapping[str, int]) -> int:
        with self._lock:
            table = self._table(generation)
            passed = {head: fence for head, fence in fences.items() if table.version(head) <= fence}
            given = {id_: number for number, id_ in enumerate(rows.ids) if read_member(id_)[0] in passed}
            dropped = [id_ for id_ in choose_members(table.rows, passed) if id_ not in given]
            versions = {
                id_: max(passed[read_member(id_)[0]], table.version(id_)) for id_ in [*given, *dropped, *passed]
            }
            for id_ in dropped:
                del table.rows[id_]
            for id_, version in versions.items():
                if id_ in given:
                    table.rows[id_] = take_record(rows, given[id_], version)
                    table.tombstones.pop(id_, None)
                elif version:
                    table.tombstones[id_] = version
            self._note(table, [*given, *dropped])
            return len(given)

    def update(self, generation: Generation, selection: Selection, update: Update) -> int:
        with self._lock:
            table = self._table(generation)
            changed = {id_: table.rows[id_].apply(update, id_) for id_ in table.select(selection)}
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

    def page(
        self, generation: Generation, where: Filter | None, after: str | None, limit: int, include: Include = EVERYTHING
    ) -> Rows:
        with self._lock:
            table = self._table(generation)
            ids = sorted(id_ for id_ in table.select(where) if after is None or id_ > after)
            return table.columns(ids[:limit])

    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        with self._lock:
            table = self._table(generation)
            return table.columns(choose_evenly(table.rows, sorted(table.select(where)), size))

    def count(self, generation: Generation, where: Filter | None) -> int:
        with self._lock:
            return len(self._table(generation).select(where))

    def search(self, generation: Generation, search: Search) -> list[Found]:
        with self._lock:
            table = self._table(generation)
            ids = sorted(table.select(search.where))
            return search_exactly(table.generation.schema, table.rows, ids, search)

    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        with self._lock:
            found = self._table(generation).tombstones
            ids = sorted(id_ for id_ in found if after is None or id_ > after)
            return {id_: found[id_] for id_ in ids[:limit]}

    # -- upkeep

    def compact(
        self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None
    ) -> bool:
        """Do nothing, because removed records take no space."""
        self._table(generation)
        return False

    def backup(self, target: str) -> None:
        hint = "Use a file: database for records that have to last."
        raise Unsupported("backup", self.capabilities.backend, hint)

    def stats(self, generation: Generation) -> Stats:
        with self._lock:
            table = self._table(generation)
            vectors = sum(row.vector.nbytes for row in table.rows.values() if row.vector is not None)
            size = sum(len(row.text or "") + len(row.extra) for row in table.rows.values())
            return Stats(len(table.rows), vectors + size)

    def close(self) -> None:
        self._closed = True

    # -- parts

    def _check_usable(self) -> None:
        check_usable(self._process, closed=self._closed)

    def _check_free(self, name: str) -> None:
        if any(entry.name == name for entry in self._entries.values()):
            raise StoreExists(f"There is already a store {name!r}.")

    def _entry_of(self, generation: Generation) -> Entry:
        for entry in self._entries.values():
            if entry.has_role(generation):
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
