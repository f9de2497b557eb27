"""When a generation's index is built, grown or given up, and how it comes to be the one that the ledger names."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from enum import Enum

import numpy as np

from vecstore.backend import IndexState, Progress
from vecstore.errors import StorageError, StoreLocked
from vecstore.index import HNSW, IndexOptions

from ..search.graph import Graph, Run, TooLarge, build_graph, extend_graph
from ..state.ledger import Ledger
from ..state.open_generation import Volume
from ..state.snapshot import Snapshot
from ..storage import os_calls
from ..storage.failures import translating
from ..vectors.vectors import Part, Vectors
from . import index_file
from .coverage import stored_rows
from .index_file import IndexRow

_MIN_TAIL = 1_024
_TAIL = 16
"""An index grows when one row in so many is not in it yet, and there are enough of them."""
_REMOVED = 3
"""It is built anew when one row in so many was removed since: they lengthen every walk."""

Check = Callable[[], object]
"""Called under the writer's lock; raises what makes the write impossible."""


class Need(Enum):
    """What the index needs."""

    NOTHING = "it is as it should be"
    REMOVAL = "there is one, and none is wanted"
    BUILDING = "there is none, or it is of no more use"
    GROWING = "many rows are not in it yet"


def needed(options: IndexOptions, index: IndexRow | None, rows: int, tail: int, least: int) -> Need:
    """Say what an index needs.

    Parameters
    ----------
    options : Flat or HNSW
        What is wanted.
    index : IndexRow or None
        What there is and can be read.
    rows : int
        Stored rows.
    tail : int
        Those of them that came after the index.
    least : int
        Fewer rows get no index.
    """
    if not isinstance(options, HNSW):
        return Need.REMOVAL if index else Need.NOTHING
    if rows < least:
        return Need.NOTHING
    if index is None or (index.m, index.ef_construction) != (options.m, options.ef_construction):
        return Need.BUILDING
    removed = index.n - (rows - tail)
    if removed * _REMOVED > index.n:
        return Need.BUILDING
    if tail >= max(min(least, _MIN_TAIL), index.n // _TAIL):
        return Need.GROWING
    return Need.NOTHING


def may_need(options: IndexOptions, ledger: Ledger, least: int) -> bool:
    """Say, from the ledger alone, whether an index can need anything."""
    row = IndexRow(**ledger.index) if ledger.index else None
    rows = ledger.tables["rows"].count
    fresh = ledger.next["rid"] - 1 - row.last if row else 0
    # Of the rows that came after the index, all may be stored, or none.
    return any(needed(options, row, rows, tail, least) is not Need.NOTHING for tail in {min(fresh, rows), 0})


def tend(volume: Volume, options: IndexOptions, least: int, check: Check) -> bool:
    """Give the index what it needs, unless another process is at it; say whether its recall has to be measured anew."""
    known = volume.committed
    # What others committed since is theirs to tend.
    if known and not may_need(options, known, least) and not _is_lost(volume, known):
        return False
    if _need(volume, _snapshot(volume), options, least) is Need.NOTHING:
        return False
    with contextlib.suppress(StoreLocked), volume.kept(patiently=False):
        snapshot = _snapshot(volume)
        before = snapshot.ledger.index
        need = _need(volume, snapshot, options, least)
        if need is Need.NOTHING:
            return False
        _done(volume, snapshot, options, need, check, None)
        # A graph that grew by less than half is about as good with the effort that it had.
        return need is Need.BUILDING or (before is not None and _has_doubled(before["n"], _snapshot(volume)))
    return False


def build(volume: Volume, options: IndexOptions, least: int, check: Check, on_progress: Progress | None) -> None:
    """Build the index anew, or remove it; see `Backend.build_index`."""
    with volume.kept(patiently=True):
        snapshot = _snapshot(volume)
        rows = snapshot.ledger.tables["rows"].count
        wanted = isinstance(options, HNSW) and rows >= least
        need = Need.BUILDING if wanted else Need.REMOVAL if snapshot.ledger.index else Need.NOTHING
        _done(volume, snapshot, options, need, check, on_progress)


def refresh(volume: Volume, options: IndexOptions, least: int, check: Check) -> bool:
    """Build an index anew that has removed rows; say whether it was."""
    snapshot = _snapshot(volume)
    if snapshot.ledger.index is None or not isinstance(options, HNSW):
        return False
    row = IndexRow(**snapshot.ledger.index)
    if row.n == snapshot.ledger.tables["rows"].count - _beyond(snapshot.vectors, row.last):
        return False
    build(volume, options, least, check, None)
    return True


def state(volume: Volume, options: IndexOptions) -> IndexState:
    """Say how far the index is; see `Backend.index_state`."""
    snapshot = _snapshot(volume)
    rows, index = snapshot.ledger.tables["rows"].count, snapshot.ledger.index
    if index is None or not isinstance(options, HNSW):
        return IndexState("none", rows, 0)
    row = IndexRow(**index)
    if volume.index_cache.find_graph(row) is None:
        return IndexState("invalid", rows, 0)
    return IndexState("ready", rows, rows - _beyond(snapshot.vectors, row.last))


def _snapshot(volume: Volume) -> Snapshot:
    with translating(volume.paths.root), volume.pool.link() as link:
        return volume.snapshot(link)


def _need(volume: Volume, snapshot: Snapshot, options: IndexOptions, least: int) -> Need:
    index = snapshot.ledger.index
    row = IndexRow(**index) if index and not _is_lost(volume, snapshot.ledger) else None
    tail = _beyond(snapshot.vectors, row.last) if row else 0
    return needed(options, row, snapshot.ledger.tables["rows"].count, tail, least)


def _is_lost(volume: Volume, ledger: Ledger) -> bool:
    """Say whether the index that the ledger names is missing, or known to be damaged."""
    if ledger.index is None:
        return False
    row = IndexRow(**ledger.index)
    path = volume.paths.index(row.uid)
    with translating(path):
        return os_calls.identity(path) is None or volume.index_cache.is_unreadable(row)


def _beyond(vectors: Vectors, rid: int) -> int:
    """Return how many stored rows have a higher rid."""
    return sum(int(np.count_nonzero(part.alive)) for part in _tail(vectors, rid))


def _tail(vectors: Vectors, rid: int) -> list[Part]:
    return [part for each in vectors.parts if (part := each.after(rid)) is not None]


def _has_doubled(before: int, snapshot: Snapshot) -> bool:
    index = snapshot.ledger.index
    return index is not None and index["n"].bit_length() > before.bit_length()


def _done(
    volume: Volume, snapshot: Snapshot, options: IndexOptions, need: Need, check: Check, on_progress: Progress | None
) -> None:
    """Do what the index needs; the lock for upkeep is held."""
    if need is Need.NOTHING:
        return
    _tidy(volume, snapshot)
    if need is Need.REMOVAL or not isinstance(options, HNSW):
        _commit(volume, None, check)
        return
    grown = _grown(volume, snapshot) if need is Need.GROWING else None
    graph = grown or _built(volume, snapshot, options, on_progress)
    uid = uuid.uuid4().hex
    with translating(volume.paths.indexes):
        # Copies of a directory may lack what was empty.
        os_calls.make_directory(volume.paths.indexes)
        row = index_file.write(volume.paths.index(uid), volume.id, graph)
    _commit(volume, row, check)
    volume.index_cache.keep_graph(uid, graph)


def _commit(volume: Volume, row: IndexRow | None, check: Check) -> None:
    """Name another index file, or none, and remove the one that was named."""
    with volume.held() as held:
        check()
        with volume.begun(held, whole=False) as transaction:
            old = transaction.ledger.index
            transaction.ledger.index = asdict(row) if row else None
    if old:
        with contextlib.suppress(OSError):
            os_calls.unlink(volume.paths.index(old["uid"]))


def _tidy(volume: Volume, snapshot: Snapshot) -> None:
    """Remove what builders left who did not come to their commit; the next write looks for what this one leaves."""
    volume.untidy()
    with contextlib.suppress(OSError):
        for path in volume.paths.unnamed_indexes(snapshot.ledger.index_uids):
            os_calls.unlink(path)


def _built(volume: Volume, snapshot: Snapshot, options: HNSW, on_progress: Progress | None) -> Graph:
    total = snapshot.ledger.tables["rows"].count

    def report(done: int) -> None:
        if on_progress:
            on_progress(done, total)

    def runs() -> Iterator[Run]:
        return stored_rows(snapshot.vectors.parts)

    schema = volume.schema
    return build_graph(schema.metric, schema.width, options, runs, _last(snapshot), report, total)


def _grown(volume: Volume, snapshot: Snapshot) -> Graph | None:
    """Return the graph with the rows that it lacked, None where it has to be built anew."""
    row = IndexRow(**(snapshot.ledger.index or {}))

    def runs() -> Iterator[Run]:
        return stored_rows(_tail(snapshot.vectors, row.last))

    try:
        with translating(volume.paths.indexes):
            graph = index_file.read(volume.paths.index(row.uid), volume.id, row, volume.schema.metric, growing=True)
        return extend_graph(graph, runs, _last(snapshot), lambda _done: None, _beyond(snapshot.vectors, row.last))
    except (StorageError, TooLarge):
        return None


def _last(snapshot: Snapshot) -> int:
    """Return the highest rid that was ever given."""
    return snapshot.ledger.next["rid"] - 1
