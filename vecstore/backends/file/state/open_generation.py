"""An open generation: its state in this process, and its transactions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import RLock
from typing import Any

from vecstore.errors import DatabaseReplaced, StorageFailed, StoreCorrupt, UnknownOutcome

from ..options import Options
from ..search.code_cache import CodeCache
from ..search.index_cache import IndexCache
from ..search.row_cache import RowCache
from ..storage import lock
from ..storage.commit_mark import CommitWatch, check_not_older, read_last_mark
from ..storage.connections import DATA_VERSION, ROWS, SqliteConnection, abandon, begin_reading, open_connection
from ..storage.failures import DRIVER_ERRORS, DriverError, is_lasting, translate_error, translate_errors
from ..storage.pool import ForkGuard, SqlitePool
from .commit import commit
from .garbage import remove_unnamed_files
from .generation_files import GenerationFiles
from .ledger import Ledger, check_same_history
from .notes import Notes
from .snapshot import Snapshot, advance_snapshot
from .transaction import WriteTransaction


class OpenGeneration:
    """Reads a generation's state, keeps it up to date, and begins and ends transactions; shared by threads."""

    def __init__(self, files: GenerationFiles, options: Options) -> None:
        self.files = files
        self.id, self.schema, self.paths = files.id, files.schema, files.paths
        self.row_format, self.shape = files.row_format, files.shape
        self.row_cache = RowCache()
        self.index_cache = IndexCache(files.paths, files.id, files.schema.metric)
        self.code_cache = CodeCache(files.schema.metric)
        self.pool = SqlitePool(files.paths.rows, ROWS, options.timeout)
        self._options = options
        # Held while the state is brought up to date, but not while a writer waits for readers.
        self._lock = RLock()
        self._snapshot: Snapshot | None = None
        self._watch = CommitWatch(files.paths.lock)
        self._notes: dict[str, Notes] = {}
        self._writer: SqliteConnection | None = None
        self._is_tidy = False
        self._failure: str | None = None
        # The heads of rows that the last commit added, by the states before and after; they need not be read again.
        self._written: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        self.committed: Ledger | None = None
        """The state after this process's last commit."""

    def close(self) -> None:
        """Close all connections."""
        self._watch.close()
        self.pool.close()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    # -- reading

    def read_snapshot(self, connection: SqliteConnection, *, view: bool = False) -> Snapshot:
        """Return the newest state, with ids and fields if they are asked for.

        Raises
        ------
        StoreCorrupt
        """
        known = self._snapshot
        if known and view and known.view is None:
            known = None
        if known and self._watch.is_last(known.ledger.seq, connection.file_state):
            return known
        version: int = connection.execute(DATA_VERSION).fetchone()[0]
        if known and connection.stamp == (version, known.ledger.token):
            self._watch.note(known.ledger.seq, connection.file_state)
            return known
        # The transaction begins under the lock, so it sees every commit that is already known.
        with self._lock, begin_reading(connection):
            snapshot = self._read_newest(connection, view=view)
        connection.stamp = (version, snapshot.ledger.token)
        self._watch.note(snapshot.ledger.seq, connection.file_state)
        return snapshot

    def read_newest_snapshot(self, *, view: bool = False) -> Snapshot:
        """Return the newest state over a connection of the pool, with ids and fields if they are asked for.

        Raises
        ------
        StorageFailed, StoreCorrupt, Timeout
        """
        with translate_errors(self.paths.root), self.pool.check_out() as connection:
            return self.read_snapshot(connection, view=view)

    @contextmanager
    def pin_snapshot(self, connection: SqliteConnection, *, view: bool = False) -> Iterator[Snapshot]:
        """Keep the newest state unchanged while the context lasts; writers wait."""
        with contextlib.ExitStack() as stack:
            with self._lock:
                stack.enter_context(begin_reading(connection))
                snapshot = self._read_newest(connection, view=view)
            yield snapshot

    def read_notes(self, connection: SqliteConnection, table: str) -> Notes:
        """Return the newest tombstones or changes.

        Raises
        ------
        StoreCorrupt
        """
        with self._lock, begin_reading(connection):
            return self._advance_notes(connection, table, self._read_ledger(connection))

    def _advance_notes(self, connection: SqliteConnection, table: str, ledger: Ledger) -> Notes:
        known = self._notes.get(table) or Notes.make_empty(table)
        found = known.advance(connection, ledger, self.paths.rows)
        self._notes[table] = found
        return found

    def _read_newest(self, connection: SqliteConnection, *, view: bool) -> Snapshot:
        """Bring the state up to date with a connection's transaction; the caller holds the lock."""
        known = self._snapshot
        ledger = self._read_ledger(connection)
        if known and known.ledger.token == ledger.token and (known.view or not view):
            return known
        # Set only after everything has been read, so an interrupted update is not used.
        self._snapshot = None
        written = self._written.pop((known.ledger.token, ledger.token), None) if known else None
        try:
            self._snapshot = advance_snapshot(self.files, known, connection, ledger, written, view=view)
        except StoreCorrupt as error:
            if known is None:
                raise
            # What is whole when it is read from the start, but does not continue what was known, has another history.
            advance_snapshot(self.files, None, connection, ledger, None, view=view)
            self._snapshot = known
            raise DatabaseReplaced(str(self.paths.rows)) from error
        return self._snapshot

    def _read_ledger(self, connection: SqliteConnection) -> Ledger:
        known = self._snapshot
        if known is None:
            self.paths.check_directories()
        mark = known.ledger.seq if known else read_last_mark(self.paths.lock)
        ledger = Ledger.read(connection, self.id, self.paths.rows)
        if known:
            check_same_history(known.ledger, ledger, self.paths.rows)
        check_not_older(ledger.seq, mark, self.paths.rows)
        return ledger

    # -- writing

    @contextmanager
    def begin_transaction(self, check: Callable[[], bool]) -> Iterator[WriteTransaction]:
        """Write while the context lasts; the changes are committed at its end.

        Parameters
        ----------
        check : callable
            Called under the lock; says whether changes are noted, or raises what makes the write impossible.

        Raises
        ------
        StoreLocked, StorageFailed, StoreCorrupt, Timeout, UnknownOutcome
        """
        with self.lock_writer() as held:
            notes = check()
            with self.begin_locked(held) as transaction:
                transaction.takes_notes = notes
                yield transaction

    def lock_writer(self) -> AbstractContextManager[lock.HeldLock]:
        """Hold the writer's lock while the context lasts.

        Raises
        ------
        StoreLocked
        """
        return lock.hold_lock(self.paths.lock, self._options.lock_timeout, "is writing to it")

    def lock_upkeep(self, *, wait: bool) -> AbstractContextManager[lock.HeldLock]:
        """Hold the lock for compaction, index builds and copies; ``wait`` says whether to wait for another holder.

        Raises
        ------
        StoreLocked
        """
        timeout = self._options.lock_timeout if wait else 0.0
        return lock.hold_lock(self.paths.upkeep, timeout, "compacts it, builds its index or copies it")

    @contextmanager
    def begin_locked(self, held: lock.HeldLock, *, whole: bool = True) -> Iterator[WriteTransaction]:
        """Begin a transaction under the lock, and commit it at the end; see `begin_transaction`.

        Parameters
        ----------
        held : HeldLock
        whole : bool
            Without it, the transaction knows vectors alone, and can neither add nor remove records.
        """
        self.check_usable()
        with ForkGuard(self.paths.rows):
            yield from self._run_transaction(held, whole=whole)

    def check_usable(self) -> None:
        """Refuse to write after a failed write that left the contents of the disk in doubt.

        Raises
        ------
        StorageFailed
        """
        if self._failure:
            raise StorageFailed(self._failure)

    def _run_transaction(self, held: lock.HeldLock, *, whole: bool) -> Iterator[WriteTransaction]:
        connection, self._writer = self._writer, None
        usable = False
        try:
            self.pool.check_origin()
            connection = connection or self._open_writer()
            connection.execute("BEGIN IMMEDIATE")
            # Read everything now: once SQLite starts to write to the file, readers wait, possibly holding the lock.
            with self._lock:
                snapshot = self._read_newest(connection, view=whole)
                notes = [
                    self._advance_notes(connection, table, snapshot.ledger) if whole else Notes.make_empty(table)
                    for table in ("tombstones", "changes")
                ]
            check_not_older(snapshot.ledger.seq, held.read_mark(), self.paths.rows)
            self._is_tidy = self._is_tidy or remove_unnamed_files(self, snapshot)
            transaction = WriteTransaction(self.files, connection, snapshot, *notes)
            yield transaction
            if transaction.has_changes:
                transaction.make_room()
                held.announce(transaction.ledger.seq)
                usable = commit(connection, snapshot.ledger, transaction.ledger, self._open_writer)
                self.pool.check_origin()  # what was committed to a file that is gone is not acknowledged
                self._written = {(snapshot.ledger.token, transaction.ledger.token): transaction.heads}
                self.committed = transaction.ledger
                held.set_mark(transaction.ledger.seq)
            else:
                connection.execute("ROLLBACK")
                usable = True
        except UnknownOutcome:
            self.pool.check_origin()
            raise
        except DRIVER_ERRORS as error:
            self.pool.check_origin()  # SQLite calls a file that was moved away not writable
            raise self.record_failure(error) from error
        finally:
            if usable:
                self._writer = connection
            elif connection is not None:
                # The failed write may have left a segment that no commit names.
                self.mark_untidy()
                abandon(connection)

    def mark_untidy(self) -> None:
        """Note that there may be files that no commit names; the next write removes them."""
        self._is_tidy = False

    def record_failure(self, error: DriverError) -> Exception:
        """Return the vecstore error for a failed write; refuse further writes if it leaves the disk in doubt."""
        found = translate_error(error, str(self.paths.root))
        if is_lasting(error):
            self._failure = (
                f"An earlier write to {self.paths.root} failed ({error}), so the disk may not hold what it "
                "appears to hold. Acknowledged writes are intact. Call vecstore.connect() again to continue."
            )
        return found

    def _open_writer(self) -> SqliteConnection:
        return open_connection(self.paths.rows, ROWS, self._options.timeout, writer=True)
