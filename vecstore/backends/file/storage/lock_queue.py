"""The queue in which threads of one process wait for a lock.

Threads queue before one of them polls the lock. Polling alone favours the thread that asks at the right moment, so
another one could wait for long. Processes are not ordered in this way.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class _Queues:
    def __init__(self) -> None:
        self.moved = threading.Condition()
        self.waiting: dict[str, deque[object]] = {}


_queues = _Queues()


@contextmanager
def wait_turn(name: str, deadline: float) -> Iterator[bool]:
    """Wait for all threads that came earlier, or until the deadline; give whether it is this thread's turn.

    Parameters
    ----------
    name : str
        What the threads wait for.
    deadline : float
        On the clock of `time.monotonic`.
    """
    queues, ticket = _queues, object()
    try:
        with queues.moved:
            queue = queues.waiting.setdefault(name, deque())
            queue.append(ticket)
            is_ours = queues.moved.wait_for(lambda: queue[0] is ticket, max(0.0, deadline - time.monotonic()))
        yield is_ours
    finally:
        with queues.moved:
            queue = queues.waiting.get(name, deque())
            if ticket in queue:
                queue.remove(ticket)
            if not queue:
                queues.waiting.pop(name, None)
            queues.moved.notify_all()


def _start_over_in_child() -> None:
    """Forget the waiting threads, which do not exist in the child; one of them may hold the condition's lock."""
    global _queues
    _queues = _Queues()


os.register_at_fork(after_in_child=_start_over_in_child)
