"""One generation's directory, as this process has it open."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import RLock
from typing import Any

from vecstore.errors import StorageError, StorageFailed, StoreLocked

from ..options import Options
from ..search.index_cache import IndexCache
from ..search.recent_rows import RecentRows
from ..storage import lock, os_calls
from ..storage.connections import ROWS, Link, abandon, open_link, reading
from ..storage.failures import is_lasting, translated
from ..storage.pool import Pool, data_version, using
from .generation_files import GenerationFiles
from .ledger import Ledger, commit
from .notes import Register
from .snapshot import Snapshot, advance_snapshot
from .transaction import Transaction


class Volume:
    """Reads a generation's state, keeps it up to date, and begins and ends transactions; shared by threads."""

    def __init__(self, files: GenerationFiles, options: Options) -> None:
        self.files = files
        self.id, self.schema, self.paths = files.id, files.schema, files.paths
        self.form, self.shape = files.form, files.shape
        self.recent = RecentRows()
        self.index_cache = IndexCache(files.paths, files.id, files.schema.metric)
        self.pool = Pool(files.paths.rows, ROWS, options.timeout)
        self._options = options
        # Held while the state is brought up to date, never while a writer waits for readers.
        self._lock = RLock()
        self._snapshot: Snapshot | None = None
        self._registers: dict[str, Register] = {}
        self._writer: Link | None = None
        self._is_tidy = False
        self._failure: str | None = None
        # The heads of the rows that the last commit added, by the states before and after: no need to read them.
        self._written: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        self.committed: Ledger | None = None
        """The state that this process's last commit made."""

    def close(self) -> None:
        """Close all connections."""
        self.pool.close()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    # -- reading

    def snapshot(self, link: Link, *, view: bool = False) -> Snapshot:
        """Return the newest state, with ids and fields where they are asked for.

        Raises
        ------
        StoreCorrupt
        """
        known = self._snapshot
        version = data_version(link)
        if known and link.stamp == (version, known.ledger.token) and (known.view or not view):
            return known
        # Within the lock, a transaction begins after all those whose state is known already.
        with self._lock, reading(link):
            snapshot = self._read(link, view=view)
        link.stamp = (version, snapshot.ledger.token)
        return snapshot

    @contextmanager
    def pinned(self, link: Link, *, view: bool = False) -> Iterator[Snapshot]:
        """Keep the newest state from changing while the context lasts; writers wait."""
        with contextlib.ExitStack() as stack:
            with self._lock:
                stack.enter_context(reading(link))
                snapshot = self._read(link, view=view)
            yield snapshot

    def register(self, link: Link, table: str) -> Register:
        """Return the newest tombstones or changes.

        Raises
        ------
        StoreCorrupt
        """
        with self._lock, reading(link):
            return self._register(link, table, self._ledger(link))

    def _register(self, link: Link, table: str, ledger: Ledger) -> Register:
        known = self._registers.get(table) or Register.empty(table)
        found = known.advanced(link, ledger, self.paths.rows)
        self._registers[table] = found
        return found

    def _read(self, link: Link, *, view: bool) -> Snapshot:
        """Bring the state up to what a connection sees within its transaction; the lock is held."""
        known = self._snapshot
        ledger = self._ledger(link)
        if known and known.ledger.token == ledger.token and (known.view or not view):
            return known
        # Set again when everything has been read: what an interrupt left half advanced is not used.
        self._snapshot = None
        written = self._written.pop((known.ledger.token, ledger.token), None) if known else None
        self._snapshot = advance_snapshot(self.files, known, link, ledger, written, view=view)
        return self._snapshot

    def _ledger(self, link: Link) -> Ledger:
        known = self._snapshot
        if known is None:
            self.paths.check_directories()
        mark = known.ledger.seq if known else lock.last_mark(self.paths.lock)
        ledger = Ledger.read(link, self.id, self.paths.rows)
        lock.check_not_older(ledger.seq, mark, self.paths.rows)
        return ledger

    # -- writing

    @contextmanager
    def transaction(self, check: Callable[[], bool]) -> Iterator[Transaction]:
        """Write while the context lasts; what the transaction changed is committed at its end.

        Parameters
        ----------
        check : callable
            Called under the lock; says whether changes are noted, or raises what makes the write impossible.

        Raises
        ------
        StoreLocked, StorageFailed, StoreCorrupt, Timeout, UnknownOutcome
        """
        with self.held() as held:
            notes = check()
            with self.begun(held) as transaction:
                transaction.takes_notes = notes
                yield transaction

    def held(self) -> AbstractContextManager[lock.Lock]:
        """Be the only writer while the context lasts.

        Raises
        ------
        StoreLocked
        """
        return lock.locked(self.paths.lock, self._options.lock_timeout, "is writing to it")

    def kept(self, *, patiently: bool) -> AbstractContextManager[lock.Lock]:
        """Be the only one to compact, to index or to copy while the context lasts, waiting for others or not.

        Raises
        ------
        StoreLocked
        """
        timeout = self._options.lock_timeout if patiently else 0.0
        return lock.locked(self.paths.upkeep, timeout, "compacts it, builds its index or copies it")

    @contextmanager
    def begun(self, held: lock.Lock, *, whole: bool = True) -> Iterator[Transaction]:
        """Begin a transaction under the lock, and commit it at the end; see `transaction`.

        Parameters
        ----------
        held : Lock
        whole : bool
            Without it, the transaction knows vectors alone, and can neither add nor remove records.
        """
        self.check_usable()
        with using(self.paths.rows):
            yield from self._transaction(held, whole=whole)

    def check_usable(self) -> None:
        """Refuse to write after a write that failed in a way that leaves doubt.

        Raises
        ------
        StorageFailed
        """
        if self._failure:
            raise StorageFailed(self._failure)

    def _transaction(self, held: lock.Lock, *, whole: bool) -> Iterator[Transaction]:
        link, self._writer = self._writer, None
        usable = False
        try:
            link = link or self._open_writer()
            link.execute("BEGIN IMMEDIATE")
            # All of it now: once SQLite has begun to write to the file, readers wait, perhaps with the lock held.
            with self._lock:
                snapshot = self._read(link, view=whole)
                registers = [
                    self._register(link, table, snapshot.ledger) if whole else Register.empty(table)
                    for table in ("tombstones", "changes")
                ]
            lock.check_not_older(snapshot.ledger.seq, held.mark(), self.paths.rows)
            self._tidy(snapshot)
            transaction = Transaction(self.files, link, snapshot, *registers)
            yield transaction
            if transaction.has_changes:
                usable = commit(link, snapshot.ledger, transaction.ledger, self._open_writer)
                self._written = {(snapshot.ledger.token, transaction.ledger.token): transaction.heads}
                self.committed = transaction.ledger
                held.set_mark(transaction.ledger.seq)
            else:
                link.execute("ROLLBACK")
                usable = True
        except (sqlite3.Error, OSError) as error:
            raise self.failed(error) from error
        finally:
            if usable:
                self._writer = link
            elif link is not None:
                # A segment may lie there that no commit names.
                self.untidy()
                abandon(link)

    def untidy(self) -> None:
        """Note that files may lie there that no commit names; the next write looks."""
        self._is_tidy = False

    def failed(self, error: sqlite3.Error | OSError) -> Exception:
        """Return the error of ours for one that a write met, and refuse further writes where it leaves doubt."""
        found = translated(error, str(self.paths.root))
        if is_lasting(error):
            self._failure = (
                f"An earlier write to {self.paths.root} failed ({error}), so that the disk may not hold what it seems "
                "to. What was acknowledged is intact. Call vecstore.connect() again to go on."
            )
        return found

    def _open_writer(self) -> Link:
        return open_link(self.paths.rows, ROWS, self._options.timeout, writer=True)

    def _tidy(self, snapshot: Snapshot) -> None:
        """Remove files that writers and builders left who did not come to their commit."""
        if self._is_tidy:
            return
        with contextlib.suppress(OSError, StorageError, StoreLocked):
            unnamed = self.paths.unnamed_segments(snapshot.vectors.segment_uids)
            unnamed += self.paths.unnamed_indexes(snapshot.ledger.index_uids)
            # What is unnamed may be the work of somebody who has not come to their commit yet.
            with self.kept(patiently=False) if unnamed else contextlib.nullcontext():
                for path in unnamed:
                    os_calls.unlink(path)
            self._is_tidy = True
