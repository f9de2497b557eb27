"""Facts about earlier calls that save later calls of the same kind from measuring them again.

A wrong memory costs time and changes nothing else: comparing all matches is right however many there are, and a COPY
that meets a stored id is undone, after which the batch is written by an INSERT.
"""

from __future__ import annotations

import time
from collections.abc import Hashable

_KEPT = 1_000
_SECONDS = 1.0
"""How long few matches are believed to stay few."""
_REPLACING = 60.0
"""How long a store is believed to be one whose records are replaced."""


class PlanMemory:
    """Remembers filtered searches, by numbers that identify them, and generations.

    ``benchmarks/postgres_caches.py`` shows what this saves.
    """

    def __init__(self) -> None:
        self._few: dict[int, float] = {}
        self._replaced: dict[str, float] = {}

    def are_few(self, search: int) -> bool:
        """Say whether a filter is believed to match so few records that all of them are compared."""
        until = self._few.get(search)
        return until is not None and time.monotonic() < until

    def remember_matches(self, search: int, *, are_few: bool) -> None:
        """Remember how a search was answered whose statement counted the matches."""
        if len(self._few) >= _KEPT:
            self._few = {}
        if are_few:
            self._few[search] = time.monotonic() + _SECONDS

    def may_be_new(self, generation: str) -> bool:
        """Say whether the ids of an upsert may all be new."""
        until = self._replaced.get(generation)
        return until is None or time.monotonic() >= until

    def remember_stored(self, generation: str) -> None:
        """Remember that a batch for a generation had an id that was stored."""
        self._replaced[generation] = time.monotonic() + _REPLACING


def hash_search(*parts: Hashable) -> int:
    """Return the number that identifies a search. Two with the same number share their memory, which does no harm."""
    return hash(parts)
