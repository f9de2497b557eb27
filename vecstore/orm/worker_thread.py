"""A worker in a thread of the application."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .worker import SyncWorker, describe_error

POLL = 0.1
"""Seconds between two looks at an empty outbox: it has the changes of other processes too."""
LONGEST_REST = 30.0
RATED = 60.0
"""Seconds over which a rate is taken."""
_log = logging.getLogger("vecstore.orm")


class WorkerThread:
    """What `VectorORM.run_worker` returns: a running worker, and a context manager.

    Parameters
    ----------
    worker : SyncWorker
    forget : callable
        Called with this object once it is closed.
    """

    def __init__(self, worker: SyncWorker, forget: Callable[[WorkerThread], None]) -> None:
        self._worker = worker
        self._forget = forget
        self._stops = False
        self._done = deque([(time.monotonic(), 0)])
        self._wakes = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vecstore-orm", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_alive(self) -> bool:
        """Whether it works."""
        return self._thread.is_alive()

    @property
    def settled(self) -> int:
        """How many changes it has worked off."""
        return self._worker.settled

    @property
    def rate(self) -> float:
        """How many changes it has worked off per second, over the last minute or since it was started."""
        now = time.monotonic()
        began, before = next((each for each in list(self._done) if each[0] >= now - RATED), (now, self.settled))
        return (self.settled - before) / max(now - began, 0.001)

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wakes.set()

    def close(self) -> None:
        """Finish the batch that was begun, and stop. A second call does nothing."""
        self._stops = True
        self._wakes.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._forget(self)

    def _run(self) -> None:
        rest = POLL
        while not self._stops:
            self._wakes.clear()
            try:
                done = self._work()
                rest = POLL
            except BaseException as error:
                if not isinstance(error, Exception):
                    raise
                # The database may be away for a while; a thread that ended would leave the stores behind for good.
                done, rest = 0, min(rest * 2, LONGEST_REST)
                _log.warning("the worker tries again in %.1f s: %s", rest, describe_error(error))
            if not done and not self._stops:
                self._wakes.wait(rest)

    def _work(self) -> int:
        """Work off one batch; keep when it began and after how many changes, and forget what is too old for a rate."""
        sample = (time.monotonic(), self._worker.settled)
        done = self._worker.work()
        if done:
            self._done.append(sample)
            while self._done[0][0] < sample[0] - RATED:
                self._done.popleft()
        return done
