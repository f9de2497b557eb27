"""The connections of a client: its own pool, or the application's."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, ClassVar

import redis

from vecstore.errors import ForkedStore, Timeout

_LOCK_SECONDS = 1.0
"""Long enough for another thread of a child that prepares the pool at the same time."""


def make_pool_timeout() -> Timeout:
    """Return the error of a call for which no connection was free in time."""
    return Timeout("Every connection of the pool was in use until the timeout. Use fewer threads or raise ?pool_size=.")


class Connections(ABC):
    """A pool of redis-py's connections.

    Attributes
    ----------
    owned : bool
        Whether they are vecstore's and not the application's.
    """

    owned: ClassVar[bool]

    @abstractmethod
    def check_out(self) -> Any:
        """Return a connection, which may be closed.

        Raises
        ------
        redis.RedisError, OSError, Timeout
        """

    @abstractmethod
    def check_in(self, connection: Any) -> None:
        """Take a connection back; it may be closed."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections unless they are the application's."""


class OwnConnections(Connections):
    """A limited number of connections; the one that was used last goes out first.

    redis-py's pools do more for each call than this needs: a lock, events and counters took up to a tenth of a search.

    Parameters
    ----------
    pool : redis.ConnectionPool
        Makes the connections.
    size : int
        Connections at most.
    timeout : float
        Seconds to wait for a free one.
    """

    owned = True

    def __init__(self, pool: redis.ConnectionPool, size: int, timeout: float) -> None:
        self._pool = pool
        self._free = threading.BoundedSemaphore(size)
        self._timeout = timeout
        self._idle: deque[Any] = deque()
        self._closed = False

    def check_out(self) -> Any:
        if not self._free.acquire(timeout=self._timeout):
            raise make_pool_timeout()
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.connection_class(**self._pool.connection_kwargs)

    def check_in(self, connection: Any) -> None:
        if self._closed:
            connection.disconnect()
        self._idle.append(connection)
        self._free.release()

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().disconnect()


class ApplicationConnections(Connections):
    """The connections of the application's own client, whose pool opens new ones after a fork."""

    owned = False

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool

    def check_out(self) -> Any:
        if getattr(self._pool, "pid", None) not in {None, os.getpid()}:
            self._check_locks()
        return self._pool.get_connection()

    def _check_locks(self) -> None:
        """Refuse a pool whose lock was held at the fork, by a thread that this process does not have.

        redis-py resets a pool at its first call in a child, and would wait for that lock for ever.
        """
        for lock in (getattr(self._pool, name, None) for name in ("_fork_lock", "_lock")):
            if lock is None:
                continue
            if not lock.acquire(timeout=_LOCK_SECONDS):
                raise ForkedStore(
                    "The client's pool was in use by another thread at fork(), so it stays locked in this process. "
                    "Make another redis.Redis in the child process, then call vecstore.connect(client)."
                )
            lock.release()

    def check_in(self, connection: Any) -> None:
        self._pool.release(connection)

    def close(self) -> None:
        """Do nothing: the application closes them."""
