"""Calls of a service that are made again: after 429, 5xx and time-outs, and not for ever."""

from __future__ import annotations

import logging

from numpy.typing import ArrayLike

from ...arguments import is_finite
from ...errors import InvalidArgument
from ..base import Embedder, Role, T, check_whole
from .waiting import ServiceClock, read_failure, read_retry_after
from .wrapper import Wrapper


class Retrying(Wrapper[T]):
    """Repeat a batch that failed for a passing reason.

    The wait before the n-th repetition is drawn from 0 to ``first_wait`` · 2ⁿ⁻¹ seconds, at most ``longest_wait``
    ("full jitter"), so that many clients do not come back at once. Where the service says ``Retry-After``, in seconds
    or as a date, the wait is at least that.

    Parameters
    ----------
    inner : Embedder
        If its client repeats calls too, switch that off there: repetitions multiply.
    attempts : int
        Calls of a batch at most.
    budget : float
        Seconds after which a batch is given up: no wait begins that would end later.
    first_wait, longest_wait : float
        Seconds.
    clock : ServiceClock, optional
        For tests.
    """

    def __init__(
        self,
        inner: Embedder[T],
        *,
        attempts: int = 6,
        budget: float = 120.0,
        first_wait: float = 1.0,
        longest_wait: float = 30.0,
        clock: ServiceClock | None = None,
    ) -> None:
        super().__init__(inner)
        self._attempts = check_whole("attempts", attempts)
        for name, value in (("budget", budget), ("first_wait", first_wait), ("longest_wait", longest_wait)):
            if not is_finite(value) or value < 0:
                raise InvalidArgument(f"{name} must be a number of seconds, not {value!r}.")
        self._budget, self._first_wait, self._longest_wait = float(budget), float(first_wait), float(longest_wait)
        self._clock = ServiceClock() if clock is None else clock

    def _encode(self, items: list[T], role: Role, /) -> ArrayLike:
        began = self._clock.now()
        for attempt in range(1, self._attempts):
            try:
                return super()._encode(items, role)
            except BaseException as error:
                may_succeed, after = read_failure(error)
                if not may_succeed or not isinstance(error, Exception):
                    raise
                wait = min(self._longest_wait, self._first_wait * 2 ** (attempt - 1)) * self._clock.draw()
                asked = read_retry_after(after, self._clock.wall())
                if asked is not None:
                    wait += asked
                if self._clock.now() - began + wait > self._budget:
                    error.add_note(f"vecstore: given up after {attempt} attempts; the next would exceed the budget.")
                    raise
                logging.getLogger("vecstore.embedders").info(
                    "%s failed with %s; attempt %d follows in %.1f s.",
                    self.name,
                    type(error).__name__,
                    attempt + 1,
                    wait,
                )
            self._clock.sleep(wait)
        return super()._encode(items, role)
