"""Times and their medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def time_call(call: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that a call took, and its result."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def summarize(seconds: Sequence[float]) -> dict[str, Any]:
    """Return the median and the 99th percentile in milliseconds, and the number of calls."""
    milliseconds = np.asarray(seconds) * 1e3
    return {
        "median_ms": float(np.median(milliseconds)),
        "p99_ms": float(np.percentile(milliseconds, 99)),
        "calls": len(seconds),
    }
