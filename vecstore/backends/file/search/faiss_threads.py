"""Where calls into FAISS run, so that its OpenMP neither hangs after a fork nor keeps a setting of ours.

The number of OpenMP threads is a setting of the calling thread, and so is the team that libgomp keeps: a
forked child that meets its parent's team waits forever. Threads of our own have neither.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class _Crew:
    """Threads for short calls, started when first needed."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def pool(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(cores(), "vecstore")
        return self._pool


_crew = _Crew()


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class alone:
    """Let FAISS use no other thread than this one while the context lasts.

    FAISS begins a parallel region for a single query too; the threads that have nothing to do there wait
    busily. The number belongs to this thread, and is what it was afterwards.
    """

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        import faiss

        self._before: int = faiss.omp_get_max_threads()
        if self._before != 1:
            faiss.omp_set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        import faiss

        if self._before != 1:
            faiss.omp_set_num_threads(self._before)


def apart(work: Callable[[], T]) -> T:
    """Do long work that uses all processors, in a thread that ends with it."""
    with ThreadPoolExecutor(1, "vecstore") as pool:
        return pool.submit(work).result()


def together(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Do short tasks side by side, the first in the thread that asks."""
    others = [_crew.pool().submit(task) for task in tasks[1:]]
    first = tasks[0]()
    return [first, *(other.result() for other in others)]


def _start_anew_in_child() -> None:
    """Forget threads that a fork did not bring along."""
    global _crew
    _crew = _Crew()


os.register_at_fork(after_in_child=_start_anew_in_child)
