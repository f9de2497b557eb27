"""Rollback: switch back to the generation that the last rebuild replaced."""

from __future__ import annotations

import time
from contextlib import suppress

from ..backend import Backend, Entry
from ..calibration.calibrate import Calibration
from ..errors import InvalidArgument, StoreLocked
from ..lookup import check_settled, find_again
from ..store_embedder import StoreEmbedder
from .catch_up import CatchUp
from .comparison import Comparison
from .copy import Copy
from .switch import Rebuilt, report_lost_generation, switch_to_copy
from .target import check_vectors


def rollback(backend: Backend, entry: Entry, embedder: StoreEmbedder) -> Rebuilt:
    """Switch back to the generation that the last rebuild replaced, including all later writes.

    A rebuild that failed since is given up; if no earlier one was finished here, that is all. What was written while it
    ran is not in the change list, so both generations are compared, as before every switch, and what differs is copied
    again.
    """
    began = time.monotonic()
    with backend.builder(entry.uid), report_lost_generation(backend, entry):
        entry = find_again(backend, entry)
        check_settled(entry)
        previous = entry.previous
        # Of a store that a move or a load has brought, the previous generation is a line in the catalogue.
        if entry.building is not None and (previous is None or previous.remote is not None):
            backend.drop(entry.uid, entry.building.id)
            return Rebuilt(backend.count(entry.active, None), 0, 0, False, 1.0, time.monotonic() - began)
        if previous is None or (previous.remote is not None and previous.remote.kind == "load"):
            raise InvalidArgument(f"Store {entry.name!r} has no previous generation to go back to.")
        if previous.remote is not None:
            raise InvalidArgument(
                f"Store {entry.name!r} came here from another Database. The way back is move_back(), called on "
                f"store {previous.remote.name!r} there."
            )
        check_vectors(backend, entry, previous.schema)
        backend.check_rebuildable(entry)
        if entry.building is not None:
            backend.drop(entry.uid, entry.building.id)
            entry = find_again(backend, entry)
        copy = Copy(backend, entry.active, previous, embedder, entry.name)
        catch_up = CatchUp(copy)
        catch_up.run()
        comparison = Comparison(copy)
        comparison.find_suspects()
        catch_up.copy_again(comparison.suspects)
        catch_up.copy_again(comparison.find_extra())
        with suppress(StoreLocked):  # another process does the upkeep, before or after the switch
            calibration = Calibration(backend, entry)
            if backend.tend(previous, measure=calibration.measure):
                calibration.finish(previous)
        return switch_to_copy(backend, entry, copy, catch_up, comparison, began, keep_previous=True)
