"""Upkeep that is the same on every backend: calibrate an index that was built."""

from __future__ import annotations

from dataclasses import replace

from ..backend import Backend, Entry, Generation
from ..index import HNSW
from ..rebuild.lookup import find_generation
from .calibrate import QUERIES, K, smallest_ef
from .probes import Probes

_UNFINISHED = frozenset({"building", "invalid"})


class UpkeepWarning(UserWarning):
    """Records were written, the upkeep of the index after it failed: searches are right, perhaps slower."""


def calibrated(backend: Backend, entry: Entry, generation: Generation) -> Generation:
    """Measure which search effort reaches the target recall, store it, and return the generation as it is then.

    An index that is not finished has no effort to measure and keeps what it has.

    Raises
    ------
    StoreNotFound, Superseded
    """
    measured = find_generation(backend, entry, generation)
    index, state = measured.schema.index, backend.index_state(measured).state
    if state in _UNFINISHED:
        return measured
    ef = None
    if isinstance(index, HNSW) and state == "ready":
        probes = Probes.drawn(backend, measured, QUERIES, K).distinct().leaning()
        ef = smallest_ef(probes.ask, list(probes.parts()), index.target_recall)
    # Again, or a change of identity that was made meanwhile would be undone.
    present = find_generation(backend, entry, generation)
    if present.ef == ef or present.schema.index != index:
        return present
    present = replace(present, ef=ef)
    backend.amend(present)
    return present
