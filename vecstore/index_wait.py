"""Waiting until searches use an index that another engine builds in the background."""

from __future__ import annotations

import threading
import time

from .backend import Generation
from .index_status import explain_exact_search
from .lookup import CurrentEntry
from .retries import Attempts
from .upkeep import IndexCalibration

_LOOK, _STANDSTILL = 0.5, 30.0
"""Seconds between two looks at the index, and for how many it may grow no further."""


class Stopped(BaseException):
    """Ends a step, past the handlers of a backend: the caller wants to stop."""


def wait_for_index(current: CurrentEntry, stop: threading.Event) -> tuple[bool, str | None]:
    """Wait until the index of a store is read by searches and measured, as long as it grows.

    Returns
    -------
    bool
        Whether there is nothing to wait for any more.
    str or None
        Why searches without ``ef`` compare all records; None where they use the index.

    Raises
    ------
    Stopped
    VecstoreError
    """

    def keep_on(*_progress: object) -> None:
        if stop.is_set():
            raise Stopped

    attempts, seen, until = Attempts(current), -1, time.monotonic() + _STANDSTILL
    while True:
        keep_on()
        with attempts as generation:
            index, present = current.backend.index_state(generation), current.read_active(generation)
            if index.state == "ready" and _is_unmeasured(present):
                present = IndexCalibration(current, keep_on).finish(present, stacklevel=4)
                index = current.backend.index_state(present)
            said = explain_exact_search(index, present)
            # An index may have everything, and not be asked for another reason.
            if index.state != "building" or index.indexed >= index.vectors:
                return index.state != "invalid", said
            if index.indexed > seen:
                seen, until = index.indexed, time.monotonic() + _STANDSTILL
            elif time.monotonic() >= until:
                return False, said
        stop.wait(_LOOK)


def _is_unmeasured(generation: Generation) -> bool:
    return generation.ef is None and generation.calibration is None
