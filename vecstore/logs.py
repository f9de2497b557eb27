"""Log lines about upkeep. `vecstore.retries` writes those about calls.

No line holds a text, a vector, a metadata value, an id, a URL or a password: only names of stores, kinds of calls,
counts, durations and classes of errors. ``docs/logging.md`` lists the loggers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def log_step(area: str, message: str, *values: object) -> None:
    """Write a line at INFO to the logger ``vecstore.<area>``.

    An application that logs has loaded ``logging``; for others it is not loaded.
    """
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger(f"vecstore.{area}").info(message, *values)


def log_warning(area: str, message: str, *values: object) -> None:
    """Write a line at WARNING, about something that needs attention and no call can tell: each of them succeeds."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger(f"vecstore.{area}").warning(message, *values)


@contextmanager
def log_duration(area: str, message: str, *values: object) -> Iterator[None]:
    """Write a line at INFO when the block ends: what it did and how long that took, or the class of its error."""
    began = time.perf_counter()
    try:
        yield
    except BaseException as error:
        seconds = time.perf_counter() - began
        log_step(area, f"{message}: %s after %.1f s", *values, type(error).__name__, seconds)
        raise
    log_step(area, f"{message} in %.1f s", *values, time.perf_counter() - began)
