"""SQLAlchemy's engine, which makes the connections, each within its call's time, and their sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from sqlalchemy import URL, Dialect, Engine, create_engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from vecstore.errors import Unsupported

from ..shared.deadlines import Limit, Socket
from .options import Options
from .session_settings import make_arguments

_KEY = "vecstore.socket"
_SHORTEST = 2
"""The shortest connect timeout in seconds; psycopg rounds smaller ones up to two."""


class Connecting(threading.local):
    """Connects for one thread, within the time that its call has left."""

    limit: Limit | None = None

    @contextmanager
    def within(self, limit: Limit) -> Iterator[None]:
        self.limit = limit
        try:
            yield
        finally:
            self.limit = None

    def connect(
        self, dialect: Dialect, record: ConnectionPoolEntry, arguments: tuple[Any, ...], parameters: dict[str, Any]
    ) -> DBAPIConnection | None:
        """Connect in place of SQLAlchemy, whose first statements on a connection would have no time limit."""
        if self.limit is None:
            return None
        seconds = min(float(parameters["connect_timeout"]), self.limit.remaining)
        made = dialect.connect(*arguments, **{**parameters, "connect_timeout": max(_SHORTEST, round(seconds))})
        self.limit.guard(get_socket(cast("psycopg.Connection[Any]", made), record.info, owned=True))
        return made


def make_engine(url: URL, options: Options) -> Engine:
    """Return an engine whose connections commit each statement on their own."""
    given = {name: value for name, value in make_arguments(options).items() if name not in url.query}
    return create_engine(
        url,
        connect_args=given,
        pool_size=options.pool_size,
        max_overflow=0,
        pool_timeout=options.timeout,
        pool_use_lifo=True,
        use_native_hstore=False,
        pool_reset_on_return=None,
        hide_parameters=True,
    )


def check_driver(engine: Engine) -> None:
    """Refuse an application's engine with another driver, before it connects.

    Raises
    ------
    Unsupported
    """
    if engine.dialect.driver != "psycopg":
        raise Unsupported(
            f"the driver {engine.dialect.driver}", "postgres", "Make the engine with postgresql+psycopg://."
        )


def get_driver(fairy: PoolProxiedConnection) -> psycopg.Connection[Any]:
    """Return psycopg's connection behind SQLAlchemy's proxy.

    Raises
    ------
    Unsupported
    """
    connection = fairy.driver_connection
    if not isinstance(connection, psycopg.Connection):
        kind = type(connection).__module__.partition(".")[0]
        fairy.close()
        raise Unsupported(f"the driver {kind}", "postgres", "Make the engine with postgresql+psycopg://.")
    return connection


def get_socket(connection: psycopg.Connection[Any], info: MutableMapping[Any, Any], *, owned: bool) -> Socket:
    """Return a connection's socket, which is kept in the connection's ``info``; ``owned`` as for `Socket`."""
    found = info.get(_KEY)
    if not isinstance(found, Socket):
        found = info[_KEY] = Socket(connection.fileno(), owned=owned)
    return found


def forget_socket(info: MutableMapping[Any, Any]) -> None:
    """Release the socket of a discarded connection; otherwise the server would not see it closed."""
    info.pop(_KEY, None)
