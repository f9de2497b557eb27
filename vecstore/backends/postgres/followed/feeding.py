"""Feeding the other engine: copying all records into a new collection, and then whatever is noted.

It is done in rounds. A round holds an advisory lock in an open transaction, reads, sends, and commits in that
transaction what the engine has. So of two processes one feeds, and a record is never sent as it was after somebody else
has sent it as it is.

One thing could still break that: a request of a process that died, or lost its lock, that the engine reads late. Before
it sends, a round therefore notes that it began, and the commit at its end removes that. Where it is still there, others
wait as long as such a request may live. A process that finds its lock lost notes again what it sent last.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from vecstore.backend import Generation, Progress
from vecstore.errors import StorageError, StoreCorrupt, StoreLocked, UnknownOutcome
from vecstore.logs import log_step

from ..advisory_locks import make_lock_key
from ..client import Client
from ..generation_table import Layouts
from ..rows import decode_rows
from ..session_settings import LOCK_TIMEOUT, format_lock_timeout
from ..statements import Statement
from ..transaction import Transaction
from .follower import Follower, FollowerTable, dump_plan, load_plan
from .notes import NoteTable
from .records import RECORDS, compile_page, compile_records, send_rows
from .triggers import create_triggers

if TYPE_CHECKING:
    from vecstore.backends.milvus.client import MilvusClient
    from vecstore.backends.milvus.collection import Collection
    from vecstore.backends.milvus.indexes import IndexPlan

ROWS = 5_000
"""Records of one round at most."""
_BYTES = 8 << 20
"""Of the vectors of one round, which are one request then."""
_NOTES_EACH = 4
"""While records are copied, every so many rounds send what is noted."""
PATIENCE = 10.0
"""Seconds that one request of a feeder may take."""
_MARGIN, _PAUSE, _LOOK, _LONGEST = 1.0, 0.1, 0.5, 3_600.0
"""A round that began longer ago than the last of these is over, however many requests it had."""
_KEPT = 5_000 << 18
"""How long notes are kept after the engine has the record: five seconds, in its timestamps."""
_FEEDER = 2
"""Distinguishes the lock of a generation's feeder from that of its writers and of its builder."""
_TRY = Statement("SELECT pg_try_advisory_xact_lock(%(lock)s)", MappingProxyType({}))
_ALL_ROWS = Statement("SELECT set_config('row_security', 'off', true)", MappingProxyType({}))
"""Makes a read fail, instead of hiding records that row security keeps from this role."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did.

    Attributes
    ----------
    records : int
        Ids that were sent.
    waiting : bool
        Whether there may be more to do at once.
    rests : float
        Seconds until a dead process's requests are over; nothing was done then.
    """

    records: int = 0
    waiting: bool = False
    rests: float = 0.0


