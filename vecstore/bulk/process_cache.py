"""What a worker process keeps between its tasks: connections, stores and models, which are slow to open."""

from __future__ import annotations

import atexit
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from threading import Lock
from typing import Any, Generic, TypeVar

from ..embedders import load as load_embedder
from ..embedders import make_absolute
from ..embedders.base import Embedder
from ..errors import InvalidArgument

T = TypeVar("T")

EmbedderSource = str | Callable[[], Embedder] | None
"""How a process gets its model: a name as for `vecstore.embedders.load`, or a function of a module; or no model."""

MOST = 4
"""Open stores of one process. A task writes into one store, and few programs fill several at once."""


def check_source(source: object) -> None:
    """Refuse what another process could not make a model of.

    Raises
    ------
    InvalidArgument
    """
    if source is None or isinstance(source, str):
        return
    if not callable(source) or "<" in getattr(source, "__qualname__", "<"):
        raise InvalidArgument(
            "embedder must be a name such as 'wordllama' or a function of a module that returns an Embedder, not "
            f"{type(source).__name__}: each process makes its own model of it."
        )


def make_source_absolute(source: EmbedderSource) -> EmbedderSource:
    """Return a source that means the same model in a process with another working directory."""
    return make_absolute(source) if isinstance(source, str) else source


def make_embedder(source: EmbedderSource) -> Embedder | None:
    """Return the model of a source; one process makes it once for each of its open stores.

    Raises
    ------
    InvalidArgument, MissingExtra
    """
    check_source(source)
    if source is None:
        return None
    made = load_embedder(source) if isinstance(source, str) else source()
    if not isinstance(made, Embedder):
        raise InvalidArgument(f"The function given as embedder returned {type(made).__name__}, not an Embedder.")
    return made


class ProcessCache(Generic[T]):
    """Objects of this process by what they were made for; the least recently used one is closed. Threads may share it.

    A forked child begins with an empty cache: connections do not survive a fork. What is kept when the process ends is
    closed then: drivers warn of a connection that is not.

    Parameters
    ----------
    most : int
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = Lock()
        self._owner = os.getpid()
        self._kept: OrderedDict[Hashable, tuple[T, ExitStack]] = OrderedDict()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._renew_lock)

    def get(self, key: Hashable, make: Callable[[ExitStack], T]) -> T:
        """Return what is kept for a key, or make it. ``make`` is given a stack of what is closed with the object."""
        with self._lock:
            if self._owner != os.getpid():
                self._kept, self._owner = OrderedDict(), os.getpid()
            if key not in self._kept:
                with ExitStack() as closing:
                    made = make(closing)
                    self._kept[key] = made, closing.pop_all()
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)[1][1].close()
            return self._kept[key][0]

    def forget(self, key: Hashable) -> None:
        """Close what is kept for a key, if there is something."""
        with self._lock:
            found: tuple[Any, ExitStack] | None = self._kept.pop(key, None)
        if found is not None and self._owner == os.getpid():
            found[1].close()

    def close(self) -> None:
        """Close all that this process keeps, without the lock: at its end a thread may hold that for good."""
        while self._owner == os.getpid() and self._kept:
            self._kept.popitem()[1][1].close()

    def _renew_lock(self) -> None:
        """Make a new lock in a forked child: a thread of the parent may have held the old one to open something."""
        self._lock = Lock()
