"""The upkeep after a write, and the calibration of an index that it built. A failure is only a warning."""

from __future__ import annotations

import time
import warnings

from .backend import Generation
from .errors import StorageError, StoreLocked, StoreNotFound, UnknownOutcome
from .logs import log_duration, log_step
from .lookup import CurrentEntry
from .progress import Progress
from .retries import Attempts


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
                if current.backend.tend(generation, on_progress):
                    seconds = time.perf_counter() - began
                    log_step("upkeep", "index of store %s built or extended in %.1f s", current.entry.name, seconds)
                    calibrate_active(current, generation, on_progress, stacklevel=stacklevel + 1)
                return
    except (StoreLocked, StoreNotFound):  # another process does the upkeep, or the store was dropped
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


def calibrate_active(
    current: CurrentEntry, generation: Generation, on_progress: Progress | None, *, stacklevel: int
) -> Generation:
    """Calibrate the index of the active generation, warn if no effort was found, and return the generation with it."""
    from .calibration.calibrate import CHEAPER, calibrate

    with log_duration("upkeep", "store %s calibrated", current.entry.name):
        present = calibrate(current.backend, current.entry, generation, on_progress)
    log_step("upkeep", "store %s searches with ef=%s", current.entry.name, present.ef)
    current.set_active(present)
    if present.calibration is not None and present.calibration.reason not in {None, CHEAPER}:
        warnings.warn(
            f"The index of store {current.entry.name!r} is built, but searches stay exact: "
            f"{present.calibration.reason} index_status() says the same.",
            UnusedIndexWarning,
            stacklevel=stacklevel,
        )
    return present
