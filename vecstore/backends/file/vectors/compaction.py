"""Compaction: the vectors of stored rows move from several segments, and from the database, into one new segment.

Rows stay as they are, rids included; readers who hold the old segments go on reading them. The copying happens beside
other writers, from one state; only the exchange of the names is a write like any other. Rows that are removed
meanwhile are copied too, and are dead in the new segment from the start: their removals are on record.

Removals are forgotten one compaction later than they could be, so that a reader who was away for one need not read
everything anew.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt, StoreLocked

from ..state.ledger import Total
from ..state.open_generation import Volume
from ..state.snapshot import Snapshot
from ..state.transaction import Transaction
from ..storage import os_calls
from ..storage.checksums import row_crc
from ..storage.failures import translating
from . import segment
from .compaction_policy import Policy, Run, Sizes, due, everything, may_be_due
from .segment import Segment, SegmentRow, places_of
from .vectors import Vectors

POLICY = Policy()
_BLOCK_BYTES = 4 << 20
"""Of vectors that one step copies."""
_NO_RIDS = np.empty(0, np.int64)

Rids = NDArray[np.int64]
Check = Callable[[], object]
"""Called under the writer's lock; raises what makes a write impossible."""


def compact(volume: Volume, check: Check) -> None:
    """Put the vectors of all stored rows into one segment.

    Raises
    ------
    StoreLocked, StorageFailed, StoreCorrupt, Timeout, UnknownOutcome
    """
    with volume.kept(patiently=True):
        snapshot = _newest(volume)
        run = everything(_sizes(snapshot))
        if run is not None:
            exchange(volume, copied(volume, snapshot, run), check)


def tend(volume: Volume, check: Check, policy: Policy | None = None) -> bool:
    """Compact where the policy says so and nobody else is at it; say whether something was done.

    Raises
    ------
    StorageFailed, StoreCorrupt, Timeout, UnknownOutcome
    """
    policy = policy or POLICY
    known = volume.committed
    # What others committed since is theirs to tend.
    if known and not may_be_due(policy, known, volume.shape.row_bytes):
        return False
    if due(policy, _sizes(_newest(volume))) is None:
        return False
    try:
        with volume.kept(patiently=False):
            # Somebody else may have been faster.
            snapshot = _newest(volume)
            run = due(policy, _sizes(snapshot))
            if run is None:
                return False
            exchange(volume, copied(volume, snapshot, run), check)
    except StoreLocked:
        return False
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """A segment that no commit names yet.

    Attributes
    ----------
    before : Snapshot
        What it was made from.
    replaced : list of Segment
    rids : ndarray of int64
        Of its rows, rising.
    made : SegmentRow or None
        None where there are no rows.
    """

    before: Snapshot
    replaced: list[Segment]
    rids: Rids
    made: SegmentRow | None


def copied(volume: Volume, snapshot: Snapshot, run: Run) -> Copy:
    """Write the new segment; who calls keeps others from compacting.

    Raises
    ------
    StorageFailed, StoreCorrupt
    """
    volume.check_usable()
    vectors = snapshot.vectors
    volume.untidy()
    rids = np.concatenate([_NO_RIDS, *_rids(vectors, run)])
    made = None
    if len(rids):
        path = volume.paths.segment(uuid.uuid4().hex)
        try:
            made = segment.write(path, volume.shape, rids, _chunks(vectors, run))
        except OSError as error:
            raise volume.failed(error) from error
    return Copy(snapshot, [vectors.segments[number] for number in run.segments], rids, made)


def exchange(volume: Volume, copy: Copy, check: Check) -> None:
    """Let the new segment take the place of what it was made from, and remove the old files.

    Raises
    ------
    StoreLocked, StorageFailed, StoreCorrupt, Timeout, UnknownOutcome
    """
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(volume.held())
            check()
        except BaseException:
            # No commit can name it any more.
            if copy.made:
                with contextlib.suppress(OSError):
                    os_calls.unlink(volume.paths.segment(copy.made.uid))
            raise
        with volume.begun(held, whole=False) as transaction:
            _exchange(transaction, copy)
    # Who reads from them has them mapped. What cannot be removed now, the next write removes.
    with contextlib.suppress(OSError):
        for old in copy.replaced:
            os_calls.unlink(old.path)


