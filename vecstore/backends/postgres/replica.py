"""One read replica: how it is connected, and what it has to have in common with its primary."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import URL, Engine

from vecstore.errors import InvalidUrl, VecstoreError
from vecstore.urls import parse_url

from .client import Client
from .column_types import Oids
from .engine import check_driver, make_engine
from .inherited_connections import check_pool
from .options import Options, make_server_url, parse_options
from .statements import Statement

_REST = 5.0
"""Seconds for which a replica that failed is left alone."""
PLACE = Statement(
    "SELECT system_identifier, (SELECT oid::bigint FROM pg_database WHERE datname = current_database()), "
    "current_user::text, pg_is_in_recovery() FROM pg_control_system()",
    MappingProxyType({}),
)
OTHER_PLACE = (
    "A replica holds another database: its system identifier or its database differs from the primary's. "
    "Give replicas of the server in the URL, made by pg_basebackup, with the same database."
)
_OTHER_ROLE = (
    "A replica is entered by another role than the primary, so other rights and row security would hold there. "
    "Give the same user in both URLs."
)


@dataclass(frozen=True, slots=True)
class ReplicatedDatabase:
    """What a primary and its replicas have in common."""

    system: int
    database: int
    role: str


def make_connector(place: object) -> Callable[[Oids], Client]:
    """Return a function that makes a client of a replica, from its URL or the application's engine, without I/O.

    It is given the OIDs of the primary, whose files a replica copies.

    Raises
    ------
    InvalidUrl, Unsupported, ForkedStore
    """
    engine, options = place if isinstance(place, Engine) else None, Options()
    if engine is None:
        text = place.render_as_string(hide_password=False) if isinstance(place, URL) else str(place)
        url = parse_url(text)
        if url.scheme != "postgresql":
            raise InvalidUrl("A replica is a server of PostgreSQL. Give postgresql://… or an engine of SQLAlchemy.")
        options, libpq = parse_options(url.parameters)
        address = make_server_url(url.location, libpq)
    else:
        check_driver(engine)
        check_pool(engine.pool)

    def connect(oids: Oids) -> Client:
        client = Client(engine or make_engine(address, options), options, owned=engine is None)
        client.use_types(oids)
        return client

    return connect


class Replica:
    """One replica. It is connected on first use, and again after it was gone.

    Parameters
    ----------
    connect : callable
        Returns a client of it.
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self.state = "not asked yet"
        """What the last search found, in words."""
        self._connect = connect
        self._client: Client | None = None
        self._rests_until = 0.0
        self._is_closed = False
        self._lock = threading.Lock()

    def get_client(self, place: ReplicatedDatabase) -> Client | None:
        """Return its client; None while it rests, is closed, or another thread connects to it.

        Raises
        ------
        InvalidUrl
            It is no replica of that place.
        VecstoreError
            It cannot be reached. It rests then.
        """
        if time.monotonic() < self._rests_until or self._is_closed:
            return None
        if self._client is not None:
            return self._client
        # Whoever waited here would wait for a server that hangs, one after another.
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if self._client is None and not self._is_closed and time.monotonic() >= self._rests_until:
                self._client = self._open(place)
            return self._client
        finally:
            self._lock.release()

    def _open(self, place: ReplicatedDatabase) -> Client:
        client = self._connect()
        try:
            check_place(client, place)
        except BaseException as error:
            client.close()
            if isinstance(error, VecstoreError):
                self.rest()
            raise
        return client

    def rest(self, seconds: float = _REST) -> None:
        """Leave it alone for a while."""
        self._rests_until = time.monotonic() + seconds

    def close(self) -> None:
        """End its connections, and make no more."""
        self._is_closed = True
        with self._lock:
            self.forget()

    def forget(self) -> None:
        """End its connections without the lock, which a thread of a forked child's parent may have held."""
        self._is_closed = True
        if self._client is not None:
            self._client.close()


def check_place(client: Client, place: ReplicatedDatabase) -> None:
    """Refuse a server that is no replica of a place.

    Raises
    ------
    InvalidUrl
    """
    [(system, database, role, is_standby)] = client.run(PLACE, {})
    if (system, database) != (place.system, place.database):
        raise InvalidUrl(OTHER_PLACE)
    if role != place.role:
        raise InvalidUrl(_OTHER_ROLE)
    if not is_standby:
        raise InvalidUrl("A replica is not in recovery: it is the primary itself, or was promoted. Leave it out.")
