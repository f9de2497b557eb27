"""Threads for tests: jobs that start together, and writers that write until they are told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds after which a test that waits has failed."""


def run_at_once(*jobs: Callable[[], T]) -> list[T]:
    """Run jobs in threads that start together; return their results, or raise the first error."""
    start = threading.Barrier(len(jobs), timeout=PATIENCE)

    def run(job: Callable[[], T]) -> T:
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = [pool.submit(run, job) for job in jobs]
        return [future.result(PATIENCE) for future in futures]


class RepeatingThreads:
    """Runs steps in threads again and again, as long as the context lasts; an error of a step comes out of it.

    Parameters
    ----------
    *steps : callable
        One thread for each.
    pause : float
        Seconds between two steps of a thread, so that threads of pure Python leave the others some time.
    """

    def __init__(self, *steps: Callable[[], object], pause: float = 0.005) -> None:
        self._pause = pause
        self._threads = [threading.Thread(target=self._run, args=(step,), daemon=True) for step in steps]
        self._stop = threading.Event()
        self._moved = threading.Condition()
        self._done = [0] * len(steps)
        self._numbers = {thread: number for number, thread in enumerate(self._threads)}
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread of the test hangs"
        if self._error is not None:
            raise self._error

    def wait_for(self, steps: int) -> None:
        """Wait until every thread has made so many more steps."""
        with self._moved:
            goals = [done + steps for done in self._done]
            moved = self._moved.wait_for(
                lambda: self._error or all(done >= goal for done, goal in zip(self._done, goals, strict=True)), PATIENCE
            )
        assert moved, "the threads of the test do not get on"

    def _run(self, step: Callable[[], object]) -> None:
        number = self._numbers[threading.current_thread()]
        while not self._stop.wait(self._pause):
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread of the test
                self._error = self._error or error
                self._stop.set()
            with self._moved:
                self._done[number] += 1
                self._moved.notify_all()
