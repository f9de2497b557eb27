"""Tasks on Ray, for files that all of its nodes can read. It is imported on use: Ray takes seconds to import."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, RayTaskError, WorkerCrashedError

from ..errors import InvalidArgument, WorkerDied
from .workers import ATTEMPTS

Task = TypeVar("Task")


def run_tasks_on_ray(
    function: Callable[[Task], int], tasks: Sequence[Task], workers: int, name: Callable[[Task], str]
) -> Generator[tuple[Task, int]]:
    """Yield each task with what the function returned for it, as they end. Ray repeats a task whose worker died.

    An exception of a task ends the run, as itself, and so does ``close()``.

    Parameters
    ----------
    function : callable
    tasks : sequence
    workers : int
        So many tasks run at the same time.
    name : callable
        Returns what an error calls a task.

    Raises
    ------
    InvalidArgument
        Ray cannot be started or reached.
    WorkerDied
    """
    started = not ray.is_initialized()
    if started:
        _start()
    waiting, running = list(tasks), dict[ray.ObjectRef[int], Task]()
    try:
        remote = ray.remote(max_retries=ATTEMPTS - 1)(function)
        while waiting or running:
            while waiting and len(running) < workers:
                task = waiting.pop(0)
                running[remote.remote(task)] = task
            [ended], _ = ray.wait(list(running), num_returns=1)
            task = running.pop(ended)
            yield task, _get(ended, name(task))
    finally:
        for each in running:  # on a cluster that goes on
            ray.cancel(each, force=True)
        if started:
            ray.shutdown()


def _start() -> None:
    """Start Ray on this machine, or connect to the cluster that the environment names."""
    # Otherwise Ray repeats a task without end that it ends for want of memory, whatever max_retries says.
    os.environ.setdefault("RAY_task_oom_retries", str(ATTEMPTS - 1))
    try:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError, RayError) as error:
        raise InvalidArgument(
            f"Ray cannot be started or reached ({type(error).__name__}). Correct RAY_ADDRESS, which names a cluster, "
            "and look whether that runs. Without it, Ray runs on this machine."
        ) from error


def _get(ended: ray.ObjectRef[int], name: str) -> int:
    """Return the result of a task, or raise what it raised, without the traceback that Ray puts into the message."""
    try:
        return ray.get(ended)
    except RayTaskError as error:
        if not isinstance(error.cause, BaseException) or isinstance(error.cause, RayError):
            raise
        raise error.cause from error
    except (WorkerCrashedError, NodeDiedError) as error:
        raise WorkerDied(
            f"Ray ran the task of {name} {ATTEMPTS} times and each time its worker or its node was lost "
            f"({type(error).__name__}), perhaps of too little memory. Give fewer workers, or smaller files."
        ) from error
    except OutOfMemoryError as error:
        raise WorkerDied(
            f"Ray ended the workers of the task of {name} again and again, because their node had too little memory "
            "left. Give fewer workers, or smaller files."
        ) from error
    except RayError as error:
        raise WorkerDied(
            f"Ray lost the task of {name} ({type(error).__name__}). Ray's logs say why. Load again."
        ) from error
