"""When the other engine, or a collection of it, is not asked, and what the log says of that: each thing once."""

from __future__ import annotations

import math
import threading
import time

from vecstore.errors import StorageError, StoreCorrupt, Timeout
from vecstore.logs import log_step, log_warning

from .answer import MOST_NOTES
from .counts import BETWEEN_COUNTS

_REST, _LONGEST = 1.0, 30.0
"""Seconds for which an engine that failed is not asked, at first and at most."""


class Outages:
    """What searches of one Database have met. Threads may share it.

    Parameters
    ----------
    timeout : float
        Seconds that one request to the engine may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._rests_until, self._rest = 0.0, 0.0
        self._lost: dict[str, float] = {}
        self._short: set[str] = set()
        self._behind: set[str] = set()
        self._lock = threading.Lock()

    def can_ask(self, collection: str) -> bool:
        """Say whether the engine is to be asked at all."""
        return time.monotonic() >= max(self._rests_until, self._lost.get(collection, 0.0))

    def take_turn(self) -> bool:
        """Say whether a search may ask. One tries an engine that failed; the others do not wait for it meanwhile."""
        if not self._rest:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._rests_until:
                return False
            self._rests_until = now + self._timeout
            return True

    def rest(self, error: StorageError) -> None:
        """Do not ask the engine for a while: it does not answer."""
        with self._lock:
            first = not self._rest
            # Whoever tries again after a timeout may wait as long as it once more.
            self._rest = _LONGEST if isinstance(error, Timeout) else min(_LONGEST, 2 * self._rest) or _REST
            self._rests_until = time.monotonic() + self._rest
        if first:
            log_warning("follow", "Milvus does not answer searches (%s), PostgreSQL does", type(error).__name__)

    def end_rest(self) -> None:
        """Note that the engine has answered."""
        if not self._rest:
            return
        with self._lock:
            before, self._rest, self._rests_until = self._rest, 0.0, 0.0
        if before:
            log_step("follow", "Milvus answers searches again")

    def lose(self, collection: str, error: StoreCorrupt, *, is_short: bool) -> None:
        """Do not ask a collection for a while: a feeder makes another one, or somebody restores this one.

        Parameters
        ----------
        collection : str
        error : StoreCorrupt
        is_short : bool
            Whether it is there and lacks records, so that only a count can tell that it is whole again.
        """
        with self._lock:
            first = collection not in self._lost
            self._lost[collection] = time.monotonic() + BETWEEN_COUNTS
            if is_short:
                self._short.add(collection)
        if first:
            log_warning("follow", "collection %s is damaged or gone, PostgreSQL answers: %s", collection, error)

    def stays_short(self, collection: str, *, is_whole: bool) -> bool:
        """Say whether a collection lacked records and no count has told that it does not any more."""
        if collection not in self._short:
            return False
        with self._lock:
            if is_whole:
                self._short.discard(collection)
            # Searches that came while it was counted have put it off once more.
            self._lost[collection] = 0.0 if is_whole else time.monotonic() + BETWEEN_COUNTS
        return not is_whole

    def find_again(self, collection: str) -> None:
        """Note that a collection has answered, and is whole as far as is known."""
        if not self._lost:
            return
        with self._lock:
            # A search that was under way when the collection was found to be damaged says nothing.
            if time.monotonic() < self._lost.get(collection, math.inf):
                return
            del self._lost[collection]
            self._short.discard(collection)
        log_step("follow", "collection %s answers searches again", collection)

    def compare_waiting(self, generation: str, waiting: int) -> None:
        """Log that so many records wait for the engine that a feeder is needed, and that it has done its work."""
        if waiting > MOST_NOTES and generation not in self._behind:
            self._behind.add(generation)
            log_warning(
                "follow", "more than %d records of generation %s wait for Milvus, PostgreSQL answers: run vecstore "
                "follow", MOST_NOTES, generation,
            )  # fmt: skip
        elif self._behind and waiting <= MOST_NOTES and generation in self._behind:
            self._behind.discard(generation)
            log_step("follow", "Milvus has caught up with generation %s", generation)
