"""The catalogue: which store has which generations."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...backend import Entry, Generation, Superseded
from ...errors import InvalidArgument, StorageFailed, StoreCorrupt, StoreExists, StoreNotFound, Unsupported
from ...schema import Schema, check_name
from . import disk, lock
from .commit import abandon, commit
from .connections import CATALOG, Link, Pool, create_database, open_link, reading
from .failures import is_lasting, translating
from .layout import Layout, checked_id
from .ledger import CREATE, Ledger, Total, row_crc
from .options import Options

_OWNER = "catalog"
_TABLES = {
    "stores": "CREATE TABLE stores(uid TEXT, name TEXT, active TEXT, building TEXT, previous TEXT, crc INTEGER)",
    "generations": "CREATE TABLE generations(id TEXT, schema TEXT, identity TEXT, ef INTEGER, crc INTEGER)",
}
_PURPOSE = "changes the catalogue"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One state of the catalogue: entries by uid."""

    ledger: Ledger
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def named(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises
        ------
        StoreNotFound
        """
        for entry in self.entries.values():
            if entry.name == name:
                return entry
        raise StoreNotFound(name, self.names())

    def of(self, uid: str) -> Entry:
        """Return the entry of a uid.

        Raises
        ------
        StoreNotFound
        """
        try:
            return self.entries[uid]
        except KeyError:
            raise StoreNotFound("that was dropped", self.names()) from None

    def holding(self, generation: Generation) -> Entry:
        """Return the entry in which a generation has the role that the caller believes it has.

        Raises
        ------
        Superseded
        """
        for entry in self.entries.values():
            expected = entry.standby if generation.standby else entry.active
            if expected is not None and expected.id == generation.id:
                return entry
        raise Superseded

    def names(self) -> list[str]:
        """Return the names of all stores, sorted."""
        return sorted(entry.name for entry in self.entries.values())

    def check_free(self, name: str) -> None:
        """Refuse a name that is taken.

        Raises
        ------
        StoreExists
        """
        if name in self.names():
            raise StoreExists(f"There is a store {name!r} already.")

    def generations(self) -> dict[str, Generation]:
        """Return every generation by its id."""
        roles = (role for entry in self.entries.values() for role in (entry.active, entry.building, entry.previous))
        return {role.id: role for role in roles if role is not None}


class CatalogFile:
    """The catalogue in ``catalog.db``, read by any thread, changed under ``catalog.lock``."""

    def __init__(self, layout: Layout, options: Options) -> None:
        self._layout = layout
        self._options = options
        self._pool = Pool(layout.catalog, CATALOG, options.timeout)
        self._origin: tuple[int, int] | None = None
        self._newest: Catalogue | None = None
        self._failed = False

    def read(self) -> Catalogue:
        """Return the present state.

        Raises
        ------
        InvalidUrl, StoreCorrupt, StorageFailed, Timeout, Unsupported
        """
        path = self._layout.catalog
        with translating(path):
            origin = disk.identity(path)
            if origin is None:
                self._layout.check_unused()
                return Catalogue(_fresh_ledger())
            if origin != self._origin:
                self._start_over(origin)
            with self._pool.link() as link:
                version = link.data_version()
                if link.stamp is None or link.stamp[0] != version:
                    link.stamp = (version, self._load(link))
                state: Catalogue = link.stamp[1]
                return state

    @contextmanager
    def editing(self) -> Iterator[Edit]:
        """Be the only one to change the catalogue while the context lasts; it is made where there is none.

        Raises
        ------
        StoreLocked, StorageFailed, StoreCorrupt
        """
        if self._failed:
            raise StorageFailed(f"An earlier write to {self._layout.catalog} failed. Call vecstore.connect() again.")
        with translating(self._layout.root):
            disk.make_root(self._layout.root)
        with lock.locked(self._layout.catalog_lock, self._options.lock_timeout, _PURPOSE) as held:
            try:
                with translating(self._layout.catalog):
                    if disk.identity(self._layout.catalog) is None:
                        self._layout.check_unused()
                        self._create()
                state = self.read()
                lock.check_not_older(state.ledger.seq, held.mark(), self._layout.catalog)
                yield Edit(self._layout.catalog, state, held, self._options)
            except StorageFailed as error:
                self._failed = isinstance(error.__cause__, sqlite3.Error | OSError) and is_lasting(error.__cause__)
                raise

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _start_over(self, origin: tuple[int, int]) -> None:
        """Forget what was read from a file that another one has replaced."""
        self._pool.close()
        self._pool = Pool(self._layout.catalog, CATALOG, self._options.timeout)
        self._origin, self._newest = origin, None

    def _load(self, link: Link) -> Catalogue:
        newest = self._newest
        mark = newest.ledger.seq if newest else lock.last_mark(self._layout.catalog_lock)
        with reading(link):
            ledger = Ledger.read(link, _OWNER, self._layout.catalog)
            lock.check_not_older(ledger.seq, mark, self._layout.catalog)
            if newest and newest.ledger.token == ledger.token:
                return newest
            rows = {
                name: link.execute(f"SELECT * FROM {name}").fetchmany(ledger.tables[name].count + 1)  # noqa: S608
                for name in _TABLES
            }
        state = Catalogue(ledger, _entries(rows, ledger, self._layout.catalog))
        if self._newest is None or self._newest.ledger.seq < ledger.seq:
            self._newest = state
        return state

    def _create(self) -> None:
        path = self._layout.catalog
        unfinished = path.with_name(path.name + ".tmp")
        for leftover in (unfinished, unfinished.with_name(unfinished.name + "-journal")):
            disk.unlink(leftover)
        link = create_database(unfinished, CATALOG, self._options.timeout)
        try:
            for statement in (CREATE, *_TABLES.values()):
                link.execute(statement)
            _fresh_ledger().write(link)
            link.execute("COMMIT")
        finally:
            abandon(link)
        disk.rename(unfinished, path)


class Edit:
    """A change of the catalogue, under its lock."""

    def __init__(self, path: Path, before: Catalogue, held: lock.Lock, options: Options) -> None:
        self.before = before
        self._path = path
        self._held = held
        self._options = options

    def put(self, entry: Entry) -> Entry:
        """Commit a new or changed entry."""
        self._commit({**self.before.entries, entry.uid: entry})
        return entry

    def remove(self, uid: str) -> None:
        """Commit the end of an entry."""
        self._commit({key: entry for key, entry in self.before.entries.items() if key != uid})

    def _commit(self, entries: Mapping[str, Entry]) -> None:
        before = self.before.ledger
        after = before.successor()
        with translating(self._path):
            link = self._open()
            try:
                link.execute("BEGIN IMMEDIATE")
                if Ledger.read(link, _OWNER, self._path).token != before.token:
                    raise StoreCorrupt(f"{self._path} was changed by someone who does not hold its lock.")
                rows = _rows(Catalogue(after, entries))
                for name, table in rows.items():
                    marks = ", ".join("?" * len(_COLUMNS[name]))
                    link.execute(f"DELETE FROM {name}")  # noqa: S608 - a name of ours
                    link.executemany(f"INSERT INTO {name} VALUES ({marks}, ?)", table)  # noqa: S608
                    after.tables[name] = Total()
                    after.tables[name].add(row[-1] for row in table)
                commit(link, before, after, self._open)
            finally:
                abandon(link)
        self._held.set_mark(after.seq)
        self.before = Catalogue(after, entries)

    def _open(self) -> Link:
        return open_link(self._path, CATALOG, self._options.timeout, writer=True)


_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "stores": ("uid", "name", "active", "building", "previous"),
    "generations": ("id", "schema", "identity", "ef"),
}


def _fresh_ledger() -> Ledger:
    return Ledger(_OWNER, tables={name: Total() for name in _TABLES})


def _rows(state: Catalogue) -> dict[str, list[tuple[Any, ...]]]:
    stores = [
        (entry.uid, entry.name, entry.active.id, *(each and each.id for each in (entry.building, entry.previous)))
        for entry in state.entries.values()
    ]
    generations = [
        (
            each.id,
            json.dumps(each.schema.to_dict()),
            None if each.identity is None else json.dumps(dict(each.identity)),
            each.ef,
        )
        for each in state.generations().values()
    ]
    tables: dict[str, list[tuple[Any, ...]]] = {"stores": [*stores], "generations": [*generations]}
    return {name: [(*row, row_crc(row)) for row in table] for name, table in tables.items()}


def _entries(rows: Mapping[str, list[tuple[Any, ...]]], ledger: Ledger, path: Path) -> dict[str, Entry]:
    for name, table in rows.items():
        for row in table:
            if row_crc(row[:-1]) != row[-1]:
                raise StoreCorrupt(f"{path}: a row of {name} is damaged. Restore it from a backup.")
        found = Total()
        found.add(row[-1] for row in table)
        if found != ledger.tables[name]:
            raise StoreCorrupt(f"{path}: rows of {name} are missing or doubled. Restore it from a backup.")
    try:
        generations = {row[0]: _generation(row) for row in rows["generations"]}
        entries = {}
        for uid, name, active, building, previous, _ in rows["stores"]:
            entries[checked_id(uid)] = Entry(
                uid,
                check_name(name, "Store"),
                replace(generations[active], standby=False),
                generations[building] if building else None,
                generations[previous] if previous else None,
            )
    except (InvalidArgument, KeyError) as error:
        # The bytes are those that were written: whoever wrote them knew more than this version.
        raise Unsupported("what the catalogue holds", "file", "It was written by a newer vecstore.") from error
    return entries


def _generation(row: tuple[Any, ...]) -> Generation:
    generation_id, schema, identity, ef, _ = row
    return Generation(
        checked_id(generation_id),
        Schema.from_dict(json.loads(schema)),
        None if identity is None else json.loads(identity),
        ef,
        standby=True,
    )
