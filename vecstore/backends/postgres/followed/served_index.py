"""Whether searches of the other engine read the finished index, and what lets them.

Rows that it has sealed and not indexed yet, or that have grown too many before they were sealed, it reads through an
interim index: that knows no effort, and loses neighbours without a word. It is not asked while much depends on them.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from vecstore.errors import StorageError
from vecstore.logs import log_step

if TYPE_CHECKING:
    from vecstore.backend import Progress
    from vecstore.backends.milvus.collection import Collection
    from vecstore.backends.milvus.indexes import IndexPlan
    from vecstore.backends.milvus.segments import Segments

MOST_INTERIM = 0.05
"""Of the matches of a search this part at most may be read through an interim index, which may lose a third of it."""
SEALED = 4_000
"""After so many rows a feeder has them sealed. More in one segment get an interim index."""
_POLL, _STANDSTILL = 0.2, 30.0


def has_served_index(plan: IndexPlan, segments: Segments, widening: float = 1.0) -> bool:
    """Say whether nearly all matches are read through an index that finds them, or compared one by one.

    Parameters
    ----------
    plan : IndexPlan
    segments : Segments
    widening : float
        How many records there are for one that matches: in the worst case all that are read otherwise match.
    """
    if segments.removed and not plan.can_mask:
        return False
    return not plan.has_interim or segments.interim_share * widening <= MOST_INTERIM


def explain_unserved(plan: IndexPlan, segments: Segments) -> str:
    """Say why PostgreSQL answers, and how that ends."""
    if segments.removed and not plan.can_mask:
        return (
            f"Milvus orders hits of {plan.name} wrongly beside records that were replaced or deleted, so PostgreSQL "
            "answers. reindex() makes it anew without them; another index bears them."
        )
    return "PostgreSQL answers searches until Milvus reads the index that it builds."


def wait_for_index(collection: Collection, total: int, on_progress: Progress | None = None) -> bool:
    """Wait until searches read the finished index, as long as there is progress: until then they read an interim one.

    A part that is too small for an index never gets one.

    Returns
    -------
    bool
        Whether they do. Without progress nobody waits for ever.
    """
    from vecstore.backends.milvus.segments import INDEXED_ROWS

    if total < INDEXED_ROWS:
        return True
    collection.flush()
    pause, seen, until = threading.Event(), (-1, -1), time.monotonic() + _STANDSTILL
    while time.monotonic() < until:
        found = collection.read_index()
        if not found.plan.has_interim:
            return True
        if found.failure is not None:
            log_step("follow", "Milvus could not build the index of a collection")
            return False
        served = found.segments.served
        if served >= total - INDEXED_ROWS:
            return True
        if (found.indexed, served) != seen:
            seen, until = (found.indexed, served), time.monotonic() + _STANDSTILL
        if on_progress:
            on_progress("indexing", min(served, total), total)
        pause.wait(_POLL)
    return False


class Growth:
    """What was sent and is not sealed yet, by generations."""

    def __init__(self) -> None:
        self._sent: dict[str, int] = {}

    def add(self, generation: str, rows: int) -> None:
        """Count rows that this process has sent, also those that replace others: they grow, and nobody counts them."""
        self._sent[generation] = self._sent.get(generation, 0) + rows

    def seal(self, generation: str, collection: Collection, after: int) -> None:
        """Have what has grown, whoever sent it, sealed before it is so much that it gets an interim index.

        Parameters
        ----------
        generation : str
        collection : Collection
        after : int
            A timestamp by which the collection has what counts.
        """
        try:
            if self._sent.get(generation, 0) < SEALED and collection.read_segments(after).growing < SEALED:
                return
            collection.flush()
            self._sent[generation] = 0
        except StorageError as error:  # newer servers limit how often they are asked; the next call tries again
            log_step("follow", "Milvus did not seal what it was sent (%s)", type(error).__name__)
