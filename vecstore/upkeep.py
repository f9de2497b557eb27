"""The upkeep after a write, and the calibration of an index that it built. A failure is only a warning."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from .backend import Generation, HeldOut
from .errors import StorageError, StoreLocked, StoreMoved, StoreNotFound, UnknownOutcome
from .index_options import HNSW
from .logs import log_duration, log_step
from .lookup import CurrentEntry
from .progress import Progress
from .retries import Attempts

if TYPE_CHECKING:
    from .calibration.calibrate import Calibration


class UpkeepWarning(UserWarning):
    """The records were written, but the upkeep of the index failed: searches are correct, perhaps slower."""


class UnusedIndexWarning(UserWarning):
    """An index was built, but searches without ``ef`` do not use it: they are exact, so correct but slower."""


def tend(current: CurrentEntry, changed: int, on_progress: Progress | None = None, *, stacklevel: int = 3) -> None:
    """Do the upkeep that is due after a write of ``changed`` records, which are committed whatever happens here."""
    if not changed:
        return
    attempts = Attempts(current)
    try:
        while True:
            with attempts as generation:
                began = time.perf_counter()
                calibration = IndexCalibration(current, on_progress)
                if current.backend.tend(generation, on_progress, calibration.measure):
                    seconds = time.perf_counter() - began
                    log_step("upkeep", "index of store %s built or extended in %.1f s", current.entry.name, seconds)
                    calibration.finish(generation, stacklevel=stacklevel + 1)
                return
    except (StoreLocked, StoreNotFound, StoreMoved):  # another process does the upkeep, or the store is gone
        return
    except (StorageError, UnknownOutcome, MemoryError) as error:
        reason = str(error) or "there was too little memory."
        warnings.warn(
            f"The records are written to store {current.entry.name!r}, but the upkeep after the write failed: {reason} "
            "Searches are still correct but may be slower. Fix the cause, then call reindex() and compact().",
            UpkeepWarning,
            stacklevel=stacklevel,
        )
    except BaseException as error:  # an interrupt, or the caller's function
        error.add_note(f"vecstore: the {changed} records of this call are written; the upkeep was interrupted.")
        raise


class IndexCalibration:
    """Calibrates the index of a store's active generation, also while it is built, and warns if no effort was found.

    Parameters
    ----------
    current : CurrentEntry
    on_progress : callable, optional
    """

    def __init__(self, current: CurrentEntry, on_progress: Progress | None) -> None:
        self._current = current
        self._on_progress = on_progress
        self._loaded: Calibration | None = None

    def measure(self, held_out: HeldOut, options: HNSW) -> None:
        """Measure a graph that is being built; for `Backend.build_index`."""
        self._load().measure(held_out, options)

    def finish(self, generation: Generation, *, stacklevel: int) -> Generation:
        """Calibrate an index that was built or extended, build it again if that pays, and return the generation."""
        return self._settle(self._load().finish, generation, stacklevel + 1)

    def calibrate(self, generation: Generation, *, stacklevel: int) -> Generation:
        """Calibrate an index as it is, and return the generation."""
        return self._settle(self._load().calibrate, generation, stacklevel + 1)

    def _load(self) -> Calibration:
        if self._loaded is None:  # most writes measure nothing
            from .calibration.calibrate import Calibration

            self._loaded = Calibration(self._current.backend, self._current.entry, self._on_progress)
        return self._loaded

    def _settle(self, calibrate: Callable[[Generation], Generation], generation: Generation, level: int) -> Generation:
        from .calibration.calibrate import CHEAPER

        current = self._current
        with log_duration("upkeep", "store %s calibrated", current.entry.name):
            present = calibrate(generation)
        log_step("upkeep", "store %s searches with ef=%s", current.entry.name, present.ef)
        current.set_active(present)
        if present.calibration is not None and present.calibration.reason not in {None, CHEAPER}:
            warnings.warn(
                f"The index of store {current.entry.name!r} is built, but searches stay exact: "
                f"{present.calibration.reason} index_status() says the same.",
                UnusedIndexWarning,
                stacklevel=level,
            )
        return present
