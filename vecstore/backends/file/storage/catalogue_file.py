"""The catalogue's file, read by any thread, changed by one process at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from vecstore.backend import Entry
from vecstore.errors import StorageFailed, StoreCorrupt

from ..catalogue import COLUMNS, OWNER, Catalogue, entries_of, fresh_ledger, table_rows
from ..options import Options
from ..state.ledger import CREATE, Ledger, Total, commit
from . import lock, os_calls
from .connections import CATALOG, Link, abandon, created, integrity, open_link, reading
from .failures import is_lasting, translated, translating
from .layout import Layout
from .pool import Pool, data_version, using

_PURPOSE = "changes the catalogue"


class CatalogFile:
    """The catalogue in ``catalog.db``, read by any thread, changed under ``catalog.lock``."""

    def __init__(self, layout: Layout, options: Options) -> None:
        self._layout = layout
        self._options = options
        self._path = layout.catalog
        self._pool = Pool(layout.catalog, CATALOG, options.timeout)
        self._origin: tuple[int, int] | None = None
        self._newest: Catalogue | None = None
        self._failed = False
        self._lock = Lock()

    def read(self) -> Catalogue:
        """Return the present state.

        Raises
        ------
        InvalidUrl, StoreCorrupt, StorageFailed, Timeout, Unsupported
        """
        # No context manager here: every call of the backend reads the catalogue.
        try:
            origin = os_calls.identity(self._path)
            if origin is None:
                self._start_over(None)
                self._layout.check_unused()
                return Catalogue(fresh_ledger())
            if origin != self._origin:
                self._start_over(origin)
            with self._pool.link() as link:
                version = data_version(link)
                if link.stamp is None or link.stamp[0] != version:
                    link.stamp = (version, self._load(link))
                state: Catalogue = link.stamp[1]
                return state
        except (sqlite3.Error, OSError) as error:
            raise translated(error, str(self._path)) from error

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
            os_calls.make_root(self._layout.root)
        with lock.locked(self._layout.catalog_lock, self._options.lock_timeout, _PURPOSE) as held:
            try:
                with translating(self._layout.catalog):
                    if os_calls.identity(self._layout.catalog) is None:
                        self._layout.check_unused()
                        self._create()
                state = self.read()
                lock.check_not_older(state.ledger.seq, held.mark(), self._layout.catalog)
                with translating(self._layout.root):
                    yield Edit(self._layout.catalog, state, held, self._options)
            except StorageFailed as error:
                self._failed = isinstance(error.__cause__, sqlite3.Error | OSError) and is_lasting(error.__cause__)
                raise

    def integrity(self) -> list[str]:
        """Return what SQLite itself finds wrong with the file."""
        with translating(self._layout.catalog), self._pool.link() as link:
            return integrity(link, self._layout.catalog)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _start_over(self, origin: tuple[int, int] | None) -> None:
        """Forget what was read from a file that another one has replaced."""
        with self._lock:
            if origin != self._origin:
                self._pool.close()
                self._pool = Pool(self._layout.catalog, CATALOG, self._options.timeout)
                self._origin, self._newest = origin, None

    def _load(self, link: Link) -> Catalogue:
        # Within the lock, a transaction begins after all those whose state is known already.
        with self._lock, reading(link):
            newest = self._newest
            mark = newest.ledger.seq if newest else lock.last_mark(self._layout.catalog_lock)
            ledger = Ledger.read(link, OWNER, self._layout.catalog)
            lock.check_not_older(ledger.seq, mark, self._layout.catalog)
            if newest and newest.ledger.token == ledger.token:
                return newest
            rows = {
                name: link.execute(f"SELECT * FROM {name}").fetchmany(ledger.tables[name].count + 1)  # noqa: S608
                for name in COLUMNS
            }
            self._newest = Catalogue(ledger, entries_of(rows, ledger, self._layout.catalog))
            return self._newest

    def _create(self) -> None:
        path = self._layout.catalog
        unfinished = path.with_name(path.name + ".tmp")
        os_calls.unlink(unfinished)
        with using(path), created(unfinished, CATALOG, self._options.timeout) as link:
            link.execute(CREATE)
            for name, columns in COLUMNS.items():
                link.execute(f"CREATE TABLE {name}({', '.join(columns)})")
            fresh_ledger().write(link)
        # Durable with the first commit, whose journal lies in the same directory.
        os_calls.rename(unfinished, path)


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
        with translating(self._path), using(self._path):
            link = self._open()
            try:
                link.execute("BEGIN IMMEDIATE")
                if Ledger.read(link, OWNER, self._path).token != before.token:
                    raise StoreCorrupt(f"{self._path} was changed by someone who does not hold its lock.")
                rows = table_rows(Catalogue(after, entries))
                for name, table in rows.items():
                    marks = ", ".join("?" * len(COLUMNS[name]))
                    link.execute(f"DELETE FROM {name}")  # noqa: S608 - a name of ours
                    link.executemany(f"INSERT INTO {name} VALUES ({marks})", table)  # noqa: S608
                    after.tables[name] = Total()
                    after.tables[name].add(row[-1] for row in table)
                commit(link, before, after, self._open)
            finally:
                abandon(link)
        self._held.set_mark(after.seq)
        self.before = Catalogue(after, entries)

    def _open(self) -> Link:
        return open_link(self._path, CATALOG, self._options.timeout, writer=True)
