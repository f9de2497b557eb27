"""The state of a store's index, as users see it."""

from __future__ import annotations

from dataclasses import dataclass

from .backend import Backend, CalibrationState, Generation, IndexState
from .index_options import Flat


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index of a store.

    Attributes
    ----------
    kind : {"flat", "hnsw", "milvus"}
    state : {"none", "building", "ready", "invalid"}
        ``"none"`` means that every search is exact. A small store has no index yet.
    rows, indexed : int
        Records in the store, and how many of them the index covers. The rest is searched exactly, as far as it has
        vectors.
    ef : int or None
        The calibrated search effort, the default of ``search(ef=…)``. None if the index is not calibrated or
        no effort reaches the target; searches without ``ef`` are exact then.
    target_recall : float or None
    ef_construction : int or None
        With which the index was built.
    recall : float or None
        The mean recall@10 that was measured at ``ef``; without one, the best that any effort reached.
    measured : str or None
        The queries that it was measured with.
    reason : str or None
        Why searches without ``ef`` are exact, and what to do about it. None if they use the index.
    without_vector : int
        Records that have no vector. No search finds them, and no index covers them.
    """

    kind: str
    state: str
    rows: int
    indexed: int
    ef: int | None
    target_recall: float | None
    ef_construction: int | None = None
    recall: float | None = None
    measured: str | None = None
    reason: str | None = None
    without_vector: int = 0


def read_index_status(backend: Backend, present: Generation) -> IndexStatus:
    """Return the status of a generation's index; ``present`` is the catalogue's copy of the generation."""
    state, index = backend.index_state(present), present.schema.index
    target = None if isinstance(index, Flat) else index.target_recall
    found = (present.calibration if state.state == "ready" else None) or CalibrationState()
    return IndexStatus(
        index.kind, state.state, state.rows, state.indexed, present.ef, target, state.ef_construction,
        found.recall, found.measured, explain_exact_search(state, present), state.without_vector,
    )  # fmt: skip


def explain_exact_search(state: IndexState, present: Generation) -> str | None:
    """Say why searches without ``ef`` compare all records; None where they use the index."""
    if isinstance(present.schema.index, Flat):
        return "The index is Flat(). reindex(HNSW()) builds a graph."
    if state.reason is not None:
        return state.reason
    if state.min_rows is None:
        return "This backend builds no graph."
    if state.state == "none":
        if state.vectors < state.min_rows:
            counted = "records with a vector" if state.without_vector else "records"
            return (
                f"The store has {state.vectors:,} {counted}. A write builds the graph from {state.min_rows:,} "
                "(index_min_rows) on, because exact search is as fast before; reindex() builds it now."
            )
        return "The graph is not built yet. The next write builds it, and so does reindex()."
    if state.state == "building":
        return "The graph is being built."
    if state.state == "invalid":
        return "A build was interrupted, or the graph is damaged. reindex() builds it again."
    if present.ef is not None:
        return None
    if present.calibration is None:
        return "The graph was never calibrated. Call calibrate()."
    return present.calibration.reason
