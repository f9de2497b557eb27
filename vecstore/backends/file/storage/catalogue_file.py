"""The file of the catalogue, which any thread reads and one process at a time changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from vecstore.backend import Entry
from vecstore.errors import InvalidUrl, StorageFailed, StoreCorrupt

from ..catalogue import COLUMNS, OWNER, Catalogue, make_empty_ledger, make_rows, parse_entries
from ..options import Options
from ..state.commit import commit
from ..state.ledger import CREATE, Ledger, Total, check_same_history
from . import lock, os_calls
from .commit_mark import CommitWatch, check_not_older, read_last_mark
from .connections import (
    CATALOG,
    DATA_VERSION,
    SqliteConnection,
    abandon,
    begin_reading,
    check_integrity,
    create_database,
    open_connection,
)
from .failures import DRIVER_ERRORS, is_lasting, translate_error, translate_errors
from .layout import DirectoryLayout
from .pool import ForkGuard, SqlitePool

_PURPOSE = "changes the catalogue"


class CatalogueFile:
    """The catalogue in ``catalog.db``, read by any thread, changed under ``catalog.lock``."""

    def __init__(self, layout: DirectoryLayout, options: Options) -> None:
        self._layout = layout
        self._options = options
        self._path = layout.catalog
        self._pool: SqlitePool | None = None
        self._newest: Catalogue | None = None
        self._watch = CommitWatch(layout.catalog_lock)
        self._failed = False
        self._lock = Lock()

    def read(self) -> Catalogue:
        """Return the current state.

        Raises
        ------
        InvalidUrl, DatabaseReplaced, StoreCorrupt, StorageFailed, Timeout, Unsupported
        """
        # No context manager here: every call of the backend reads the catalogue.
        try:
            pool = self._pool or self._open_pool() or self._check_unused()
            if pool is None:
                return Catalogue(make_empty_ledger())
            newest = self._newest
            if newest is not None and self._watch.is_last(newest.ledger.seq, pool.check_origin()):
                return newest
            with pool.check_out() as connection:
                version: int = connection.execute(DATA_VERSION).fetchone()[0]
                if connection.stamp is None or connection.stamp[0] != version:
                    connection.stamp = (version, self._load(connection))
                state: Catalogue = connection.stamp[1]
                self._watch.note(state.ledger.seq, connection.file_state)
                return state
        except DRIVER_ERRORS as error:
            raise translate_error(error, str(self._path)) from error

    def _check_unused(self) -> SqlitePool | None:
        """Refuse a directory that is neither new nor a database; open what another process has made of it meanwhile."""
        try:
            self._layout.check_unused()
        except (InvalidUrl, StoreCorrupt):
            made = self._open_pool()
            if made is None:
                raise
            return made
        return None

    @contextmanager
    def edit(self) -> Iterator[CatalogueEdit]:
        """Hold the lock of the catalogue while the context lasts; create the file if it is missing.

        Raises
        ------
        StoreLocked, StorageFailed, StoreCorrupt
        """
        if self._failed:
            raise StorageFailed(f"An earlier write to {self._layout.catalog} failed. Call vecstore.connect() again.")
        self.read()  # refuses a directory that was replaced, before anything is made in it
        with translate_errors(self._layout.root):
            os_calls.make_root(self._layout.root)
        with lock.hold_lock(self._layout.catalog_lock, self._options.lock_timeout, _PURPOSE) as held:
            try:
                with translate_errors(self._layout.catalog):
                    if self._pool is None and os_calls.read_identity(self._layout.catalog) is None:
                        self._layout.check_unused()
                        self._create()
                state = self.read()
                check_not_older(state.ledger.seq, held.read_mark(), self._layout.catalog)
                with translate_errors(self._layout.root):
                    yield CatalogueEdit(self._layout.catalog, state, held, self._options)
                if self._pool is not None:
                    self._pool.check_origin()
            except StorageFailed as error:
                self._failed = isinstance(error.__cause__, DRIVER_ERRORS) and is_lasting(error.__cause__)
                raise

    def check_integrity(self) -> list[str]:
        """Return the problems that SQLite finds in the file."""
        if self._pool is None:
            return []
        with translate_errors(self._layout.catalog), self._pool.check_out() as connection:
            return check_integrity(connection, self._layout.catalog)

    def close(self) -> None:
        """Close all connections."""
        self._watch.close()
        if self._pool is not None:
            self._pool.close()

    def _open_pool(self) -> SqlitePool | None:
        """Return a pool of connections; None as long as there is no file."""
        if os_calls.read_identity(self._path) is None:
            return None
        with self._lock:
            self._pool = self._pool or SqlitePool(self._path, CATALOG, self._options.timeout)
            return self._pool

    def _load(self, connection: SqliteConnection) -> Catalogue:
        # The transaction begins under the lock, so it sees every commit that is already known.
        with self._lock, begin_reading(connection):
            newest = self._newest
            mark = newest.ledger.seq if newest else read_last_mark(self._layout.catalog_lock)
            ledger = Ledger.read(connection, OWNER, self._layout.catalog)
            if newest:
                check_same_history(newest.ledger, ledger, self._layout.catalog)
            check_not_older(ledger.seq, mark, self._layout.catalog)
            if newest and newest.ledger.token == ledger.token:
                return newest
            rows = {
                name: connection.execute(f"SELECT * FROM {name}").fetchmany(ledger.tables[name].count + 1)  # noqa: S608
                for name in COLUMNS
            }
            self._newest = Catalogue(ledger, parse_entries(rows, ledger, self._layout.catalog))
            return self._newest

    def _create(self) -> None:
        path = self._layout.catalog
        unfinished = path.with_name(path.name + ".tmp")
        os_calls.unlink(unfinished)
        with ForkGuard(path), create_database(unfinished, CATALOG, self._options.timeout) as connection:
            connection.execute(CREATE)
            for name, columns in COLUMNS.items():
                connection.execute(f"CREATE TABLE {name}({', '.join(columns)})")
            make_empty_ledger().write(connection)
        # The first commit makes the name durable: its journal is in the same directory.
        os_calls.rename(unfinished, path)


class CatalogueEdit:
    """A change of the catalogue, under its lock."""

    def __init__(self, path: Path, before: Catalogue, held: lock.HeldLock, options: Options) -> None:
        self.before = before
        self._path = path
        self._held = held
        self._options = options

    def put(self, entry: Entry) -> Entry:
        """Commit a new or changed entry."""
        self._commit({**self.before.entries, entry.uid: entry})
        return entry

    def remove(self, uid: str) -> None:
        """Commit the removal of an entry."""
        self._commit({key: entry for key, entry in self.before.entries.items() if key != uid})

    def _commit(self, entries: Mapping[str, Entry]) -> None:
        before = self.before.ledger
        after = before.start_next()
        with translate_errors(self._path), ForkGuard(self._path):
            connection = self._open()
            try:
                connection.execute("BEGIN IMMEDIATE")
                if Ledger.read(connection, OWNER, self._path).token != before.token:
                    raise StoreCorrupt(f"{self._path} was changed by a process that does not hold its lock.")
                rows = make_rows(Catalogue(after, entries))
                for name, table in rows.items():
                    marks = ", ".join("?" * len(COLUMNS[name]))
                    connection.execute(f"DELETE FROM {name}")  # noqa: S608 - a name of ours
                    connection.executemany(f"INSERT INTO {name} VALUES ({marks})", table)  # noqa: S608
                    after.tables[name] = Total()
                    after.tables[name].add(row[-1] for row in table)
                self._held.announce(after.seq)
                commit(connection, before, after, self._open)
            finally:
                abandon(connection)
        self._held.set_mark(after.seq)
        self.before = Catalogue(after, entries)

    def _open(self) -> SqliteConnection:
        return open_connection(self._path, CATALOG, self._options.timeout, writer=True)
