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

    def __init__(self, open_until: float) -> None:
        self.lock = threading.Lock()
        self.open_until = open_until
        self.turns = 0
        """How many have begun: who has waited in vain sees whether one turn was long or many others were there."""


class _Own(threading.local):
    turn: Turn | None = None
    """The turn that this thread has or waits for."""


_gate = _Gate(0.0)
_own = _Own()


class Turn:
    """A turn while the context lasts; inside another one of the same thread, nothing."""

    __slots__ = ("_began", "_gate", "_is_outer")

    def __enter__(self) -> Self:
        self._gate: _Gate | None = None
        self._is_outer = _own.turn is None
        if self._is_outer:
            _own.turn = self
            try:
                self.take()
            except BaseException:  # an interrupt: without the context, nobody would end the turn
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_outer:
            _own.turn = None
            self.give_up()

    def take(self) -> None:
        """Wait for the turn, but not for long."""
        gate = _gate
        if time.monotonic() < gate.open_until:
            return
        turns = gate.turns
        if gate.lock.acquire(timeout=_PATIENCE):
            self._began = time.monotonic()
            if self._began < gate.open_until:  # the turn before was long
                gate.lock.release()
                return
            gate.turns += 1
            self._gate = gate
        elif gate.turns == turns:
            # It was one turn, which is long, or an interrupt has come before its end.
            _start_over(time.monotonic() + _OPEN)

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


def _start_over(open_until: float = 0.0) -> None:
    """Forget who has the turn: in a forked child, that may be a thread of the parent."""
    global _gate
    _gate = _Gate(open_until)


os.register_at_fork(after_in_child=_start_over)
