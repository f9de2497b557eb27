"""How long to wait: the clock of wrappers, which a test replaces, and what a service says of when to come again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...errors import VecstoreError

_PASSING = frozenset({"APIConnectionError", "APITimeoutError", "Timeout", "TimeoutException", "TransportError"})
"""Classes of httpx, requests and openai for a connection that failed."""


@dataclass(frozen=True)
class ServiceClock:
    """The time, how to let it pass, and chance.

    Attributes
    ----------
    now : callable
        Seconds since any moment, never going back.
    wall : callable
        Seconds since 1970.
    sleep : callable
    draw : callable
        A number from 0 to 1.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep
    draw: Callable[[], float] = field(default=random.random)


def read_retry_after(value: object, wall: float) -> float | None:
    """Return after how many seconds ``Retry-After`` asks to come again: a number, or a date. None if it is neither."""
    if isinstance(value, int | float):
        return max(0.0, float(value))
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - wall)
    except (ValueError, OverflowError):
        return None


def read_failure(error: BaseException) -> tuple[bool, object]:
    """Return whether the call that failed may succeed later, and what the service says of when.

    Known are vecstore's own errors, what the standard library raises, and by their form the errors of httpx, requests,
    openai and others: a status at the error or at its response, with headers there.
    """
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None)
    after = getattr(error, "retry_after", None)
    if after is None and isinstance(headers, Mapping):
        after = next((headers[name] for name in headers if str(name).lower() == "retry-after"), None)
    if isinstance(error, VecstoreError):
        return error.retryable, after
    for place in (error, response):
        for name in ("status_code", "status", "code"):
            status = getattr(place, name, None)
            if isinstance(status, int) and not isinstance(status, bool):
                return status in (408, 425, 429) or 500 <= status < 600, after
    if isinstance(error, TimeoutError | ConnectionError):
        return True, after
    names = {each.__name__ for each in type(error).__mro__}
    return bool(
        names & {"TransportError", "TimeoutException", "Timeout", "APIConnectionError", "APITimeoutError"}
    ), after
