"""A whole backend in dicts, every search exact. docs/writing-a-backend.md walks through it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import RLock

from vecstore import ALL, Filter, backend, errors
from vecstore.backend import EVERYTHING, Change, Entry, Found, Generation, Include, Measure, Progress, Rows
from vecstore.backends.shared.guards import check_usable
from vecstore.backends.shared.row_records import RowRecord, choose_evenly, make_rows, search_exactly, take_record
from vecstore.filters.matching import matches
from vecstore.groups import choose_members, read_member

MAX_VERSION = 2**53


@dataclass
class Table:
    """What an engine keeps of one generation: by id the records, versions of removed ones, and the change list."""

    records: dict[str, RowRecord] = field(default_factory=dict)
    tombstones: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)

    def version(self, id_: str) -> int:
        return self.records[id_].version if id_ in self.records else self.tombstones.get(id_, 0)

    def select(self, selection: backend.Selection | None) -> list[str]:
        if selection is None or isinstance(selection, Filter):
            where = ALL if selection is None else selection
            return [id_ for id_, row in sorted(self.records.items()) if matches(where, id_, row.fields, row.extra)]
        return [id_ for id_ in dict.fromkeys(selection) if id_ in self.records]


class ToyBackend(backend.Backend):
    """One lock, and a dict for each thing that an engine has a table for."""

    capabilities = backend.Capabilities("toy", 16_000, 16_000, durable=False, shared=False)

    def __init__(self) -> None:
        self._lock, self._process, self._closed, self._last_seq = RLock(), os.getpid(), False, 0
        self._entries: dict[str, Entry] = {}  # by the store's uid
        self._tables: dict[str, Table] = {}  # by the generation's id
        self._building: set[str] = set()

    @contextmanager
    def _table(self, generation: Generation, changed: Sequence[str] = ()) -> Iterator[Table]:
        """Check the generation's role, hand out its records, and note at the end what the caller changed."""
        check_usable(self._process, closed=self._closed)
        with self._lock:
            if (entry := next((each for each in self._entries.values() if each.has_role(generation)), None)) is None:
                raise backend.Superseded
            yield self._tables[generation.id]
            for id_ in changed if entry.standby and not generation.standby else ():
                self._last_seq += 1
                self._tables[generation.id].changes[id_] = self._last_seq

    def names(self) -> list[str]:
        check_usable(self._process, closed=self._closed)
        with self._lock:
            return sorted(entry.name for entry in self._entries.values() if not entry.is_incoming)

    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        known = self.names()
        with self._lock:
            for entry in self._entries.values():
                if entry.name == name or entry.uid == uid:
                    return entry
            raise errors.StoreNotFound(name or "that was dropped", known)

    def create(self, name: str, generation: Generation) -> Entry:
        check_usable(self._process, closed=self._closed)
        with self._lock:
            if generation.standby:
                entry = self.find(name=name)
                taken, entry = entry.building is not None, replace(entry, building=generation)
            else:
                taken = any(each.name == name for each in self._entries.values())
                entry = Entry(uuid.uuid4().hex, name, generation)
            if taken:
                raise errors.StoreExists(f"Store {name!r}, or its standby generation, exists already.")
            self._tables[generation.id] = Table()
            self._tables[entry.active.id].changes.clear()
            self._entries[entry.uid] = entry
            return entry

    def rename(self, uid: str, name: str) -> None:
        with self._lock:
            entry = self.find(uid=uid)
            if any(each.name == name for each in self._entries.values()):
                raise errors.StoreExists(f"A store {name!r} exists already.")
            self._entries[uid] = replace(entry, name=name)

    def drop(self, uid: str, generation: str | None = None) -> None:
        with self._lock:
            entry = self.find(uid=uid)
            left = entry if generation is None else entry.drop_beside(generation)
            if left is None:
                raise errors.StoreNotFound(entry.name)
            del self._entries[uid]
            self._entries |= {uid: left} if generation else {}
            if left.standby != entry.standby:
                self._tables[entry.active.id].changes.clear()

    def amend(self, generation: Generation) -> None:
        with self._lock:
            if not any(generation.id == each.id for entry in self._entries.values() for each in entry.generations):
                raise backend.Superseded
            self._entries = {uid: entry.replace_generation(generation) for uid, entry in self._entries.items()}

    @contextmanager
    def builder(self, uid: str) -> Iterator[None]:
        with self._lock:
            if uid in self._building:
                raise errors.StoreLocked(f"Another rebuild, copy or load of {self.find(uid=uid).name!r} is running.")
            self._building.add(uid)
        try:
            yield
        finally:
            self._building.discard(uid)

    def switch(self, uid: str, standby: str, drain: Callable[[Sequence[Change]], None]) -> Entry:
        with self._lock:
            old = self.find(uid=uid)
            if old.standby is None or old.standby.id != standby:
                raise errors.StoreNotFound(old.name)
            drain(() if old.active.remote else self.changes(old.active, (), self._last_seq))
            self._tables[old.active.id].changes, self._tables[standby].changes = {}, {}
            self._entries[uid] = old.switch(old.standby)
            return self._entries[uid]

    def write(self, generation: Generation, rows: Rows, *, insert: bool, fence: Sequence[int] | None = None) -> int:
        with self._table(generation, written := list[str]()) as table:
            if insert and (taken := table.select(rows.ids)):
                raise errors.RecordExists(taken)
            for number, id_ in enumerate(rows.ids):
                version = table.version(id_)
                if fence is None or version <= fence[number]:
                    table.records[id_] = take_record(rows, number, version if fence is None else fence[number])
                    table.tombstones.pop(id_, None)
                    written.append(id_)
            return len(written)

    def write_groups(self, generation: Generation, rows: Rows, fences: Mapping[str, int]) -> int:
        with self._table(generation, changed := list[str]()) as table:
            passed = {head: fence for head, fence in fences.items() if table.version(head) <= fence}
            given = {id_: number for number, id_ in enumerate(rows.ids) if read_member(id_)[0] in passed}
            changed += dict.fromkeys([*given, *choose_members(table.records, passed)])
            for id_ in dict.fromkeys([*changed, *passed]):
                version = max(passed[read_member(id_)[0]], table.version(id_))
                table.records.pop(id_, None)
                table.tombstones[id_] = version
                if id_ in given:
                    table.records[id_] = take_record(rows, given[id_], table.tombstones.pop(id_))
            return len(given)

    def update(self, generation: Generation, selection: backend.Selection, update: backend.Update) -> int:
        with self._table(generation, changed := list[str]()) as table:
            new = {id_: table.records[id_].apply(update, id_) for id_ in table.select(selection)}
            table.records.update(new)
            changed.extend(new)
            return len(new)

    def delete(self, generation: Generation, selection: backend.Selection, fence: Sequence[int] | None = None) -> int:
        with self._table(generation, removed := list[str]()) as table:
            limits = {} if isinstance(selection, Filter) else dict(zip(selection, fence or (), strict=False))
            removed += [id_ for id_ in table.select(selection) if table.version(id_) <= limits.get(id_, MAX_VERSION)]
            for id_ in limits or removed:
                if (version := table.version(id_)) <= limits.get(id_, version):
                    table.records.pop(id_, None)
                    table.tombstones[id_] = limits.get(id_, version)
            return len(removed)

    def changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        with self._table(generation) as table:
            done = {(change.id, change.seq) for change in settled}
            table.changes = {id_: seq for id_, seq in table.changes.items() if (id_, seq) not in done}
            return [Change(seq, id_) for seq, id_ in sorted((seq, id_) for id_, seq in table.changes.items())[:limit]]

    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        with self._table(generation) as table:
            return make_rows(generation.schema, table.records, table.select(ids))

    def page(
        self, generation: Generation, where: Filter | None, after: str | None, limit: int, include: Include = EVERYTHING
    ) -> Rows:
        with self._table(generation) as table:
            ids = [id_ for id_ in table.select(where) if after is None or id_ > after]
            return make_rows(generation.schema, table.records, ids[:limit])

    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        with self._table(generation) as table:
            chosen = choose_evenly(table.records, table.select(where), size)
            return make_rows(generation.schema, table.records, chosen)

    def count(self, generation: Generation, where: Filter | None) -> int:
        with self._table(generation) as table:
            return len(table.select(where))

    def search(self, generation: Generation, search: backend.Search) -> list[Found]:
        with self._table(generation) as table:
            return search_exactly(generation.schema, table.records, table.select(search.where), search)

    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        with self._table(generation) as table:
            kept = sorted((id_, version) for id_, version in table.tombstones.items() if version)
            return dict([(id_, version) for id_, version in kept if after is None or id_ > after][:limit])

    def compact(
        self, generation: Generation, on_progress: Progress | None = None, measure: Measure | None = None
    ) -> bool:
        return self.count(generation, None) < 0

    def close(self) -> None:
        self._closed = True
