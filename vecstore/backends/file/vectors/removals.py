"""Removals on record in the table ``dead``: when they are forgotten.

They are forgotten one compaction later than they could be, so that a reader which missed one compaction need not read
everything again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StoreCorrupt

from ..state.ledger import Ledger, Total
from ..state.transaction import WriteTransaction
from ..storage.checksums import checksum_row
from .segment import Segment, find_places


def forget_removals(
    transaction: WriteTransaction, before: Ledger, rids: NDArray[np.int64], remaining: Sequence[Segment]
) -> None:
    """Delete removals that were on record before the last compaction began and that no segment needs any more.

    Parameters
    ----------
    transaction : WriteTransaction
    before : Ledger
        The state that this compaction began with.
    rids : ndarray of int64
        The rids in the new segment, rising.
    remaining : sequence of Segment
        The segments that were not merged.
    """
    ledger, connection = transaction.ledger, transaction.connection
    seq, end = ledger.compacted
    ledger.compacted = (before.seq, before.next["dead"])
    rows = connection.execute("SELECT seq, rid FROM dead").fetchall()
    found = Total()
    found.add(map(checksum_row, rows))
    if found != ledger.tables["dead"]:
        raise StoreCorrupt(f"{transaction.files.paths.rows}: removals are damaged. Restore it from a backup.")
    old = [row for row in rows if row[0] < end]
    removed = np.array([rid for _, rid in old], np.int64)
    is_needed = find_places(rids, len(rids), removed)[1]
    for each in remaining:
        is_needed |= find_places(each.rids, each.row.n, removed)[1]
    forgotten = [old[place] for place in np.flatnonzero(~is_needed).tolist()]
    if forgotten:
        connection.executemany("DELETE FROM dead WHERE seq = ?", ((number,) for number, _ in forgotten))
        ledger.tables["dead"].remove(map(checksum_row, forgotten))
        ledger.pruned = seq
