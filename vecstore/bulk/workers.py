"""Tasks in several processes. A worker that dies loses no task: its tasks are given to others."""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Generic, TypeVar

from ..errors import WorkerDied

Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 5
"""So many workers may die while a task is under way before it is taken to be what kills them."""
AHEAD = 2
"""Tasks for each worker that are read ahead: a worker never waits for the next one, and memory stays bounded."""


def run_tasks(function: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[tuple[Task, Result]]:
    """Yield each task with what the function returned for it, as they end; one worker is this process itself.

    The function is called again for a task whose worker died. An exception of a task ends the run.

    Parameters
    ----------
    function : callable
        Of a module: processes are started anew and import it.
    tasks : iterable
        Each can be pickled. Read as workers become free.
    workers : int

    Raises
    ------
    WorkerDied
    """
    if workers == 1:
        for task in tasks:
            yield task, function(task)
        return
    run = _Run(function, tasks, workers)
    while not run.is_done:
        # Spawned, because a fork of a process with threads, such as those of a driver, may hang.
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        try:
            yield from run.work(pool)
        except BrokenProcessPool:
            run.take_back()
        finally:
            pool.shutdown(cancel_futures=True)


class _Run(Generic[Task, Result]):
    """The tasks that are left, and those that are under way."""

    def __init__(self, function: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> None:
        self._function = function
        self._unread = enumerate(tasks)
        self._next = deque[tuple[int, Task]]()
        self._under_way: dict[Future[Result], tuple[int, Task]] = {}
        self._most = workers * AHEAD
        self._deaths = Counter[int]()
        self.is_done = False

    def work(self, pool: ProcessPoolExecutor) -> Iterator[tuple[Task, Result]]:
        while self._submit(pool):
            done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                yield self._under_way.pop(future)[1], result
        self.is_done = True

    def take_back(self) -> None:
        """Queue what was under way when a worker died.

        Raises
        ------
        WorkerDied
        """
        lost = sorted(self._under_way.values(), key=lambda numbered: numbered[0])
        self._under_way.clear()
        self._next.extendleft(reversed(lost))
        self._deaths.update(number for number, _ in lost)
        if any(self._deaths[number] >= ATTEMPTS for number, _ in lost):
            raise WorkerDied(
                f"{ATTEMPTS} worker processes died while the same task was under way, perhaps of too little memory. "
                "Give fewer workers, or smaller tables."
            )

    def _submit(self, pool: ProcessPoolExecutor) -> bool:
        """Give the pool as many tasks as it may have, and say whether any is under way."""
        while len(self._under_way) < self._most:
            if not self._next and (read := next(self._unread, None)) is not None:
                self._next.append(read)
            if not self._next:
                break
            # A broken pool raises here, and the task stays in the queue.
            self._under_way[pool.submit(self._function, self._next[0][1])] = self._next[0]
            self._next.popleft()
        return bool(self._under_way)
