"""The index of a followed generation: when the other engine begins to follow, and what a writer feeds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from vecstore.backend import Followed, Generation, Progress
from vecstore.errors import StorageError, StorageFailed, StoreCorrupt, StoreLocked
from vecstore.index_options import HNSW, Flat
from vecstore.logs import log_step

from ..catalogue import Catalogue
from ..client import Client
from ..generation_table import Layouts
from ..indexes import list_graphs
from ..server_checks import Server
from ..session_settings import LOCK_TIMEOUT, format_lock_timeout
from ..upkeep import Upkeep
from .counts import BETWEEN_COUNTS, check_all, check_count
from .feeding import Feeder
from .follower import Follower, FollowerTable, explain_elsewhere, load_plan
from .index_plan import plan_for
from .served_index import Growth, has_served_index, wait_for_index
from .triggers import drop_triggers

if TYPE_CHECKING:
    from vecstore.backends.milvus.client import MilvusClient
    from vecstore.backends.milvus.collection import Collection
    from vecstore.backends.milvus.indexes import IndexPlan
    from vecstore.schema import Schema

_FEW_NOTES, _SHARE_OF_MIN_ROWS = 500, 20
"""So many notes wait for a feeder, fewer where small stores are followed too; with more, the writer feeds itself."""
_ROUNDS = 1_000
_PAUSE = 0.2
"""Seconds until a feeder looks again whether another process is done."""
_UNFED = 30.0
"""Seconds for which writers do not try again to feed a server that failed: each try may cost them a timeout."""


class FollowedUpkeep(Upkeep):
    """Lets a Milvus server follow one generation after another.

    Parameters
    ----------
    client, server, layouts, catalogue
        As for `Upkeep`.
    milvus : MilvusClient
    feeder : Feeder
    table : FollowerTable
    forget : callable
        Called with the id of a generation whose follower has changed.
    """

    def __init__(
        self,
        client: Client,
        server: Server,
        layouts: Layouts,
        catalogue: Catalogue,
        *,
        milvus: MilvusClient,
        feeder: Feeder,
        table: FollowerTable,
        forget: Callable[[str], None],
    ) -> None:
        super().__init__(client, server, layouts, catalogue)
        self._milvus = milvus
        self._feeder = feeder
        self._table = table
        self._forget = forget
        self.few_notes = min(_FEW_NOTES, self._min_rows // _SHARE_OF_MIN_ROWS)
        self._unfed: dict[str, int] = {}
        self._grown = Growth()
        self._fill_at: dict[str, float] = {}
        self._count_at: dict[str, float] = {}
        self._feed_at = 0.0

    def note_written(self, generation: Generation, rows: int) -> None:
        """Take note of rows that this process wrote."""
        super().note_written(generation, rows)
        self._unfed[generation.id] = self._unfed.get(generation.id, 0) + rows

    def tend(self, generation: Generation, on_progress: Progress | None) -> bool:
        """Begin to follow what is large enough, go on with what was interrupted, and feed what has piled up."""
        id_ = generation.id
        if isinstance(generation.schema.index, Flat) or self._rows_left.get(id_, 0) > 0:
            return False
        if id_ in self._ready and self._unfed.get(id_, 0) <= self.few_notes:
            return False
        follower = self._table.read(self._client, id_)
        if follower is None or not self._is_usable(follower):
            self._ready.discard(id_)
            if follower is not None and self._explain_other(follower):
                self._rows_left[id_] = self._min_rows // 4 + 1
                return False
            return self._begin_if_due(generation, on_progress)
        if follower.incoming is not None or not self._is_calibrated(generation, follower):
            with self._lock(generation):  # whoever began it was interrupted, or has the lock
                self._fill(generation, on_progress)
            return True
        if self._unfed.get(id_, self.few_notes + 1) > self.few_notes and time.monotonic() >= self._feed_at:
            self._unfed[id_] = 0
            self._feed(generation)
        self._ready.add(id_)
        return False

    def _is_calibrated(self, generation: Generation, follower: Follower) -> bool:
        return follower.ef is not None or self._read_description(generation).calibration is not None

    def _is_usable(self, follower: Follower) -> bool:
        return follower.has_collection and follower.is_ours and follower.place == self._milvus.place

    def _explain_other(self, follower: Follower) -> str | None:
        """Name another server that follows. Only `build` moves a store: two feeders would move it to and fro."""
        return explain_elsewhere(follower, self._milvus.place) if follower.has_collection and follower.is_ours else None

    def _begin_if_due(self, generation: Generation, on_progress: Progress | None) -> bool:
        rows = self._count_up_to(generation, self._min_rows)
        if rows < self._min_rows:
            self._rows_left[generation.id] = (self._min_rows - rows) // 4
            return False
        if isinstance(self._read_description(generation).schema.index, Flat):
            self._rows_left[generation.id] = self._min_rows // 4
            return False
        try:
            self.build(generation, on_progress)
        except StorageError:
            # Not again at the end of each write.
            self._rows_left[generation.id] = self._min_rows // 4 + 1
            raise
        self._unfed[generation.id] = 0
        return True

    def follow(self, generation: Generation, on_progress: Progress | None) -> Followed:
        """Do what `tend` does, whoever wrote, and count the collection now and then.

        Without ``on_progress`` it only sends what is noted.
        """
        id_ = generation.id
        if isinstance(self._read_description(generation).schema.index, Flat):
            return Followed()
        follower = self._table.read(self._client, id_)
        if follower is None or not self._is_usable(follower):
            return self._follow_anew(generation, follower, on_progress)
        is_filled, is_ready = follower.incoming is None, self._is_calibrated(generation, follower)
        may_fill = not is_filled or time.monotonic() >= self._fill_at.get(id_, 0.0)
        if on_progress is not None and may_fill and not (is_filled and is_ready):
            with suppress(StoreLocked), self._lock(generation):  # or another process copies, or waits for the index
                self._fill(generation, on_progress)
                return self._tell(id_, built=True)
        if not is_filled:  # a copy sends what is noted too
            return self._tell(id_, rests=_PAUSE, copying=True)
        try:
            found = self._feeder.run_round(generation)
        except StoreLocked:  # another process feeds
            return self._tell(id_, rests=_PAUSE, copying=not is_ready)
        self._grown.add(id_, found.records)
        if found.records and not found.waiting:
            self._seal(generation)
        if not found.waiting and time.monotonic() >= self._count_at.get(id_, 0.0):
            self._count_at[id_] = time.monotonic() + BETWEEN_COUNTS
            self.keep_count(generation)
            self._feeder.drop_left()
        return self._tell(id_, found.records, found.rests, copying=not is_ready)

    def _follow_anew(self, generation: Generation, follower: Follower | None, on_progress: Progress | None) -> Followed:
        """Make a collection where there is none, or none of ours, as far as that is due."""
        if follower is not None and (reason := self._explain_other(follower)):
            raise StorageFailed(reason)
        if on_progress is None:
            return Followed(copying=follower is not None)
        self._rows_left.pop(generation.id, None)
        try:
            built = self._begin_if_due(generation, on_progress)
        except StoreLocked:  # another process copies
            return self._tell(generation.id, rests=_PAUSE, copying=True)
        return self._tell(generation.id, built=True) if built else Followed()

    def _tell(
        self, id_: str, sent: int = 0, rests: float = 0.0, *, built: bool = False, copying: bool = False
    ) -> Followed:
        pending, lag = self._table.read_lag(self._client, id_)
        return Followed(sent, pending, lag, rests, built, copying)

    def _feed(self, generation: Generation) -> None:
        """Send what is noted, as far as that works: what waits is compared by PostgreSQL."""
        try:
            for _ in range(_ROUNDS):
                found = self._feeder.run_round(generation)
                self._grown.add(generation.id, found.records)
                if found.rests or not found.waiting:
                    break
            self._seal(generation)
        except StorageError as error:
            self._feed_at = time.monotonic() + _UNFED
            log_step("follow", "a writer could not feed Milvus (%s)", type(error).__name__)

    def _seal(self, generation: Generation) -> None:
        if opened := self._open(generation):
            self._grown.seal(generation.id, opened[1], opened[0].applied)

    def plan(self, schema: Schema) -> IndexPlan:
        """Return the index that a schema describes, as the server has it; see `plan_for`."""
        return plan_for(schema, self._milvus.server_version)

    def build(self, generation: Generation, on_progress: Progress | None, ef_construction: int | None = None) -> None:
        """Fill a new collection with the index that the catalogue asks for, or follow no more.

        Raises
        ------
        StoreLocked
            Another process builds it.
        Unsupported
            The server has no such index.
        """
        with self._lock(generation):
            self._ready.discard(generation.id)
            self._rows_left.pop(generation.id, None)
            wanted = self._read_description(generation).schema.index
            if isinstance(wanted, Flat) or not self._count_up_to(generation, 1):
                self.leave(generation)
                return
            if isinstance(wanted, HNSW) and ef_construction in wanted.list_ef_constructions():
                wanted = HNSW(wanted.m, ef_construction, wanted.target_recall)
            self._feeder.begin(generation, self.plan(generation.schema.with_index(wanted)))
            self._fill(generation, on_progress)

    def _fill(self, generation: Generation, on_progress: Progress | None) -> None:
        """Fill an incoming collection, wait for its index, count it, and drop what it replaced."""
        total = self._count_up_to(generation, 1 << 40)
        if on_progress:
            on_progress("indexing", 0, total)
        self._feeder.fill(generation, total, on_progress)
        self._forget(generation.id)
        if opened := self._open(generation):
            (follower, collection), is_read = opened, wait_for_index(opened[1], total, on_progress)
            plan = load_plan(follower.plan, generation.schema.metric)
            if not (is_read and has_served_index(plan, collection.read_segments(follower.applied))):
                # It cannot be calibrated yet. So not again at the end of each write, nor at each look of a feeder.
                self._rows_left[generation.id] = self._min_rows // 4 + 1
                self._fill_at[generation.id] = time.monotonic() + BETWEEN_COUNTS
            self.keep_count(generation)
        self._builder(generation).remove(list_graphs(self._client, self._layouts.get(generation)))
        self._feeder.drop_left()
        if on_progress:
            on_progress("indexing", total, total)

    def leave(self, generation: Generation) -> None:
        """Follow a generation no more."""
        layout = self._layouts.get(generation)
        with self._client.transaction() as transaction:
            transaction.run(LOCK_TIMEOUT, {"lock_timeout": format_lock_timeout(self._client.options)})
            drop_triggers(transaction, layout)
            self._table.end(transaction, generation.id)
        self._forget(generation.id)
        self._builder(generation).remove(list_graphs(self._client, layout))
        self._feeder.drop_left()

    def keep_count(self, generation: Generation) -> None:
        """Compare the number of records in the collection with PostgreSQL's, and keep it for searches to compare.

        Raises
        ------
        StoreCorrupt
            Records are missing. No search asks the collection any more.
        """
        if (opened := self._open(generation)) is None:
            return
        follower, collection = opened
        read = partial(self._table.read, self._client, generation.id)
        try:
            check_count(collection, follower, read)
            notes = partial(self._table.count_notes, self._client, generation.id)
            found = check_all(collection, follower, read, partial(self._count_up_to, generation, 1 << 40), notes)
        except StoreCorrupt:
            self._table.lose(self._client, generation.id, collection.name)
            self._forget(generation.id)
            raise
        self._table.keep_count(self._client, generation.id, found, follower.applied)

    def compact(self, generation: Generation, count: int, on_progress: Progress | None) -> bool:
        """Give back the space of removed rows in PostgreSQL; Milvus compacts its own. Send all that is noted."""
        super().compact(generation, count, on_progress)
        self._feed(generation)
        return False

    def _has_graph(self, generation: Generation) -> bool:
        return self._open(generation) is not None

    def _open(self, generation: Generation) -> tuple[Follower, Collection] | None:
        """Return what follows a generation here, and the collection that searches ask; None where there is none."""
        follower = self._table.read(self._client, generation.id)
        if follower is None or follower.collection is None or not self._is_usable(follower):
            return None
        return follower, self._feeder.open(generation, follower.collection)
