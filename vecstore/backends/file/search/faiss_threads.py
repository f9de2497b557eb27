"""Threads for calls into FAISS: its OpenMP stays fork-safe, and its global settings untouched.

The number of OpenMP threads is a setting of the calling thread, and so is the team that libgomp keeps: a
forked child that meets its parent's team waits forever. Threads of this module have neither.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class _Workers:
    """Threads for short calls, started when first needed."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def open_pool(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(count_cores(), "vecstore")
        return self._pool


_workers = _Workers()


def count_cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class single_threaded:
    """Let FAISS use only the calling thread while the context lasts.

    FAISS begins a parallel region even for a single query, and the threads that have nothing to do wait busily.
    The setting belongs to the calling thread and is restored at the end.
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


def in_own_thread(work: Callable[[], T]) -> T:
    """Do long work that uses all processors, in a thread that ends with it."""
    with ThreadPoolExecutor(1, "vecstore") as pool:
        return pool.submit(work).result()


def in_parallel(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Do short tasks side by side, the first one in the calling thread."""
    others = [_workers.open_pool().submit(task) for task in tasks[1:]]
    first = tasks[0]()
    return [first, *(other.result() for other in others)]


def _start_over_in_child() -> None:
    """Forget the threads, which a fork does not copy."""
    global _workers
    _workers = _Workers()


os.register_at_fork(after_in_child=_start_over_in_child)
