"""One generation's directory, as this process has it open."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import RLock

from ...backend import Generation
from ...errors import StorageFailed, StoreCorrupt
from . import disk, lock
from .columns import View, head_rows
from .commit import commit
from .connections import ROWS, Link, Pool, abandon, created, open_link, reading
from .failures import is_lasting, translated
from .fork_gate import using
from .layout import GenerationLayout
from .ledger import Ledger
from .options import Options
from .register import Register
from .rowform import RowForm
from .segment import Shape
from .transaction import Transaction
from .vectors import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What is in memory of one commit. ``view`` is None until something asks for ids or fields."""

    ledger: Ledger
    vectors: Vectors
    view: View | None

    @property
    def columns(self) -> View:
        """The view of a snapshot that was asked for with one."""
        if self.view is None:
            raise TypeError("the snapshot was asked for without a view")
        return self.view


class Volume:
    """Reads a generation's state, keeps it up to date, and begins and ends transactions; shared by threads."""

    def __init__(self, paths: GenerationLayout, generation: Generation, options: Options) -> None:
        self.id = generation.id
        self.schema = generation.schema
        self.paths = paths
        self.form = RowForm(generation.schema)
        self.shape = Shape.of(generation.id, generation.schema)
        self.pool = Pool(paths.rows, ROWS, options.timeout)
        self._options = options
        # Held while the state is brought up to date, never while a writer waits for readers.
        self._lock = RLock()
        self._snapshot: Snapshot | None = None
        self._registers: dict[str, Register] = {}
        self._writer: Link | None = None
        self._is_tidy = False
        self._failure: str | None = None

    @staticmethod
    def create(paths: GenerationLayout, generation: Generation, options: Options) -> None:
        """Make an empty generation, durable in all its parts, that no catalogue names yet."""
        form = RowForm(generation.schema)
        for path in (paths.root.parent, paths.root, paths.segments, paths.indexes):
            disk.make_directory(path)
        with using(paths.rows), created(paths.rows, ROWS, options.timeout) as link:
            form.create(link, generation.id)
        disk.close(disk.open_lock(paths.lock))
        disk.sync_directory(paths.root)

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
        version = link.data_version()
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
        self._snapshot = self._advanced(known, link, ledger, view=view)
        return self._snapshot

    def _ledger(self, link: Link) -> Ledger:
        known = self._snapshot
        if known is None:
            self.paths.check_directories()
        mark = known.ledger.seq if known else lock.last_mark(self.paths.lock)
        ledger = Ledger.read(link, self.id, self.paths.rows)
        lock.check_not_older(ledger.seq, mark, self.paths.rows)
        return ledger

    def _advanced(self, known: Snapshot | None, link: Link, ledger: Ledger, *, view: bool) -> Snapshot:
        is_next = known and (known.ledger.token == ledger.token or ledger.pruned <= known.ledger.seq < ledger.seq)
        known = known if is_next else None
        vectors = known.vectors if known and not known.vectors.is_wasteful else Vectors.empty(self.paths, self.shape)
        vectors, removed = vectors.advanced(link, ledger)
        before = known.view if known and known.view and not known.view.is_wasteful else None
        if before is None and not view and not (known and known.view):
            return Snapshot(ledger, vectors, None)
        before = before or View.empty(self.schema)
        most = ledger.tables["rows"].count
        after = before.advanced(
            removed, head_rows(link, self.form, before.last_rid, most, self.paths.rows), self.paths.rows
        )
        if after.total != ledger.tables["rows"]:
            raise StoreCorrupt(
                f"{self.paths.rows}: rows are missing, doubled or damaged. Restore the directory from a backup."
            )
        return Snapshot(ledger, vectors, after)

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

    @contextmanager
    def begun(self, held: lock.Lock) -> Iterator[Transaction]:
        """Begin a transaction under the lock, and commit it at the end; see `transaction`."""
        if self._failure:
            raise StorageFailed(self._failure)
        with using(self.paths.rows):
            yield from self._transaction(held)

    def _transaction(self, held: lock.Lock) -> Iterator[Transaction]:
        link, self._writer = self._writer, None
        usable = False
        try:
            link = link or self._open_writer()
            link.execute("BEGIN IMMEDIATE")
            # All of it now: once SQLite has begun to write to the file, readers wait, perhaps with the lock held.
            with self._lock:
                snapshot = self._read(link, view=True)
                registers = [self._register(link, table, snapshot.ledger) for table in ("tombstones", "changes")]
            lock.check_not_older(snapshot.ledger.seq, held.mark(), self.paths.rows)
            self._tidy(snapshot)
            transaction = Transaction(self, link, snapshot, *registers)
            yield transaction
            if transaction.has_changes:
                usable = commit(link, snapshot.ledger, transaction.ledger, self._open_writer)
                held.set_mark(transaction.ledger.seq)
            else:
                link.execute("ROLLBACK")
                usable = True
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error
        finally:
            if usable:
                self._writer = link
            elif link is not None:
                # A segment may lie there that no commit names.
                self._is_tidy = False
                abandon(link)

    def _failed(self, error: sqlite3.Error | OSError) -> Exception:
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
        """Remove files that writers left who did not come to their commit."""
        if self._is_tidy:
            return
        named = {segment.path.name for segment in snapshot.vectors.segments}
        with contextlib.suppress(OSError):
            for name in disk.names(self.paths.segments):
                if name not in named:
                    disk.unlink(self.paths.segments / name)
            self._is_tidy = True
