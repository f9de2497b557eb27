"""Tasks on Ray, for files that all of its nodes can read. It is imported on use: Ray takes seconds to import."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import ray

Task = TypeVar("Task")


def run_tasks_on_ray(
    function: Callable[[Task], int], tasks: Sequence[Task], workers: int
) -> Iterator[tuple[Task, int]]:
    """Yield each task with what the function returned for it, as they end. Ray repeats a task whose worker died.

    Parameters
    ----------
    function : callable
    tasks : sequence
    workers : int
        So many tasks run at the same time.
    """
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    try:
        remote = ray.remote(function)
        waiting, running = list(tasks), dict[object, Task]()
        while waiting or running:
            while waiting and len(running) < workers:
                task = waiting.pop(0)
                running[remote.remote(task)] = task
            [ended], _ = ray.wait(list(running), num_returns=1)
            yield running.pop(ended), ray.get(ended)
    finally:
        if started:
            ray.shutdown()
