"""The state of a store's index, as users see it."""

from __future__ import annotations

from dataclasses import dataclass

from .backend import Backend, Generation
from .index_options import HNSW


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index of a store.

    Attributes
    ----------
    kind : {"flat", "hnsw"}
    state : {"none", "building", "ready", "invalid"}
        ``"none"`` means that every search is exact. A small store has no index yet.
    rows, indexed : int
        Records in the store, and how many of them the index covers. The rest is searched exactly.
    ef : int or None
        The calibrated search effort, the default of ``search(ef=…)``. None if the index is not calibrated or
        no effort reaches the target; searches without ``ef`` are exact then.
    target_recall : float or None
    """

    kind: str
    state: str
    rows: int
    indexed: int
    ef: int | None
    target_recall: float | None


def read_index_status(backend: Backend, present: Generation) -> IndexStatus:
    """Return the status of a generation's index; ``present`` is the catalogue's copy of the generation."""
    state, index = backend.index_state(present), present.schema.index
    target = index.target_recall if isinstance(index, HNSW) else None
    return IndexStatus(index.kind, state.state, state.rows, state.indexed, present.ef, target)
