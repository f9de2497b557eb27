"""Following: one process keeps the engine that follows stores in step with them, for all that write.

One thread does it. A copy of a store takes long, and so does the calibration of its index: in between their parts the
other stores are fed, and the copy ends where the caller wants to stop.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from .backend import Followed
from .errors import ForkedStore, InvalidArgument, StorageError, StoreLocked, StoreMoved, StoreNotFound, VecstoreError
from .index_wait import Stopped, wait_for_index
from .logs import log_step
from .progress import Progress
from .retries import Attempts
from .store import VectorStore
from .upkeep import IndexCalibration

_IDLE = 0.2
"""Seconds between two looks at a store in which nothing waits."""
_FIRST, _LONGEST = 0.5, 30.0
"""Seconds until a store is tried again after a failure, at first and at most."""
_NAMES = 5.0
"""Seconds between two looks at which stores there are."""
_SHARE = 2
"""For each second that feeding other stores takes, a copy goes on for so many."""

Report = Callable[[Sequence["FollowedStore"]], None]


@dataclass(slots=True)
class FollowedStore:
    """What is known of one store that is followed.

    Attributes
    ----------
    name : str
    sent : int
        Noted records that were brought since the beginning; those of a copy are not counted.
    pending : int
        Records that wait.
    lag : float
        For how many seconds the first of them has.
    copying : bool
        Whether its vectors are being copied, here or in another process, or are about to be. The measurement of the
        index is part of it.
    failure : str or None
        Why the last attempt failed.
    reason : str or None
        From `Follow.drain`: why PostgreSQL answers searches without ``ef`` although nothing has failed, and what to do.
        None where Milvus answers them.
    """

    name: str
    sent: int = 0
    pending: int = 0
    lag: float = 0.0
    copying: bool = False
    failure: str | None = None
    reason: str | None = None
    _due: float = field(default=0.0, repr=False)
    _delay: float = field(default=0.0, repr=False)
    _is_known: bool = field(default=False, repr=False)
    _first: float = field(default=0.0, repr=False)
    _since: float = field(default=math.inf, repr=False)
    _is_filled: bool = field(default=False, repr=False)

    @property
    def is_done(self) -> bool:
        """Whether nothing waits, is copied or has failed. What was written after `Follow.drain` began may wait."""
        return self._is_brought and not self.copying and self.failure is None

    @property
    def _is_brought(self) -> bool:
        return self._is_known and not (self.pending > 0 and self._first <= self._since)

    @property
    def _is_over(self) -> bool:
        """Whether only the index is left to be waited for: each try to measure it would keep the other stores back."""
        return self.failure is not None or self.is_done or (self._is_brought and self._is_filled)


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
        self._feed_at = 0.0

    def run(self, stop: threading.Event, report: Report | None = None) -> None:
        """Follow until an event is set. The next call goes on with a copy that was under way.

        Parameters
        ----------
        stop : threading.Event
        report : callable, optional
            Called several times a second with the state of each store.

        Raises
        ------
        InvalidArgument
        """
        _check_stop(stop)
        while not stop.is_set():
            self._work(stop, report)
            stop.wait(self._find_pause())

    def drain(self, stop: threading.Event) -> list[FollowedStore]:
        """Bring what waits now, wait for the index, and return what became of each store. Failures are not waited out.

        What another process is about to bring, or copies, is waited for, and so is an index that Milvus does not read
        yet, as long as it grows.

        Raises
        ------
        InvalidArgument
        """
        _check_stop(stop)
        began = time.monotonic()
        while True:
            found = self._work(stop, None)
            for each in found:
                each._since = began
            if stop.is_set() or all(each._is_over for each in found):
                break
            stop.wait(self._find_pause())
        for name, (store, state) in list(self._stores.items()):
            if state.failure is None and not stop.is_set():
                self._wait_for_index(name, store, state, stop)
        return found

    def _wait_for_index(self, name: str, store: VectorStore, state: FollowedStore, stop: threading.Event) -> None:
        state.copying = True  # until the end, which a stop may come before
        try:
            is_settled, said = wait_for_index(store._current, stop)
        except Stopped:
            return
        except (StoreNotFound, StoreMoved):
            self._stores.pop(name, None)
            is_settled, said = True, None
        except ForkedStore:
            raise
        except VecstoreError as error:
            is_settled, said = False, str(error)
        state.copying = False
        if is_settled:
            state.reason = said
        else:
            state.failure = said

    def run_once(self) -> list[FollowedStore]:
        """Do what there is to do for each store that is due: a part of what is noted, or a whole copy."""
        return self._work(threading.Event(), None)

    def _work(self, stop: threading.Event, report: Report | None) -> list[FollowedStore]:
        self._look_up()
        keep_on = partial(self._keep_on, stop, report)
        for name in list(self._stores):
            if stop.is_set():
                break
            self._advance(name, keep_on)
        return self._tell(report)

    def _keep_on(self, stop: threading.Event, report: Report | None, *_progress: object) -> None:
        """Between two parts of a copy: end it, or let the other stores have their turn.

        Raises
        ------
        Stopped
        """
        if stop.is_set():
            raise Stopped
        began = time.monotonic()
        if began < self._feed_at:
            return
        self._look_up()
        for name in list(self._stores):
            self._advance(name, None)
        self._tell(report)
        now = time.monotonic()
        self._feed_at = now + max(_IDLE, _SHARE * (now - began))

    def _tell(self, report: Report | None) -> list[FollowedStore]:
        found = [state for _, state in self._stores.values()]
        if report:
            report(found)
        return found

    def _advance(self, name: str, on_progress: Progress | None) -> None:
        """Do what there is to do for a store, if it is due; without ``on_progress`` no copy."""
        if name not in self._stores or (began := time.monotonic()) < self._stores[name][1]._due:
            return
        store, state = self._stores[name]
        try:
            done = _follow(store, on_progress)
        except Stopped:
            state.copying = True
        except StoreLocked:
            state.failure, state._due = None, time.monotonic() + _IDLE  # another process does it
        except (StoreNotFound, StoreMoved):
            self._stores.pop(name, None)
        except ForkedStore:
            raise
        except VecstoreError as error:
            state._delay = min(_LONGEST, 2 * state._delay) or _FIRST
            state._due = time.monotonic() + state._delay
            if state.failure is None:
                log_step("follow", "store %s cannot be followed (%s)", name, type(error).__name__)
            state.failure = str(error)
        else:
            state.sent, state._is_filled = state.sent + done.sent, state._is_filled or done.built
            state.pending, state.lag, state.copying = done.pending, done.lag, done.copying
            if done.rests <= _IDLE:  # a longer rest follows requests that failed: nothing is known to be better
                state.failure = None
            state._delay, state._is_known, state._first = 0.0, True, began - done.lag
            state._due = time.monotonic() + (done.rests or (0.0 if done.pending else _IDLE))

    def _look_up(self) -> None:
        now, is_first = time.monotonic(), not self._look_at
        if now < self._look_at:
            return
        self._look_at = now + _NAMES
        try:
            names = self._list_names()
            for name in names:
                with suppress(StoreNotFound, StoreMoved, StoreLocked):  # dropped a moment ago, or not yet filled
                    if name not in self._stores:
                        self._stores[name] = self._open_store(name), FollowedStore(name)
                    else:
                        self._stores[name][0]._current.look_up()  # a rebuild may have begun
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


def _check_stop(stop: object) -> None:
    """Refuse what cannot be asked and waited for; events of other kinds than `threading.Event` can."""
    if not (callable(getattr(stop, "is_set", None)) and callable(getattr(stop, "wait", None))):
        raise InvalidArgument(f"stop must be a threading.Event, which ends this once set, not {type(stop).__name__}.")


def _follow(store: VectorStore, on_progress: Progress | None) -> Followed:
    current = store._current
    attempts = Attempts(current)
    while True:
        with attempts as generation:
            done = current.backend.follow(generation, on_progress)
            if done.built:
                IndexCalibration(current, on_progress).finish(generation, stacklevel=3)
            building = current.entry.building
            if building is None or building.remote is not None:
                return done
            # A rebuild fills its collection itself, but what is written from then to the switch waits.
            return replace(done, sent=done.sent + current.backend.follow(building).sent)
