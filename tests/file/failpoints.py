"""Puts a failure into the place of one call to the operating system."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

from vecstore.backends.file.storage import os_calls

_CALLS = {
    "os": (
        "open", "close", "write", "fsync", "rename", "unlink", "mkdir", "rmdir", "listdir", "lstat", "fstat", "pread",
        "preadv", "pwrite",
    ),
    "fcntl": ("flock",),
}  # fmt: skip
_MODULES: dict[str, ModuleType] = {"os": os, "fcntl": fcntl}

Act = Callable[[], None]


def _raise(error: BaseException) -> Act:
    def act() -> None:
        raise error

    return act


FAILURES: dict[str, Act] = {
    "EIO": _raise(OSError(errno.EIO, "injected")),
    "ENOSPC": _raise(OSError(errno.ENOSPC, "injected")),
    "interrupt": _raise(KeyboardInterrupt()),
    "memory": _raise(MemoryError("injected")),
    "exit": lambda: os._exit(77),
}


class Watch:
    """Counts calls; at the chosen one, before or after it, acts."""

    def __init__(self, at: int = -1, act: Act = lambda: None, *, after: bool = False, only: str = "") -> None:
        self.calls: list[str] = []
        self._at = at
        self._act = act
        self._after = after
        self._only = only

    @property
    def lost(self) -> int:
        """Descriptors that cannot be closed: opened, or left open, by the call that failed."""
        struck = self.calls[self._at] if 0 <= self._at < len(self.calls) else ""
        return int(struck == ("open" if self._after else "close"))

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._only and name != self._only:
                return function(*args, **kwargs)
            number = len(self.calls)
            self.calls.append(name)
            if number == self._at and not self._after:
                self._act()
            result = function(*args, **kwargs)
            if number == self._at and self._after:
                self._act()
            return result

        return call


@contextmanager
def watch_calls(watch: Watch) -> Iterator[Watch]:
    """Let every call of the backend go through a watch."""
    for module, names in _CALLS.items():
        real = _MODULES[module]
        proxy = SimpleNamespace(**{name: getattr(real, name) for name in dir(real)})
        for name in names:
            setattr(proxy, name, watch.wrap(name, getattr(real, name)))
        setattr(os_calls, module, proxy)
    try:
        yield watch
    finally:
        for module, real in _MODULES.items():
            setattr(os_calls, module, real)
