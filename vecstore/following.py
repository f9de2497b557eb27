"""Following: one process keeps the engine that follows stores in step with them, for all that write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from .backend import Followed
from .errors import StorageError, StoreLocked, StoreMoved, StoreNotFound, UnknownOutcome
from .logs import log_step
from .retries import Attempts
from .store import VectorStore
from .upkeep import IndexCalibration

_IDLE = 0.2
"""Seconds between two looks at a store in which nothing waits."""
_FIRST, _LONGEST = 0.5, 30.0
"""Seconds until a store is tried again after a failure, at first and at most."""
_NAMES = 5.0
"""Seconds between two looks at which stores there are."""


@dataclass(slots=True)
class FollowedStore:
    """What is known of one store that is followed.

    Attributes
    ----------
    name : str
    sent : int
        Records that were brought since the beginning.
    pending : int
        Records that wait.
    lag : float
        For how many seconds the first of them has.
    failure : str or None
        Why the last attempt failed.
    """

    name: str
    sent: int = 0
    pending: int = 0
    lag: float = 0.0
    failure: str | None = None
    _due: float = field(default=0.0, repr=False)
    _delay: float = field(default=0.0, repr=False)

    @property
    def is_done(self) -> bool:
        """Whether nothing waits, and nothing failed."""
        return not self.pending and self.failure is None


class Follow:
    """Keeps what follows the stores of a Database in step with them, until it is stopped.

    Parameters
    ----------
    list_names : callable
        Returns the names of the stores.
    open_store : callable
        Opens one by its name.
    """

    def __init__(self, list_names: Callable[[], Sequence[str]], open_store: Callable[[str], VectorStore]) -> None:
        self._list_names = list_names
        self._open_store = open_store
        self._stores: dict[str, tuple[VectorStore, FollowedStore]] = {}
        self._look_at = 0.0

    def run(self, stop: threading.Event, report: Callable[[Sequence[FollowedStore]], None] | None = None) -> None:
        """Follow until an event is set; what was begun is finished."""
        while not stop.is_set():
            found = self.run_once()
            if report:
                report(found)
            stop.wait(self._find_pause())

    def drain(self, stop: threading.Event) -> list[FollowedStore]:
        """Bring what waits now, and return what became of each store. Failures are not waited out."""
        found = self.run_once()
        while not stop.is_set() and any(each.pending and each.failure is None for each in found):
            stop.wait(self._find_pause())
            found = self.run_once()
        return found

    def run_once(self) -> list[FollowedStore]:
        """Do one part of what there is to do for each store that is due."""
        self._look_up()
        for name, (store, state) in list(self._stores.items()):
            if time.monotonic() < state._due:
                continue
            try:
                done = _follow(store)
            except StoreLocked:
                state.failure, state._due = None, time.monotonic() + _IDLE  # another process does it
            except (StoreNotFound, StoreMoved):
                del self._stores[name]
            except (StorageError, UnknownOutcome) as error:
                state._delay = min(_LONGEST, 2 * state._delay) or _FIRST
                state._due = time.monotonic() + state._delay
                if state.failure is None:
                    log_step("follow", "store %s cannot be followed (%s)", name, type(error).__name__)
                state.failure = str(error)
            else:
                state.sent += done.sent
                state.pending, state.lag, state.failure, state._delay = done.pending, done.lag, None, 0.0
                state._due = time.monotonic() + (done.rests or (0.0 if done.pending else _IDLE))
        return [state for _, state in self._stores.values()]

    def _look_up(self) -> None:
        now, is_first = time.monotonic(), not self._look_at
        if now < self._look_at:
            return
        self._look_at = now + _NAMES
        try:
            names = self._list_names()
            for name in names:
                if name not in self._stores:
                    with suppress(StoreNotFound, StoreMoved):  # it was dropped a moment ago
                        self._stores[name] = self._open_store(name), FollowedStore(name)
        except StorageError as error:
            if is_first:
                raise
            log_step("follow", "the names of the stores cannot be read (%s)", type(error).__name__)
            return
        for name in self._stores.keys() - set(names):
            del self._stores[name]

    def _find_pause(self) -> float:
        now = time.monotonic()
        due = [state._due - now for _, state in self._stores.values()]
        return max(0.0, min([*due, _NAMES]))


def _follow(store: VectorStore) -> Followed:
    current = store._current
    attempts = Attempts(current)
    while True:
        with attempts as generation:
            done = current.backend.follow(generation)
            if done.built:
                IndexCalibration(current, None).finish(generation, stacklevel=3)
            return done
