"""Deadlines for calls to a server that is silent, or that answers one byte at a time.

Once the other end has acknowledged a request, a driver waits for ever, or its timeout restarts with each byte. One
thread per pool therefore shuts down the sockets of calls whose time is over. The driver then reports a lost connection.

A forked child loses its copies of the sockets of its parent's own pools and running calls, whatever it does with them.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self
from weakref import WeakSet

from vecstore.inherited_sockets import sever

GRACE = 0.5
"""Seconds in which the server can report its own timeout before the connection is given up."""


class Socket:
    """A duplicate descriptor of a connection's socket: by the shutdown, the original number may be reused.

    Parameters
    ----------
    descriptor : int
    owned : bool
        Whether the connection is vecstore's own. A forked child must never use its copy of it.
    """

    __slots__ = ("__weakref__", "_descriptor", "_original")

    def __init__(self, descriptor: int, *, owned: bool) -> None:
        self._descriptor = os.dup(descriptor)
        self._original = descriptor
        if owned:
            _owned.add(self)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # at exit, modules may be gone before objects
        if hasattr(self, "_descriptor"):  # os.dup() may have failed in __init__
            close(self._descriptor)

    def shut(self) -> None:
        """Shut the socket down, so that a thread that waits for it reads its end."""
        with suppress(OSError), socket.socket(fileno=os.dup(self._descriptor)) as end:
            end.shutdown(socket.SHUT_RDWR)

    def list_descriptors(self) -> list[int]:
        """Return the descriptors of the socket: the duplicate, and the original if it is still open."""
        with suppress(OSError):
            if os.path.sameopenfile(self._original, self._descriptor):
                return [self._original, self._descriptor]
        return [self._descriptor]


class Limit:
    """The time limit of one call: a context manager that may be entered again for the next part of the call.

    Attributes
    ----------
    passed : bool
        Whether the time ran out before the call ended.
    link : Socket or None
        The socket that is shut down when the time is over; see `guard`.
    """

    __slots__ = ("_watch", "deadline", "link", "passed")

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.link: Socket | None = None
        self.deadline = time.monotonic() + watch.seconds
        self.passed = False

    def __enter__(self) -> Self:
        self.begin()
        self._watch.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.remove(self)

    def begin(self) -> None:
        """Start the time, for a caller that watches the parts of the call itself."""
        self.deadline = time.monotonic() + self._watch.seconds

    @property
    def remaining(self) -> float:
        """Seconds left for the server; negative once they are over."""
        return self.deadline - GRACE - time.monotonic()

    def guard(self, link: Socket) -> None:
        """Set the socket that is shut down when the time is over, immediately if it already is."""
        self.link = link
        if self.passed:
            link.shut()

    def end(self) -> None:
        """Mark the time as over and shut the socket down."""
        self.passed = True
        if self.link:
            self.link.shut()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stop the time inside the context, and restart it afterwards."""
        self._watch.remove(self)
        try:
            yield
        finally:
            self.__enter__()


class Watch:
    """Ends calls that take too long, in a thread that starts with the first call.

    Parameters
    ----------
    timeout : float
        Seconds for each call. No call has less, so the thread can sleep this long while there is no call.
    """

    def __init__(self, timeout: float) -> None:
        self.seconds = timeout + GRACE
        self._limits: set[Limit] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        _watches.add(self)

    def add(self, limit: Limit) -> None:
        """Start watching a call."""
        with self._lock:
            self._limits.add(limit)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="vecstore-deadlines", daemon=True)
                self._thread.start()

    def remove(self, limit: Limit) -> None:
        """Stop watching a call. Its socket is not shut down after this; `Limit.passed` says whether it was before."""
        with self._lock:
            self._limits.discard(limit)

    def stop(self) -> None:
        """End the thread, which a forked child does not have."""
        if os.getpid() == self._process:
            self._stopped.set()

    def list_guarded(self) -> list[Socket]:
        """Return the sockets of the running calls."""
        return [limit.link for limit in self._limits if limit.link]

    def start_over(self) -> None:
        """Make a new lock in a forked child: a thread of the parent may have held the old one."""
        self._lock = threading.Lock()

    def _run(self) -> None:
        pause = self.seconds
        while not self._stopped.wait(pause):
            pause = self._expire()

    def _expire(self) -> float:
        """End the calls whose time is over, and return the seconds until the next one can be."""
        with self._lock:
            now = time.monotonic()
            for each in [limit for limit in self._limits if limit.deadline <= now]:
                self._limits.discard(each)
                each.end()
            return min((limit.deadline for limit in self._limits), default=now + self.seconds) - now


_owned: WeakSet[Socket] = WeakSet()
_watches: WeakSet[Watch] = WeakSet()


def _sever_in_child() -> None:
    """Cut a forked child off its parent's connections, so that not even an unwinding call can use them."""
    sockets = {*_owned, *(link for watch in _watches for link in watch.list_guarded())}
    for watch in _watches:
        watch.start_over()
    if sockets:
        sever(number for each in sockets for number in each.list_descriptors())
    _owned.clear()


os.register_at_fork(after_in_child=_sever_in_child)
