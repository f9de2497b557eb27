"""Rebuild: fill a new generation beside the active one while writes continue, then switch to it.

The steps are prepare the target, copy, catch up, index, compare and switch; each has its file. The index is built
and calibrated before the switch, so searches are fast right after it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from ..backend import Backend, Entry, Generation
from ..calibration.calibrate import Calibration
from ..errors import InvalidArgument, StoreCorrupt
from ..logs import log_duration
from ..lookup import check_settled, find_again, find_generation
from ..store_embedder import StoreEmbedder
from .catch_up import CatchUp
from .comparison import Comparison
from .copy import Copy
from .pace import Pace
from .switch import Rebuilt, report_lost_generation, switch_to_copy
from .target import check_vectors, is_unchanged, prepare_target


def rebuild(
    backend: Backend, entry: Entry, wanted: Generation, embedder: StoreEmbedder, pace: Pace, *, keep_previous: bool
) -> Rebuilt:
    """Fill ``wanted`` beside the active generation and switch to it; see `Database.rebuild`."""
    with backend.builder(entry.uid), report_lost_generation(backend, entry):
        entry = find_again(backend, entry)
        return rebuild_as_builder(backend, entry, wanted, embedder, pace, keep_previous=keep_previous)


def rebuild_as_builder(
    backend: Backend, entry: Entry, wanted: Generation, embedder: StoreEmbedder, pace: Pace, *, keep_previous: bool
) -> Rebuilt:
    """Do what `rebuild` does; the caller is the store's builder and has just read the entry."""
    began = time.monotonic()
    check_settled(entry)
    if is_unchanged(entry.active, wanted):
        return _leave_unchanged(backend, entry, began)
    check_vectors(backend, entry, wanted.schema)
    backend.check_rebuildable(entry)
    entry = prepare_target(backend, entry, wanted)
    if entry.building is None:
        raise InvalidArgument(f"Store {entry.name!r} has no generation under construction.")
    copy = Copy(backend, entry.active, entry.building, embedder, entry.name)
    catch_up = CatchUp(copy)
    comparison = Comparison(copy)
    try:
        with log_duration("rebuild", "store %s copied", entry.name):
            copy.backfill(pace)
            catch_up.run()
        with log_duration("rebuild", "new index of store %s built and calibrated", entry.name):
            _build_index(backend, entry, copy, pace)
        with log_duration("rebuild", "copy of store %s compared", entry.name):
            catch_up.run()
            comparison.find_suspects(partial(pace.report, "comparing"))
        with log_duration("rebuild", "store %s switched to the new generation", entry.name):
            return switch_to_copy(backend, entry, copy, catch_up, comparison, began, keep_previous=keep_previous)
    except StoreCorrupt:
        backend.drop(entry.uid, entry.building.id)  # or the next rebuild would resume the same bad copy
        raise


def _build_index(backend: Backend, entry: Entry, copy: Copy, pace: Pace) -> None:
    """Give the copy the index of its source and its search effort, where the vectors stay; or build and calibrate."""
    source, target = copy.source, copy.target
    if copy.keeps_vectors and backend.carry_index(source, target, pace.on_progress):
        known = find_again(backend, entry).active
        if known.calibration is not None and known.schema.index == target.schema.index:
            present = find_generation(backend, entry, target)
            backend.amend(replace(present, ef=known.ef, calibration=known.calibration))
            return
        Calibration(backend, entry, pace.on_progress).calibrate(target)
        return
    calibration = Calibration(backend, entry, pace.on_progress)
    if _deserves_index(backend, entry, target):
        backend.build_index(target, pace.on_progress, calibration.measure, copy.find_ef_construction())
    calibration.finish(target)


def _leave_unchanged(backend: Backend, entry: Entry, began: float) -> Rebuilt:
    """Copy nothing and keep the way back; only what an interrupted rebuild left is dropped."""
    if entry.building is not None:
        backend.drop(entry.uid, entry.building.id)
    return Rebuilt(backend.count(entry.active, None), 0, 0, False, 1.0, time.monotonic() - began, changed=False)


def _deserves_index(backend: Backend, entry: Entry, building: Generation) -> bool:
    """Say whether a write would build the index, or the active generation has one that somebody asked for."""
    state = backend.index_state(building)
    if state.state != "none" or state.vectors >= (state.min_rows or 0):
        return True
    return backend.index_state(entry.active).state != "none"
