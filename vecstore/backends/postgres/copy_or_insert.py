"""Whether the next bulk upsert of a store tries the faster COPY, or an INSERT at once.

COPY cannot replace records. A COPY that meets a stored id is undone, and the batch is written by an INSERT, so that a
wrong guess costs time and changes nothing else.
"""

from __future__ import annotations

import time

_SECONDS = 60.0
"""How long a store is believed to be one whose records are replaced, after a batch met a stored id."""


class CopyOrInsert:
    """Remembers the generations whose batches met stored ids.

    ``benchmarks/postgres_caches.py`` shows what this saves.
    """

    def __init__(self) -> None:
        self._replaced: dict[str, float] = {}

    def may_copy(self, generation: str) -> bool:
        """Say whether the ids of an upsert may all be new, so that a COPY is worth trying."""
        until = self._replaced.get(generation)
        return until is None or time.monotonic() >= until

    def remember_stored(self, generation: str) -> None:
        """Remember that a batch for a generation had an id that was stored."""
        self._replaced[generation] = time.monotonic() + _SECONDS
