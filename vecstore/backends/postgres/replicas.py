"""Searches on read replicas, where a replica is known to be recent enough and to have every write of this Database.

A replica's own clock says nothing: cut off from the primary, it believes to be up to date. So the primary is asked for
its position in the log now and then. A replica that has replayed a position is no older than the moment at which that
was read. A search takes a position that was read after the last write of this Database, and no longer ago than the lag
that is allowed; where there is none, the primary is asked again, which costs a round trip.

A replica is left out where it is behind, gone, promoted, or on another timeline: it may have lost writes that the
primary has, or have others. The primary answers then.
"""

from __future__ import annotations

import itertools
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import URL, Engine

from vecstore.errors import InvalidUrl, VecstoreError
from vecstore.urls import parse_url

from .client import Client
from .column_types import Oids
from .engine import make_engine
from .options import Options, make_server_url, parse_options
from .server_checks import ServerWarning
from .statements import Answer, Statement

_REST = 5.0
"""Seconds for which a replica that failed is left alone."""
_PLACE = Statement(
    "SELECT system_identifier, (SELECT oid::bigint FROM pg_database WHERE datname = current_database()), "
    "pg_is_in_recovery() FROM pg_control_system()",
    MappingProxyType({}),
)
_POSITION = Statement(
    "SELECT lsn::text, ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::int FROM pg_current_wal_insert_lsn() AS lsn",
    MappingProxyType({}),
)
_STATE = Statement(
    "SELECT pg_is_in_recovery() AND timeline_id = %(timeline)s::int "
    "AND pg_last_wal_replay_lsn() >= (%(lsn)s::text)::pg_lsn FROM pg_control_checkpoint()",
    MappingProxyType({}),
)


def make_connector(place: object, oids: Oids) -> Callable[[], Client]:
    """Return a function that makes a client of a replica, from its URL or the application's engine, without I/O.

    Raises
    ------
    InvalidUrl
    """
    engine, options = place if isinstance(place, Engine) else None, Options()
    if engine is None:
        text = place.render_as_string(hide_password=False) if isinstance(place, URL) else str(place)
        url = parse_url(text)
        if url.scheme != "postgresql":
            raise InvalidUrl("A replica is a server of PostgreSQL. Give postgresql://… or an engine of SQLAlchemy.")
        options, libpq = parse_options(url.parameters)
        address = make_server_url(url.location, libpq)

    def connect() -> Client:
        client = Client(engine or make_engine(address, options), options, owned=engine is None)
        client.use_types(oids)
        return client

    return connect


@dataclass(frozen=True, slots=True)
class Position:
    """Where the primary's log was.

    Attributes
    ----------
    lsn : str
    timeline : int
    asked : float
        When that was asked, by `time.monotonic`: the log was there then or later.
    """

    lsn: str
    timeline: int
    asked: float


class Replica:
    """One replica. It is connected on first use, and again after it was gone.

    Parameters
    ----------
    connect : callable
        Returns a client of it.
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._client: Client | None = None
        self._rests_until = 0.0
        self._lock = threading.Lock()

    def get_client(self, place: tuple[object, ...]) -> Client | None:
        """Return its client; None while it rests.

        Raises
        ------
        InvalidUrl
            It is no replica of that place.
        VecstoreError
            It cannot be reached.
        """
        if time.monotonic() < self._rests_until:
            return None
        with self._lock:
            if self._client is None:
                client = self._connect()
                try:
                    check_place(client, place)
                except BaseException:
                    client.close()
                    raise
                self._client = client
            return self._client

    def rest(self, seconds: float = _REST) -> None:
        """Leave it alone for a while."""
        self._rests_until = time.monotonic() + seconds

    def close(self) -> None:
        """End its connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()


def check_place(client: Client, place: tuple[object, ...]) -> None:
    """Refuse a server that is no replica of a place.

    Raises
    ------
    InvalidUrl
    """
    [(system, database, is_standby)] = client.run(_PLACE, {})
    if (system, database) != place:
        raise InvalidUrl(
            "A replica holds another database: its system identifier or its database differs from the primary's. "
            "Give replicas of the server in the URL, made by pg_basebackup, with the same database."
        )
    if not is_standby:
        raise InvalidUrl("A replica is not in recovery: it is the primary itself, or was promoted. Leave it out.")


class Replicas:
    """The replicas of one Database. Threads may share it.

    Parameters
    ----------
    primary : Client
    replicas : sequence of Replica
    lag : float
        Seconds by which a search may be behind other Databases' writes.

    Raises
    ------
    InvalidUrl
        A replica that can be reached is none of this primary.
    """

    def __init__(self, primary: Client, replicas: Sequence[Replica], lag: float) -> None:
        self._primary = primary
        self._replicas = list(replicas)
        self._lag = lag
        self._turn = itertools.count()
        self._written = 0.0
        self._positions: deque[Position] = deque(maxlen=8)
        self._lock = threading.Lock()
        [(system, database, is_standby)] = primary.run(_PLACE, {})
        if is_standby:
            raise InvalidUrl("The URL leads to a standby, so it cannot have replicas. Give the primary's URL.")
        self._place = (system, database)
        self._timeline = self._ask_position().timeline
        for each in self._replicas:
            try:
                each.get_client(self._place)
            except InvalidUrl:
                raise
            except VecstoreError:
                each.rest()

    def note_written(self) -> None:
        """Take note that a write of this Database has ended, whatever its outcome."""
        self._written = time.monotonic()

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Answer | None:
        """Run a search on a replica; return None where the primary has to answer."""
        position: Position | None = None
        first = next(self._turn)
        for number in range(len(self._replicas)):
            replica = self._replicas[(first + number) % len(self._replicas)]
            try:
                client = replica.get_client(self._place)
                if client is None:
                    continue
                position = position or self._find_position()
                if position.timeline != self._timeline:
                    return None  # the primary is another server by now, or the same one after a recovery
                [(is_usable,)] = client.run(_STATE, {"timeline": position.timeline, "lsn": position.lsn})
                answer = client.run(statement, values) if is_usable else []
            except InvalidUrl as error:
                warnings.warn(f"{error} It is not used.", ServerWarning, stacklevel=2)
                replica.rest(float("inf"))
                continue
            except VecstoreError:  # gone, cancelled by the recovery, or without a table that is new
                replica.rest()
                continue
            if answer:
                return answer
        return None

    def close(self) -> None:
        """End the connections to replicas."""
        for each in self._replicas:
            each.close()

    def _find_position(self) -> Position:
        """Return a position that covers this Database's writes and is recent enough; the oldest, to wait least."""
        with self._lock:
            since = max(self._written, time.monotonic() - self._lag)
            for each in self._positions:
                if each.asked > since:
                    return each
            return self._ask_position()

    def _ask_position(self) -> Position:
        asked = time.monotonic()
        [(lsn, timeline)] = self._primary.run(_POSITION, {})
        found = Position(lsn, timeline, asked)
        self._positions.append(found)
        return found
