"""How long a call waits for a server that says nothing, or says it a byte at a time.

A driver waits for ever, or for its timeout at each byte, once the request was acknowledged by whatever is at the other
end. One thread for each pool shuts the sockets of calls down whose time is over; the driver then reports a lost
connection.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

GRACE = 0.5
"""Seconds that the server has to report a timeout of its own before the connection is given up."""


class Socket:
    """A second descriptor of a connection's socket: the first may be another's by the time that it is shut down."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)

    def __del__(self) -> None:
        with suppress(AttributeError):  # there was no descriptor left to be had
            os.close(self._descriptor)

    def shut(self) -> None:
        """Let whoever waits for this socket find its end."""
        with suppress(OSError), socket.socket(fileno=os.dup(self._descriptor)) as end:
            end.shutdown(socket.SHUT_RDWR)


class Limit:
    """The time that one call has; a context manager, which may be entered again for the next part of the call.

    Attributes
    ----------
    passed : bool
        Whether the time was over before the call was.
    """

    __slots__ = ("_guarded", "_watch", "deadline", "passed")

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._guarded: Socket | None = None
        self.deadline = time.monotonic() + watch.seconds
        self.passed = False

    def __enter__(self) -> Self:
        self.begin()
        self._watch.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.remove(self)

    def begin(self) -> None:
        """Let the time begin, for somebody who watches the parts of the call."""
        self.deadline = time.monotonic() + self._watch.seconds

    @property
    def remaining(self) -> float:
        """Seconds that the server has left, negative once they are over."""
        return self.deadline - GRACE - time.monotonic()

    def guard(self, link: Socket) -> None:
        """Name the socket that is shut down when the time is over, which may be at once."""
        self._guarded = link
        if self.passed:
            link.shut()

    def end(self) -> None:
        """Do what the end of the time asks for."""
        self.passed = True
        if self._guarded:
            self._guarded.shut()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Take as long as it takes meanwhile."""
        self._watch.remove(self)
        try:
            yield
        finally:
            self.__enter__()


class Watch:
    """Ends what takes too long, in a thread of its own from the first call on.

    Parameters
    ----------
    timeout : float
        Seconds for each call; no call has less, so that the thread may sleep for so long when there is none.
    """

    def __init__(self, timeout: float) -> None:
        self.seconds = timeout + GRACE
        self._limits: set[Limit] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, limit: Limit) -> None:
        """Watch a call."""
        with self._lock:
            self._limits.add(limit)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="vecstore-deadlines", daemon=True)
                self._thread.start()

    def remove(self, limit: Limit) -> None:
        """Leave a call alone; from here on its socket is safe, or was shut down and `Limit.passed` says so."""
        with self._lock:
            self._limits.discard(limit)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def _run(self) -> None:
        pause = self.seconds
        while not self._stopped.wait(pause):
            pause = self._expire()

    def _expire(self) -> float:
        """End the calls whose time is over; return how long it is until the next one's may be."""
        with self._lock:
            now = time.monotonic()
            for each in [limit for limit in self._limits if limit.deadline <= now]:
                self._limits.discard(each)
                each.end()
            return min((limit.deadline for limit in self._limits), default=now + self.seconds) - now
