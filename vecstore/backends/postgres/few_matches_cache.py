"""Which filters matched few records lately, so that a search compares all matches without counting them first.

A wrong memory costs time and changes nothing else: comparing all matches is right however many there are.
"""

from __future__ import annotations

import time
from collections.abc import Hashable

_KEPT = 1_000
"""Searches that are remembered at most."""
_SECONDS = 1.0
"""How long few matches are believed to stay few."""


class FewMatches:
    """Remembers filtered searches by numbers that identify them.

    ``benchmarks/postgres_caches.py`` shows what this saves.
    """

    def __init__(self) -> None:
        self._few: dict[int, float] = {}

    def are_few(self, search: int) -> bool:
        """Say whether a filter is believed to match so few records that all of them are compared."""
        until = self._few.get(search)
        return until is not None and time.monotonic() < until

    def remember(self, search: int, *, are_few: bool) -> None:
        """Remember how a search was answered whose statement counted the matches."""
        if len(self._few) >= _KEPT:
            self._few = {}
        if are_few:
            self._few[search] = time.monotonic() + _SECONDS


def hash_search(*parts: Hashable) -> int:
    """Return the number that identifies a search. Two with the same number share their memory, which does no harm."""
    return hash(parts)
