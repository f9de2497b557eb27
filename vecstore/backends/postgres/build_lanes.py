"""How many connections of a pool build graphs at a time. Builds that waited for each other's would wait for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

OTHERS = 4
"""Connections that a rebuild needs beside those that build."""


class BuildLanes:
    """The connections of one pool that builds hold: so many that other calls, and the next build, find one free."""

    def __init__(self, pool_size: int) -> None:
        self._pool_size = pool_size
        self._lock = threading.Lock()
        self._builds = self._held = 0

    @contextmanager
    def take(self, wanted: int) -> Iterator[int]:
        """Hold up to so many connections, without waiting, and at least one; how many is the value of the context."""
        with self._lock:
            self._builds += 1
            lanes = max(1, min(wanted, self._pool_size - OTHERS * self._builds - self._held))
            self._held += lanes
        try:
            yield lanes
        finally:
            with self._lock:
                self._builds -= 1
                self._held -= lanes