def _exchange(transaction: Transaction, copy: Copy) -> None:
    old = {each.row for each in copy.replaced}
    remaining = [each for each in transaction.vectors.segments if each.row not in old]
    if len(remaining) + len(old) != len(transaction.vectors.segments):
        raise StoreCorrupt(
            f"{transaction.files.paths.rows}: somebody compacted it without holding {transaction.files.paths.upkeep}."
        )
    for row in old:
        transaction.remove_segment(row)
    if copy.made:
        transaction.put_segment(copy.made)
    transaction.remove_hot(copy.rids)
    _forget_removals(transaction, copy, remaining)


def _forget_removals(transaction: Transaction, copy: Copy, remaining: list[Segment]) -> None:
    """Delete removals that were on record before the last compaction began and that no segment needs any more."""
    ledger, link = transaction.ledger, transaction.link
    seq, end = ledger.compacted
    ledger.compacted = (copy.before.ledger.seq, copy.before.ledger.next["dead"])
    rows = link.execute("SELECT seq, rid FROM dead").fetchall()
    found = Total()
    found.add(map(row_crc, rows))
    if found != ledger.tables["dead"]:
        raise StoreCorrupt(f"{transaction.files.paths.rows}: removals are damaged. Restore it from a backup.")
    old = [row for row in rows if row[0] < end]
    rids = np.array([rid for _, rid in old], np.int64)
    needed = places_of(copy.rids, len(copy.rids), rids)[1]
    for each in remaining:
        needed |= places_of(each.rids, each.row.n, rids)[1]
    doomed = [old[place] for place in np.flatnonzero(~needed).tolist()]
    if doomed:
        link.executemany("DELETE FROM dead WHERE seq = ?", ((number,) for number, _ in doomed))
        ledger.tables["dead"].remove(map(row_crc, doomed))
        ledger.pruned = seq


def _newest(volume: Volume) -> Snapshot:
    with translating(volume.paths.root), volume.pool.link() as link:
        return volume.snapshot(link)


def _sizes(snapshot: Snapshot) -> Sizes:
    return Sizes.of(snapshot.vectors, snapshot.ledger)


def _gap(vectors: Vectors, number: int) -> NDArray[np.int64]:
    """Return where the hot rows before a segment stand."""
    rows = [each.row for each in vectors.segments]
    first = rows[number - 1].last + 1 if number else 0
    end = rows[number].base if number < len(rows) else np.iinfo(np.int64).max
    return vectors.hot.between(first, int(end))


def _rids(vectors: Vectors, run: Run) -> Iterator[Rids]:
    """Yield the rids of the stored rows of a run, rising."""
    for number in run.gaps:
        yield vectors.hot.rids[_gap(vectors, number)]
        if number in run.segments:
            rids = vectors.segments[number].rids
            places = np.flatnonzero(vectors.alive[number])
            yield rids + places if isinstance(rids, int) else rids[places]


def _chunks(vectors: Vectors, run: Run) -> Iterator[NDArray[Any]]:
    """Yield the vectors of the stored rows of a run, each compared with its checksum once more."""
    step = max(1, _BLOCK_BYTES // vectors.shape.row_bytes)
    for number in run.gaps:
        places = _gap(vectors, number)
        for start in range(0, len(places), step):
            yield vectors.hot.proven(places[start : start + step])
        if number in run.segments:
            source, alive = vectors.segments[number], vectors.alive[number]
            for start in range(0, len(alive), step):
                some = alive[start : start + step]
                if some.any():
                    chunk = source.proven(start, min(start + step, len(alive)))
                    yield chunk if some.all() else chunk[some]
