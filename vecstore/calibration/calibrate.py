"""Calibration: find the smallest search effort with which an index reaches its target recall.

The effort that a recall needs depends on the data. It is therefore measured on the data: queries that lie between
stored vectors are searched with a ladder of efforts, and the answers are compared with exact search.
"""

from __future__ import annotations

from dataclasses import replace

from ..backend import Backend, CalibrationState, Entry, Generation
from ..index_options import HNSW
from ..lookup import find_generation
from ..progress import Progress
from .effort import LADDER, Clock, Effort, Outcome, find_smallest_ef
from .probes import Probes

QUERIES = 200
K = 10
CHEAPER = "Comparing all records costs less than a search of the graph that reaches target_recall."
"""Why a small store has no effort; nothing is amiss then."""

_UNFINISHED = frozenset({"building", "invalid"})


def calibrate(
    backend: Backend, entry: Entry, generation: Generation, on_progress: Progress | None = None
) -> Generation:
    """Find the search effort that reaches the target recall, store it, and return the amended generation.

    An unfinished index cannot be measured and keeps its effort, and so does one for which the time was too short.

    Raises
    ------
    StoreNotFound, Superseded
    """
    measured = find_generation(backend, entry, generation)
    index, state = measured.schema.index, backend.index_state(measured).state
    if state in _UNFINISHED:
        return measured
    ef, calibration = None, None
    if isinstance(index, HNSW) and state == "ready":
        clock = Clock(on_progress)
        probes = Probes.draw(backend, measured, QUERIES, K).deduplicate().rotate()
        effort = find_smallest_ef(probes.ask, list(probes.cut_parts()), index.target_recall, clock)
        clock.finish()
        if effort.outcome is Outcome.UNFINISHED and measured.ef is not None:
            return measured
        ef, calibration = effort.ef, _describe_effort(effort, "far probes", index)
    # Look it up again: amend() would undo a concurrent change of identity.
    present = find_generation(backend, entry, generation)
    if (present.ef, present.calibration) == (ef, calibration) or present.schema.index != index:
        return present
    present = replace(present, ef=ef, calibration=calibration)
    backend.amend(present)
    return present


def _describe_effort(effort: Effort, measured: str, index: HNSW) -> CalibrationState:
    reason = {
        Outcome.FOUND: None,
        Outcome.MISSED: (
            f"No effort up to {LADDER[-1]:,} reaches target_recall={index.target_recall:g}. Lower it, or build a "
            "denser graph: reindex(HNSW(m=…, ef_construction=…))."
        ),
        Outcome.EXACT: CHEAPER,
        Outcome.UNFINISHED: "The time was too short to measure recall. Call calibrate() when the store is less busy.",
    }[effort.outcome]
    return CalibrationState(None if effort.recall is None else measured, effort.recall, reason)
