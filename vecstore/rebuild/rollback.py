"""Rollback: switch back to the generation that the last rebuild replaced."""

from __future__ import annotations

import time
from contextlib import suppress

from ..backend import Backend, Entry
from ..calibration.calibrate import calibrate
from ..errors import InvalidArgument, StoreLocked
from ..lookup import find_again
from ..store_embedder import StoreEmbedder
from .catch_up import CatchUp
from .copy import Copy
from .switch import Rebuilt, report_lost_generation, switch_to_copy


def rollback(backend: Backend, entry: Entry, embedder: StoreEmbedder) -> Rebuilt:
    """Switch back to the generation that the last rebuild replaced, including all later writes."""
    began = time.monotonic()
    with backend.builder(entry.uid), report_lost_generation(backend, entry):
        entry = find_again(backend, entry)
        if entry.previous is None:
            raise InvalidArgument(f"Store {entry.name!r} has no previous generation to go back to.")
        copy = Copy(backend, entry.active, entry.previous, embedder, entry.name)
        catch_up = CatchUp(backend, copy)
        catch_up.run()
        with suppress(StoreLocked):  # another process does the upkeep, before or after the switch
            if backend.tend(entry.previous):
                calibrate(backend, entry, entry.previous)
        return switch_to_copy(backend, entry, copy, catch_up, began, keep_previous=True)
