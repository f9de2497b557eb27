"""Which way the last call of a kind went, so that the next one need not find out.

A hunch that is wrong costs time and changes nothing else. A walk where there is no effort for one finds nothing, not
even the store, and the question is put the long way; comparing all matches is right however many they are. A COPY that
meets a stored id undoes itself, and the batch is written the long way.
"""

from __future__ import annotations

import time
from collections.abc import Hashable

from .search import Build, compile_exact_search, compile_graph_search, compile_search

_KEPT = 1_000
_SECONDS = 1.0
"""How long few matches are believed to stay few."""
_REPLACING = 60.0
"""How long a store is believed to be one whose records are replaced."""


class PlanMemory:
    """What is remembered of searches, by numbers that stand for them, and of generations."""

    def __init__(self) -> None:
        self._walked: set[int] = set()
        self._compared: dict[int, float] = {}
        self._replaced: dict[str, float] = {}

    def choose(self, search: int, *, filtered: bool) -> Build:
        """Return how to put a search."""
        if not filtered:
            return compile_graph_search if search in self._walked else compile_search
        until = self._compared.get(search)
        return compile_exact_search if until is not None and time.monotonic() < until else compile_search

    def remember_search(self, search: int, *, filtered: bool, exact: bool) -> None:
        """Remember how a search that found its own way was answered."""
        if len(self._walked) + len(self._compared) >= _KEPT:
            self._walked, self._compared = set(), {}
        if filtered and exact:
            self._compared[search] = time.monotonic() + _SECONDS
        elif not filtered and exact:
            self._walked.discard(search)
        elif not filtered:
            self._walked.add(search)

    def may_be_new(self, generation: str) -> bool:
        """Say whether an upsert may well bring nothing but new ids."""
        until = self._replaced.get(generation)
        return until is None or time.monotonic() >= until

    def remember_stored(self, generation: str) -> None:
        """Remember that a batch for a generation had an id that was stored."""
        self._replaced[generation] = time.monotonic() + _REPLACING


def hash_search(*parts: Hashable) -> int:
    """Return the number that stands for a search. Two of the same number share their hunches, which does no harm."""
    return hash(parts)
