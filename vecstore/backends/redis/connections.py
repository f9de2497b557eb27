"""Where the connections of a link come from: a pool of its own, or the application's."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import redis

from vecstore.errors import Timeout


def exhausted() -> Timeout:
    """Return the error of a call for which no connection was free in time."""
    return Timeout("Every connection of the pool was in use until the timeout. Use fewer threads, or ?pool_size=.")


class Connections(ABC):
    """Lends connections of redis-py that are connected."""

    @abstractmethod
    def take(self) -> Any:
        """Return a connection.

        Raises
        ------
        redis.RedisError, OSError, Timeout
        """

    @abstractmethod
    def give(self, connection: Any) -> None:
        """Take a connection back, which may be disconnected."""

    @abstractmethod
    def close(self) -> None:
        """End the connections that are ours."""


class OwnConnections(Connections):
    """At most so many, the one that was used last first.

    redis-py's pools do more for each call than this needs: a lock, events and counters took as long as a tenth of a
    search.

    Parameters
    ----------
    pool : redis.ConnectionPool
        Makes connections.
    most : int
    timeout : float
        Seconds to wait for a free one.
    """

    def __init__(self, pool: redis.ConnectionPool, most: int, timeout: float) -> None:
        self._pool = pool
        self._free = threading.BoundedSemaphore(most)
        self._timeout = timeout
        self._idle: deque[Any] = deque()
        self._closed = False

    def take(self) -> Any:
        if not self._free.acquire(timeout=self._timeout):
            raise exhausted()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            connection.connect()  # does nothing where it is
        except BaseException:
            self.give(connection)
            raise
        return connection

    def give(self, connection: Any) -> None:
        if self._closed:
            connection.disconnect()
        self._idle.append(connection)
        self._free.release()

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().disconnect()


class LentConnections(Connections):
    """Those of an application's client."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool

    def take(self) -> Any:
        return self._pool.get_connection()

    def give(self, connection: Any) -> None:
        self._pool.release(connection)

    def close(self) -> None:
        """Do nothing: they are the application's."""
