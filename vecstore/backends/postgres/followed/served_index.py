"""Waiting until searches of the other engine read a finished index."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from vecstore.logs import log_step

if TYPE_CHECKING:
    from vecstore.backend import Progress
    from vecstore.backends.milvus.collection import Collection

_SMALL = 1_024
"""Milvus builds no index over a smaller segment."""
_POLL, _STANDSTILL = 0.2, 30.0


def wait_for_index(collection: Collection, total: int, on_progress: Progress | None = None) -> None:
    """Wait until searches read the finished index, as long as there is progress: until then they read an interim one.

    A part that is too small for an index never gets one.
    """
    if total < _SMALL:
        return
    collection.flush()
    pause, seen, until = threading.Event(), (-1, -1), time.monotonic() + _STANDSTILL
    while time.monotonic() < until:
        found = collection.read_index()
        if found.failure is not None:
            log_step("follow", "Milvus could not build the index of a collection")
            return
        if found.served >= total - _SMALL:
            return
        if (found.indexed, found.served) != seen:
            seen, until = (found.indexed, found.served), time.monotonic() + _STANDSTILL
        if on_progress:
            on_progress("indexing", min(found.served, total), total)
        pause.wait(_POLL)
