"""The turnstile: threads that search in this process pass the parts that compute in Python one at a time.

Such a part gives Python's lock up at each call of the system. Threads that wait for that lock are then woken in vain,
again and again, and eight threads find less in a second than two. Waiting here wakes one thread, once.

It is only about speed: who has waited too long goes on without a turn, and so does everybody for a while after a turn
that took long, because that was spent on the disk, or in a library that computes without Python's lock.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Self

_PATIENCE = 0.01
"""Seconds to wait for a turn."""
_LONG = 0.002
"""Seconds of a turn after which nobody waits, for `_OPEN` seconds."""
_OPEN = 1.0


class _Gate:
    """Who has the turn."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open_until = 0.0


class _Own(threading.local):
    turn: Turn | None = None
    """The turn that this thread has or waits for."""


_gate = _Gate()
_own = _Own()


class Turn:
    """A turn while the context lasts; inside another one of the same thread, nothing."""

    __slots__ = ("_began", "_gate", "_is_outer")

    def __enter__(self) -> Self:
        self._gate: _Gate | None = None
        self._is_outer = _own.turn is None
        if self._is_outer:
            _own.turn = self
            self.take()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_outer:
            _own.turn = None
            self.give_up()

    def take(self) -> None:
        """Wait for the turn, but not for long."""
        gate, self._began = _gate, time.monotonic()
        if self._began < gate.open_until:
            return
        if gate.lock.acquire(timeout=_PATIENCE):
            self._gate, self._began = gate, time.monotonic()
        else:
            _start_over()  # an interrupt may have come between a turn and its end

    def give_up(self) -> None:
        """Let the next thread pass."""
        gate, self._gate = self._gate, None
        if gate is not None:
            ended = time.monotonic()
            if ended - self._began > _LONG:
                gate.open_until = ended + _OPEN
            gate.lock.release()


class outside_turn:
    """While the context lasts, this thread computes without Python's lock and leaves its turn to others."""

    __slots__ = ("_turn",)

    def __enter__(self) -> None:
        self._turn = _own.turn
        if self._turn is not None:
            self._turn.give_up()

    def __exit__(self, *_: object) -> None:
        if self._turn is not None:
            self._turn.take()


def _start_over() -> None:
    """Forget who has the turn: in a forked child, that may be a thread of the parent."""
    global _gate
    _gate = _Gate()


os.register_at_fork(after_in_child=_start_over)
