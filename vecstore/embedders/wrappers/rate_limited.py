"""Calls of a service at the pace that it allows."""

from __future__ import annotations

import threading
from contextlib import nullcontext

from numpy.typing import ArrayLike

from ...errors import InvalidArgument
from ..base import Embedder, Role, T, check_whole
from .retrying import Retrying
from .waiting import ServiceClock
from .wrapper import Wrapper

_MINUTE = 60.0
_CHARACTERS = 4
"""In a token of text, about, where the adapter cannot count."""


class RateLimited(Wrapper[T]):
    """Call no more often than a service allows, over all threads that share the instance.

    Calls are spread evenly: a batch waits until those before it are paid for. A batch of more tokens than a minute
    allows is sent all the same, and the next one waits for as long as it takes.

    Parameters
    ----------
    inner : Embedder
    requests_per_minute, tokens_per_minute : int, optional
    concurrency : int, optional
        Calls at the same time at most.
    clock : ServiceClock, optional
        For tests.
    """

    def __init__(
        self,
        inner: Embedder[T],
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        concurrency: int | None = None,
        clock: ServiceClock | None = None,
    ) -> None:
        super().__init__(inner)
        below: Embedder[T] = inner
        while isinstance(below, Wrapper):
            if isinstance(below, Retrying):  # what it repeats would not pass through here
                raise InvalidArgument(
                    "Repeated calls have to keep the pace too. Wrap in this order: Retrying(RateLimited(…))."
                )
            below = below._inner
        limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
        given = {name: check_whole(name, limit) for name, limit in limits.items() if limit is not None}
        if not given and concurrency is None:
            raise InvalidArgument("RateLimited takes requests_per_minute=, tokens_per_minute= or concurrency=.")
        self._limits = (given.get("requests_per_minute"), given.get("tokens_per_minute"))
        self._slots = nullcontext() if concurrency is None else threading.BoundedSemaphore(
            check_whole("concurrency", concurrency)
        )  # fmt: skip
        self._clock = ServiceClock() if clock is None else clock
        self._pace = threading.Lock()
        self._paid_until = [0.0, 0.0]

    def _encode(self, items: list[T], role: Role, /) -> ArrayLike:
        with self._slots:
            wait = self._reserve((1, self._measure(items, role)))
            if wait > 0:
                self._clock.sleep(wait)
            return super()._encode(items, role)

    def _reserve(self, costs: tuple[int, int]) -> float:
        """Take a place in the queue of both limits, and return the seconds until it is there."""
        with self._pace:
            now = self._clock.now()
            start = max([now, *(until for limit, until in zip(self._limits, self._paid_until, strict=True) if limit)])
            for place, (limit, cost) in enumerate(zip(self._limits, costs, strict=True)):
                if limit:
                    self._paid_until[place] = start + _MINUTE * cost / limit
            return start - now

    def _measure(self, items: list[T], role: Role) -> int:
        """Return the tokens of a batch, which cost something only where they are limited."""
        if self._limits[1] is None:
            return 0
        texts: list[str] = [item for item in items if isinstance(item, str)]
        if texts and self._max_tokens() is not None:
            return sum(self._count_tokens(texts, role))
        return max(1, sum(map(len, texts)) // _CHARACTERS)
