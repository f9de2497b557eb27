"""Compaction: vectors of stored rows move from several segments and the memtable into one new segment.

Rows and rids do not change, and readers that hold the old segments keep reading them. Vectors are copied from one
snapshot while other writers go on; only the exchange of the segments is a write. Rows that are removed meanwhile are
copied too, and are dead in the new segment from the start because their removals are on record.

At its end, old removals are forgotten (`removals`).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Progress
from vecstore.errors import StoreCorrupt, StoreLocked

from ..state.open_generation import OpenGeneration
from ..state.snapshot import Snapshot
from ..state.transaction import WriteTransaction
from ..storage import os_calls
from . import segment
from .compaction_policy import CompactionPolicy, MergeRange, Sizes, may_be_due, select_all, select_due
from .removals import forget_removals
from .segment import Segment, SegmentRow
from .vectors import Vectors

POLICY = CompactionPolicy()
_BLOCK_BYTES = 4 << 20
"""Bytes of vectors that one step copies."""
_NO_RIDS = np.empty(0, np.int64)

Rids = NDArray[np.int64]
Check = Callable[[], object]
"""Called under the writer's lock; raises the error if the write is no longer possible."""


def compact(opened: OpenGeneration, check: Check, on_progress: Progress | None = None) -> None:
    """Put the vectors of all stored rows into one segment.

    Raises
    ------
    StoreLocked, StorageFailed, StoreCorrupt, Timeout, UnknownOutcome
    """
    with opened.lock_upkeep(wait=True):
        snapshot = opened.read_newest_snapshot()
        merge_range = select_all(_measure(snapshot))
        if merge_range is not None:
            exchange(opened, merge_segments(opened, snapshot, merge_range, on_progress), check)


def tend(
    opened: OpenGeneration, check: Check, policy: CompactionPolicy | None = None, on_progress: Progress | None = None
) -> bool:
    """Compact if the policy asks for it and no other process is compacting; return whether anything was done.

    Raises
    ------
    StorageFailed, StoreCorrupt, Timeout, UnknownOutcome
    """
    policy = policy or POLICY
    known = opened.committed
    # A process that committed since then takes care of its own changes.
    if known and not may_be_due(policy, known, opened.shape.row_bytes):
        return False
    if select_due(policy, _measure(opened.read_newest_snapshot())) is None:
        return False
    try:
        with opened.lock_upkeep(wait=False):
            # Another process may have done it already.
            snapshot = opened.read_newest_snapshot()
            merge_range = select_due(policy, _measure(snapshot))
            if merge_range is None:
                return False
            exchange(opened, merge_segments(opened, snapshot, merge_range, on_progress), check)
    except StoreLocked:
        return False
    return True


@dataclass(frozen=True, slots=True, eq=False)
class MergedSegment:
    """A segment that no commit names yet.

    Attributes
    ----------
    before : Snapshot
        The state it was made from.
    replaced : list of Segment
    rids : ndarray of int64
        The rids of its rows, rising.
    made : SegmentRow or None
        None if there are no rows.
    """

    before: Snapshot
    replaced: list[Segment]
    rids: Rids
    made: SegmentRow | None


def merge_segments(
    opened: OpenGeneration, snapshot: Snapshot, merge_range: MergeRange, on_progress: Progress | None = None
) -> MergedSegment:
    """Write the new segment; the caller holds the lock for upkeep.

    Raises
    ------
    StorageFailed, StoreCorrupt
    """
    opened.check_usable()
    vectors = snapshot.vectors
    opened.mark_untidy()
    rids = np.concatenate([_NO_RIDS, *_list_rids(vectors, merge_range)])
    made = None
    if len(rids):
        path = opened.paths.locate_segment(uuid.uuid4().hex)
        try:
            chunks = _report_chunks(_read_chunks(vectors, merge_range), len(rids), on_progress)
            made = segment.write(path, opened.shape, rids, chunks)
        except OSError as error:
            raise opened.record_failure(error) from error
    return MergedSegment(snapshot, [vectors.segments[number] for number in merge_range.segments], rids, made)


def _report_chunks(chunks: Iterator[NDArray[Any]], total: int, on_progress: Progress | None) -> Iterator[NDArray[Any]]:
    """Yield chunks of vectors, and report each once it was taken."""
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        if on_progress:
            on_progress("compacting", done, total)


def exchange(opened: OpenGeneration, merged: MergedSegment, check: Check) -> None:
    """Replace the merged segments by the new one, and remove the old files.

    Raises
    ------
    StoreLocked, StorageFailed, StoreCorrupt, Timeout, UnknownOutcome
    """
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(opened.lock_writer())
            check()
        except BaseException:
            # No commit will name the new file.
            if merged.made:
                with contextlib.suppress(OSError):
                    os_calls.unlink(opened.paths.locate_segment(merged.made.uid))
            raise
        with opened.begin_locked(held, whole=False) as transaction:
            _exchange(transaction, merged)
    # Readers keep their maps of the old files. Those that cannot be removed now are removed by the next write.
    with contextlib.suppress(OSError):
        for old in merged.replaced:
            os_calls.unlink(old.path)


def _exchange(transaction: WriteTransaction, merged: MergedSegment) -> None:
    old = {each.row for each in merged.replaced}
    remaining = [each for each in transaction.vectors.segments if each.row not in old]
    if len(remaining) + len(old) != len(transaction.vectors.segments):
        raise StoreCorrupt(
            f"{transaction.files.paths.rows}: it was compacted without holding {transaction.files.paths.upkeep}."
        )
    for row in old:
        transaction.remove_segment(row)
    if merged.made:
        transaction.put_segment(merged.made)
    transaction.remove_from_memtable(merged.rids)
    forget_removals(transaction, merged.before.ledger, merged.rids, remaining)


def _measure(snapshot: Snapshot) -> Sizes:
    return Sizes.measure(snapshot.vectors, snapshot.ledger)


def _find_gap(vectors: Vectors, number: int) -> NDArray[np.int64]:
    """Return the places in the memtable of the rows between a segment and the one before."""
    rows = [each.row for each in vectors.segments]
    first = rows[number - 1].last + 1 if number else 0
    end = rows[number].base if number < len(rows) else np.iinfo(np.int64).max
    return vectors.memtable.find_between(first, int(end))


def _list_rids(vectors: Vectors, merge_range: MergeRange) -> Iterator[Rids]:
    """Yield the rids of the stored rows of a range, rising."""
    for number in merge_range.gaps:
        yield vectors.memtable.rids[_find_gap(vectors, number)]
        if number in merge_range.segments:
            rids = vectors.segments[number].rids
            places = np.flatnonzero(vectors.alive[number])
            yield rids + places if isinstance(rids, int) else rids[places]


def _read_chunks(vectors: Vectors, merge_range: MergeRange) -> Iterator[NDArray[Any]]:
    """Yield the vectors of the stored rows of a range, with their checksums checked again."""
    step = max(1, _BLOCK_BYTES // vectors.shape.row_bytes)
    for number in merge_range.gaps:
        places = _find_gap(vectors, number)
        for start in range(0, len(places), step):
            yield vectors.memtable.read_verified(places[start : start + step])
        if number in merge_range.segments:
            source, alive = vectors.segments[number], vectors.alive[number]
            for start in range(0, len(alive), step):
                some = alive[start : start + step]
                if some.any():
                    chunk = source.read_verified(start, min(start + step, len(alive)))
                    yield chunk if some.all() else chunk[some]
                    source.release()  # or all vectors that are merged would count as this process's memory
