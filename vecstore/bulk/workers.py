"""Tasks in several processes. A worker that dies loses no task: its tasks are given to others.

Workers end with the process that started them, however it ends: each waits for the end of a pipe that this process
holds, and for the end of the process itself, because its children by a fork hold the pipe, too. Ctrl-C, which a
terminal sends to all of them, is for that process alone.
"""

from __future__ import annotations

import copy
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from ..errors import WorkerDied

Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 5
"""So many workers may die while a task is under way before it is taken to be what kills them."""
AHEAD = 2
"""Tasks for each worker that are read ahead: a worker never waits for the next one, and memory stays bounded."""


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    name: Callable[[Task], str] | None = None,
) -> Generator[tuple[Task, Result]]:
    """Yield each task with what the function returned for it, as they end; one worker is this process itself.

    The function is called again for a task whose worker died. An exception of a task ends the run, and so does
    ``close()``: the workers then end at once, in the middle of their tasks.

    Parameters
    ----------
    function : callable
        Of a module: processes are started anew and import it.
    tasks : iterable
        Each can be pickled. Read as workers become free.
    workers : int
    name : callable, optional
        Returns what an error calls a task.

    Raises
    ------
    WorkerDied
    """
    if workers == 1:
        for task in tasks:
            yield task, function(task)
        return
    run = _Run(function, tasks, workers, name)
    # Spawned, because a fork of a process with threads, such as those of a driver, may hang.
    context = multiprocessing.get_context("spawn")
    while not run.is_done:
        lifeline, held = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_work, initargs=(lifeline,))
        try:
            yield from run.work(pool)
        except BrokenProcessPool:
            run.take_back()
        finally:
            if not run.is_done:
                held.close()
            pool.shutdown(cancel_futures=True)
            held.close()
            lifeline.close()


def _begin_work(lifeline: Connection) -> None:
    """Prepare a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """End this process with its program, or when that closes the other end of a pipe, through which nothing is sent."""
    multiprocessing.connection.wait([lifeline, *_watch_program()])
    os._exit(1)


def _watch_program() -> list[int]:
    """Return a descriptor that is readable once the program that started this process has ended, if there are such."""
    found = list[int]()
    program = multiprocessing.parent_process()
    if program is None or program.pid is None or not hasattr(os, "pidfd_open"):
        return found
    with suppress(OSError):  # some containers refuse it
        found.append(os.pidfd_open(program.pid))
    if os.getppid() != program.pid:  # it has ended already, and its number may be another process's
        os._exit(1)
    return found


def _call(function: Callable[[Task], Result], task: Task) -> Result:
    """Call a function in a worker. The parent must be able to make its error again, or it would take it for a death."""
    try:
        return function(task)
    except BaseException as error:
        if not isinstance(error, Exception) or _can_travel(error):
            raise
        kind = type(error)
        raise RuntimeError(f"{kind.__module__}.{kind.__qualname__} was raised in a worker process.") from error


def _can_travel(error: Exception) -> bool:
    """Say whether an exception can be made again of what it is pickled as."""
    try:
        copy.copy(error)
    except BaseException as failure:
        if not isinstance(failure, Exception):
            raise
        return False
    return True


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let processes that are started here have no Ctrl-C, which would print a traceback before they can ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Run(Generic[Task, Result]):
    """The tasks that are left, and those that are under way."""

    def __init__(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        workers: int,
        name: Callable[[Task], str] | None,
    ) -> None:
        self._function = function
        self._name = name
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
        deadly = [task for number, task in lost if self._deaths[number] >= ATTEMPTS]
        if deadly:
            names = "" if self._name is None else f" ({' or '.join(map(self._name, deadly))})"
            raise WorkerDied(
                f"{ATTEMPTS} worker processes died while the same task was under way{names}, perhaps of too little "
                "memory. Give fewer workers, or smaller tables or files."
            )

    def _submit(self, pool: ProcessPoolExecutor) -> bool:
        """Give the pool as many tasks as it may have, and say whether any is under way."""
        while len(self._under_way) < self._most:
            if not self._next and (read := next(self._unread, None)) is not None:
                self._next.append(read)
            if not self._next:
                break
            # A broken pool raises here, and the task stays in the queue.
            with _without_interrupts():
                future = pool.submit(_call, self._function, self._next[0][1])
            self._under_way[future] = self._next[0]
            self._next.popleft()
        return bool(self._under_way)
