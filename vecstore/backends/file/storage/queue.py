"""Turns for the threads of one process that wait for the same lock: first come, first served.

A lock that is polled goes to whoever happens to ask at the right moment, so that one of several busy threads
can go without for long. Between processes it stays like that.
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
def turn(name: str, deadline: float) -> Iterator[bool]:
    """Wait until every thread that came earlier is done, or until the deadline; say which.

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


def _start_anew_in_child() -> None:
    """Forget threads that a fork did not bring along."""
    global _queues  # its lock may be held by one of them
    _queues = _Queues()


os.register_at_fork(after_in_child=_start_anew_in_child)