class Feeder:
    """Feeds one server with one generation after another.

    Parameters
    ----------
    client : Client
    milvus : MilvusClient
        Its requests end after `PATIENCE`.
    layouts : Layouts
    table : FollowerTable
    """

    def __init__(self, client: Client, milvus: MilvusClient, layouts: Layouts, table: FollowerTable) -> None:
        self._client = client
        self._milvus = milvus
        self._layouts = layouts
        self._table = table
        self._notes = NoteTable(table.namespace)
        self._seen: dict[str, float] = {}
        self._turn = 0

    def begin(self, generation: Generation, plan: IndexPlan) -> None:
        """Describe a new collection, and let every write be noted from now on."""
        from vecstore.backends.milvus.collection_names import name_collection

        name = name_collection(generation.id, secrets.token_hex(4))
        with self._client.transaction() as transaction:
            transaction.run(LOCK_TIMEOUT, {"lock_timeout": format_lock_timeout(self._client.options)})
            create_triggers(transaction, self._layouts.get(generation))
            self._table.begin(transaction, generation.id, self._milvus.place, name, dump_plan(plan))

    def run_round(self, generation: Generation) -> Round:
        """Do a part of what there is to do.

        Raises
        ------
        StoreLocked
            Another process feeds this generation.
        StorageError
        """
        sent: list[str] = []
        try:
            with self._hold_lease(generation) as transaction:
                return self._work(transaction, generation, sent)
        except BaseException:
            if sent:
                self._note_again(generation, sent)
            raise

    @contextmanager
    def _hold_lease(self, generation: Generation) -> Iterator[Transaction]:
        with self._client.transaction() as transaction:
            [(held,)] = transaction.run(_TRY, {"lock": make_lock_key(generation.id) ^ _FEEDER})
            if not held:
                raise StoreLocked("Another process feeds what follows this store.")
            transaction.run(_ALL_ROWS, {})
            yield transaction

    def _work(self, transaction: Transaction, generation: Generation, sent: list[str]) -> Round:
        follower = self._table.read(transaction, generation.id)
        if follower is None or not follower.is_ours or follower.place != self._milvus.place:
            return Round()
        if rests := self._wait_for_dead(generation, follower):
            return Round(waiting=True, rests=rests)
        self._turn += 1
        if follower.incoming is not None and (follower.collection is None or self._turn % _NOTES_EACH):
            return self._copy_page(transaction, generation, follower, sent)
        return self._apply_notes(transaction, generation, follower, sent)

    def _wait_for_dead(self, generation: Generation, follower: Follower) -> float:
        """Return for how many seconds a request of another process may be on its way still."""
        if follower.unfinished is None:
            self._seen.pop(generation.id, None)
            return 0.0
        now = time.monotonic()
        seen = self._seen.get(generation.id, now)
        # A later mark than the one that was seen is of another round, which may have been one of ours.
        self._seen[generation.id] = seen = now if follower.unfinished < now - seen else seen
        return max(0.0, min(PATIENCE + _MARGIN - (now - seen), _LONGEST - follower.unfinished))

    # -- copying

    def _copy_page(
        self, transaction: Transaction, generation: Generation, follower: Follower, sent: list[str]
    ) -> Round:
        """Copy the next records into the incoming collection, which takes its place when there are no more."""
        collection = self.open(generation, follower.incoming or "")
        if follower.filled is None:
            self._prepare(transaction, generation)
            collection.create(load_plan(follower.incoming_plan, generation.schema.metric))
            self._table.keep_filled(transaction, generation.id, collection.name, "", 0)
            return Round(waiting=True)
        layout = self._layouts.get(generation)
        answer = transaction.run(compile_page(layout), {"after": follower.filled, "limit": _count_rows(generation)})
        if not answer:
            return self._apply_notes(transaction, generation, follower, sent)
        rows = decode_rows(answer, layout, RECORDS, versions=True)
        self._prepare(transaction, generation)
        sent += rows.ids
        try:
            stamp = send_rows(collection, rows, [0] * len(rows))
        except StoreCorrupt:
            self._table.restart(self._client, generation.id, collection.name)
            raise
        self._table.keep_filled(transaction, generation.id, collection.name, rows.ids[-1], stamp)
        return Round(len(rows), waiting=True)

    # -- notes

    def _apply_notes(
        self, transaction: Transaction, generation: Generation, follower: Follower, sent: list[str]
    ) -> Round:
        """Send noted records and mark the notes; where all is copied, the incoming collection takes its place then."""
        incoming = None if follower.filled is None else follower.incoming
        names = [each for each in (follower.collection, incoming) if each is not None]
        limit = _count_rows(generation)
        notes = self._notes.read(transaction, generation.id, limit) if names else []
        if notes:
            self._send_noted(transaction, generation, names, {id_: seq for seq, id_ in notes}, sent)
        is_filling = follower.incoming is not None
        if incoming is not None and len(notes) < limit:
            after = {"after": follower.filled, "limit": 1}
            if not transaction.run(compile_page(self._layouts.get(generation)), after):
                self._table.promote(transaction, generation.id, incoming, follower.collection)
                is_filling = False
        return Round(len(notes), waiting=is_filling or len(notes) == limit)

    def _send_noted(
        self,
        transaction: Transaction,
        generation: Generation,
        names: Sequence[str],
        seqs: Mapping[str, int],
        sent: list[str],
    ) -> None:
        layout, ids = self._layouts.get(generation), sorted(seqs)
        answer = transaction.run(compile_records(layout), {"ids": ids})
        rows = decode_rows(answer, layout, RECORDS, versions=True)
        gone = sorted(seqs.keys() - set(rows.ids))
        self._prepare(transaction, generation)
        sent += ids
        stamp = 0
        for name in names:
            collection = self.open(generation, name)
            try:
                sent_at = max(send_rows(collection, rows, [seqs[id_] for id_ in rows.ids]), collection.delete(gone))
                # Until the engine shows it, PostgreSQL compares it: no search has to wait for that.
                collection.settle(sent_at)
            except StoreCorrupt:
                self._table.lose(self._client, generation.id, name)
                self._table.restart(self._client, generation.id, name)
                raise
            stamp = max(stamp, sent_at)
        self._notes.settle(transaction, generation.id, seqs, stamp, stamp - _KEPT)

    def _prepare(self, transaction: Transaction, generation: Generation) -> None:
        """Note that requests follow, and prove that the lock is still held."""
        self._table.mark_sending(self._client, generation.id)
        transaction.rest()

    def _note_again(self, generation: Generation, ids: Sequence[str]) -> None:
        """Note ids whose requests may have reached the engine after those of a process that has taken over."""
        try:
            self._notes.note(self._client, generation.id, ids)
        except (StorageError, UnknownOutcome):
            log_step("follow", "%d ids could not be noted again", len(ids))

    def open(self, generation: Generation, name: str) -> Collection:
        """Return a collection of a generation, without I/O."""
        from vecstore.backends.milvus.collection import Collection
        from vecstore.backends.milvus.fields import plan_layout

        return Collection(self._milvus, name, plan_layout(generation.schema))

    # -- as a whole

    def fill(self, generation: Generation, total: int, on_progress: Progress | None) -> None:
        """Do rounds until the incoming collection has taken its place.

        Raises
        ------
        StorageError
        """
        done, tries, pause = 0, 3, threading.Event()
        while True:
            try:
                found = self.run_round(generation)
            except StoreLocked:
                found = Round(rests=_PAUSE)  # whoever holds the lock copies too
            except StoreCorrupt:
                # What searches asked before is gone, and from now on is not fed; or the copy is, and is begun anew.
                tries -= 1
                if not tries:
                    raise
                found = Round()
            follower = self._table.read(self._client, generation.id)
            if follower is None or follower.incoming is None:
                break
            pause.wait(min(found.rests, _LOOK))
            done += found.records
            if on_progress:
                on_progress("indexing", min(done, total), total)

    def drop_left(self) -> None:
        """Drop the collections that nothing names any more, as far as Milvus answers."""
        from vecstore.backends.milvus.collection import Collection
        from vecstore.backends.milvus.fields import CollectionLayout
        from vecstore.metric import Metric

        try:
            for name in self._table.list_left(self._client, self._milvus.place):
                Collection(self._milvus, name, CollectionLayout(1, Metric.COSINE, {})).drop()
                self._table.forget_left(self._client, [name])
        except StorageError as error:
            log_step("follow", "collections are left in Milvus (%s)", type(error).__name__)


def _count_rows(generation: Generation) -> int:
    return max(1, min(ROWS, _BYTES // (4 * generation.schema.width)))
