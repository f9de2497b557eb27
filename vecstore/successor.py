"""The Database that stores of another one move to, connected when it is needed."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from . import registry
from .errors import ForkedStore, InvalidArgument, VecstoreError
from .logs import log_step

if TYPE_CHECKING:
    from .route import Route

PAUSE = 30.0
"""Seconds until a successor that could not be connected before the switch is tried again."""


class Successor:
    """What was given as ``successor``: connected once, by a thread of its own or by the call that needs it first.

    Parameters
    ----------
    place : str, path, sqlalchemy.URL, sqlalchemy.Engine or redis.Redis
        Checked as far as that is possible without importing a driver.
    route : Route, optional
        Instead of a place: that of an open Database, which the application closes.

    Raises
    ------
    InvalidUrl
    """

    def __init__(self, place: object, route: Route | None = None) -> None:
        if route is None:
            registry.check_place(place)
        self._place = place
        self._route = route
        self._is_own = route is None
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._earliest = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether a call that follows a store finds a connection."""
        return self._route is not None

    def connect(self) -> Route:
        """Return where the stores of the successor may be.

        Raises
        ------
        ForkedStore, InvalidArgument, InvalidUrl, MissingExtra, BackendUnavailable, MigrationRequired
        """
        from .route import Route

        if os.getpid() != self._process:
            raise ForkedStore
        with self._lock:
            if self._closed.is_set():
                raise InvalidArgument("This Database is closed. Call vecstore.connect() again.")
            if self._route is None:
                self._route = Route(registry.connect(self._place))
            route = self._route
        if self._closed.is_set():  # by another thread, which did not wait for the connection
            self._release()
        return route

    def prepare(self) -> None:
        """Connect in a thread of its own, unless that is done or failed a moment ago. A failure is only logged."""
        is_busy = self._thread is not None and self._thread.is_alive()
        if self._route is not None or self._closed.is_set() or is_busy or time.monotonic() < self._earliest:
            return
        self._thread = threading.Thread(target=self._try_to_connect, name="vecstore successor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close what was connected here. A connection that is being made is closed when it is there."""
        self._closed.set()
        # A child may have inherited the lock as held, for ever; its backends know that they are their parent's.
        if os.getpid() != self._process or self._lock.acquire(blocking=False):
            self._close_route()
            if os.getpid() == self._process:
                self._lock.release()

    def _try_to_connect(self) -> None:
        try:
            self.connect()
        except (VecstoreError, Warning) as error:
            self._earliest = time.monotonic() + PAUSE
            log_step("swap", "the successor of a store that is being moved is not connected: %s", type(error).__name__)

    def _release(self) -> None:
        with self._lock:
            self._close_route()

    def _close_route(self) -> None:
        if self._is_own and self._route is not None:
            self._route.backend.close()
