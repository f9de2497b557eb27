"""A whole backend in dicts, every search exact. docs/writing-a-backend.md walks through it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import RLock
from typing import Any

import numpy as np

from vecstore import Filter, backend, errors
from vecstore.backend import Change, Entry, Found, Generation, Rows
from vecstore.backends.shared.guards import check_usable
from vecstore.filters.nodes import matches
from vecstore.metric import score_rows
from vecstore.rows.metadata import merge

Table = dict[str, tuple[Any, ...]]
"""A generation's records by id: (version, vector, text, fields, extra). A tombstone is a version alone."""


class ToyBackend(backend.Backend):
    """One lock, and a dict for each thing that an engine has a table for."""

    capabilities = backend.Capabilities("toy", max_dim=16_000, max_hnsw_dim=16_000, durable=False, shared=False)

    def __init__(self) -> None:
        self._lock, self._process, self._closed, self._last_seq = RLock(), os.getpid(), False, 0
        self._entries: dict[str, Entry] = {}  # by the store's uid
        self._tables: dict[str, Table] = {}  # by the generation's id, like the change lists
        self._changes: dict[str, dict[str, int]] = {}
        self._building: set[str] = set()

    @contextmanager
    def _table(self, generation: Generation, changed: Sequence[str] = ()) -> Iterator[Table]:
        """Check the generation's role, hand out its records, and note at the end what the caller changed."""
        check_usable(self._process, closed=self._closed)
        with self._lock:
            for entry in self._entries.values():
                if getattr(entry.standby if generation.standby else entry.active, "id", None) == generation.id:
                    break
            else:
                raise backend.Superseded
            yield self._tables[generation.id]
            for id_ in changed if entry.standby and not generation.standby else ():
                self._last_seq += 1
                self._changes[generation.id][id_] = self._last_seq

    def names(self) -> list[str]:
        check_usable(self._process, closed=self._closed)
        with self._lock:
            return sorted(entry.name for entry in self._entries.values())

    def find(self, *, name: str | None = None, uid: str | None = None) -> Entry:
        known = self.names()
        with self._lock:
            for entry in self._entries.values():
                if entry.name == name or entry.uid == uid:
                    return entry
            raise errors.StoreNotFound(name or "that was dropped", known)

    def create(self, name: str, generation: Generation) -> Entry:
        with self._lock:
            if generation.standby:
                entry = self.find(name=name)
                taken, entry = entry.standby is not None, replace(entry, building=generation)
            else:
                taken, entry = name in self.names(), Entry(uuid.uuid4().hex, name, generation)
            if taken:
                raise errors.StoreExists(f"Store {name!r}, or its standby generation, exists already.")
            self._tables[generation.id], self._changes[generation.id] = {}, {}
            self._entries[entry.uid] = entry
            return entry

    def rename(self, uid: str, name: str) -> None:
        with self._lock:
            entry = self.find(uid=uid)
            if name in self.names():
                raise errors.StoreExists(f"A store {name!r} exists already.")
            self._entries[uid] = replace(entry, name=name)

    def drop(self, uid: str, generation: str | None = None) -> None:
        with self._lock:
            entry = self.find(uid=uid)
            if generation is None:
                del self._entries[uid]
            elif entry.standby is None or entry.standby.id != generation:
                raise errors.StoreNotFound(entry.name)
            else:
                self._changes[entry.active.id].clear()
                self._entries[uid] = replace(entry, building=None, previous=None)

    def amend(self, generation: Generation) -> None:
        with self._table(generation):
            for entry in list(self._entries.values()):
                roles = {role: getattr(entry, role) for role in ("active", "building", "previous")}
                new = {role: generation if each and each.id == generation.id else each for role, each in roles.items()}
                self._entries[entry.uid] = Entry(entry.uid, entry.name, **new)

    @contextmanager
    def builder(self, uid: str) -> Iterator[None]:
        with self._lock:
            if uid in self._building:
                raise errors.StoreLocked(f"Another rebuild of {self.find(uid=uid).name!r} is running.")
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
            drain(self.changes(old.active, (), self._last_seq))
            self._changes[old.active.id], self._changes[standby] = {}, {}
            active, previous = replace(old.standby, standby=False), replace(old.active, standby=True)
            self._entries[uid] = Entry(uid, old.name, active, previous=previous)
            return self._entries[uid]

    def write(self, generation: Generation, rows: Rows, *, insert: bool, fence: Sequence[int] | None = None) -> int:
        with self._table(generation, written := list[str]()) as table:
            if insert and (taken := _select(table, rows.ids)):
                raise errors.RecordExists(taken)
            for number, id_ in enumerate(rows.ids):
                version = table.get(id_, (0,))[0]
                if fence is None or version <= fence[number]:
                    table[id_] = _record(rows, number, version if fence is None else fence[number])
                    written.append(id_)
            return len(written)

    def update(self, generation: Generation, selection: backend.Selection, update: backend.Update) -> int:
        with self._table(generation, changed := list[str]()) as table:
            new = {}
            for id_ in _select(table, selection):
                version, vector, text, fields, extra = table[id_]
                vector = vector if update.vector is None else update.vector
                text = update.text if update.sets_text else text
                new[id_] = (version, vector, text, {**fields, **update.fields}, merge(extra, update.extra, id_))
            table.update(new)
            changed.extend(new)
            return len(new)

    def delete(self, generation: Generation, selection: backend.Selection, fence: Sequence[int] | None = None) -> int:
        with self._table(generation, removed := list[str]()) as table:
            limits = {} if isinstance(selection, Filter) else dict(zip(selection, fence or (), strict=False))
            removed += [id_ for id_ in _select(table, selection) if table[id_][0] <= limits.get(id_, table[id_][0])]
            for id_ in limits or removed:
                version = table.get(id_, (0,))[0]
                table[id_] = (limits.get(id_, version),) if version <= limits.get(id_, version) else table[id_]
            return len(removed)

    def changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        with self._table(generation):
            noted, done = self._changes[generation.id], {(change.id, change.seq) for change in settled}
            self._changes[generation.id] = noted = {id_: seq for id_, seq in noted.items() if (id_, seq) not in done}
            return [Change(seq, id_) for seq, id_ in sorted((seq, id_) for id_, seq in noted.items())[:limit]]

    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        with self._table(generation) as table:
            return _rows(table, generation, _select(table, ids))

    def page(self, generation: Generation, where: Filter | None, after: str | None, limit: int) -> Rows:
        with self._table(generation) as table:
            return _rows(table, generation, [id_ for id_ in _select(table, where) if not after or id_ > after][:limit])

    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        with self._table(generation) as table:
            ids = _select(table, where)
            size = min(size, len(ids))
            return _rows(table, generation, [ids[number * len(ids) // size] for number in range(size)])

    def count(self, generation: Generation, where: Filter | None) -> int:
        with self._table(generation) as table:
            return len(_select(table, where))

    def search(self, generation: Generation, search: backend.Search) -> list[Found]:
        with self._table(generation) as table:
            rows, answers = _rows(table, generation, _select(table, search.where)), []
            for query in search.queries:
                found = score_rows(generation.schema.metric, np.asarray(rows.vectors), query)
                best = np.argsort(-found, kind="stable")[: search.k]
                hits = _rows(table, generation, [rows.ids[number] for number in best])
                answers.append(Found(hits, found[best], exact=True))
            return answers

    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        with self._table(generation) as table:
            ids = sorted(id_ for id_, row in table.items() if len(row) == 1 and row[0] and (not after or id_ > after))
            return {id_: table[id_][0] for id_ in ids[:limit]}

    def build_index(self, generation: Generation, on_progress: backend.Progress | None = None) -> None:
        self.count(generation, None)  # every search is exact; a generation that is gone is Superseded

    def compact(self, generation: Generation) -> bool:
        return self.count(generation, None) < 0

    def index_state(self, generation: Generation) -> backend.IndexState:
        return backend.IndexState("none", rows=self.count(generation, None), indexed=0)

    def stats(self, generation: Generation) -> backend.Stats:
        return backend.Stats(self.count(generation, None), bytes=0)

    def verify(self, generation: Generation) -> backend.Verification:
        return backend.Verification(self.count(generation, None))

    def close(self) -> None:
        self._closed = True


def _select(table: Table, selection: backend.Selection | None) -> list[str]:
    live = sorted(id_ for id_, row in table.items() if len(row) > 1)
    if isinstance(selection, Filter):
        return [id_ for id_ in live if matches(selection, id_, table[id_][3])]
    return live if selection is None else [id_ for id_ in dict.fromkeys(selection) if len(table.get(id_, ())) > 1]


def _record(rows: Rows, number: int, version: int) -> tuple[Any, ...]:
    if rows.vectors is None or rows.texts is None or rows.fields is None or rows.extras is None:
        raise TypeError("a write gives every column")
    fields = {name: column[number] for name, column in rows.fields.items()}
    return version, rows.vectors[number].copy(), rows.texts[number], fields, rows.extras[number]


def _rows(table: Table, generation: Generation, ids: Sequence[str]) -> Rows:
    schema, rows = generation.schema, [table[id_] for id_ in ids]
    vectors = np.array([row[1] for row in rows], schema.dtype).reshape(len(rows), schema.width)
    fields = {name: [row[3].get(name) for row in rows] for name in schema.fields}
    texts, extras, versions = ([row[place] for row in rows] for place in (2, 4, 0))
    return Rows(list(ids), vectors, texts, fields, extras, versions)
