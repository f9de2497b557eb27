"""The graph of one generation as that of another one, which has most of its vectors under other rids.

Building a graph is most of the work of a rebuild, and its nodes depend on nothing but vectors. So where a rebuild keeps
them, the graph is read, its rows get the rids of the other generation, and only records that changed are added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StorageError
from vecstore.index_options import HNSW

from ..search.graph import Graph
from ..state.open_generation import OpenGeneration
from ..state.snapshot import Snapshot
from ..storage.failures import translate_errors
from ..vectors.segment import find_places
from . import index_file
from .graph_build import Report, TooLarge, extend_graph
from .index_file import IndexRow
from .index_policy import is_worn
from .row_order import renumber_rows, restore_order
from .stored_rows import read_stored_rows

_RUN = 4_096
"""Vectors that are compared in one step."""

Reserve = Callable[[int], int]
"""Takes that many new rids, and returns the first of them."""


def carry_graph(
    source: OpenGeneration, snapshot: Snapshot, options: HNSW, reserve: Reserve, report: Report
) -> Graph | None:
    """Return the graph of a generation for the rows of another one; None where there is none, or it is too worn.

    Parameters
    ----------
    source : OpenGeneration
        Its vectors have the form of those of the other one: dim, metric and dtype are equal.
    snapshot : Snapshot
        Of the other one, with a view.
    options : HNSW
    reserve : callable
        Rows of the graph that the other one lacks get rids that no row has or will have: they lead on to others.
    report : callable
    """
    known = source.read_newest_snapshot(view=True)
    row = IndexRow(**known.ledger.index) if known.ledger.index else None
    if row is None or not options.is_graph_of(row.m, row.ef_construction):
        return None
    try:
        with translate_errors(source.paths.indexes):
            graph = index_file.read(
                source.paths.locate_index(row.uid), source.id, row, source.schema.metric, growing=True
            )
    except StorageError:
        return None
    rids = _match_rows(graph.rids, known, snapshot)
    gone = np.flatnonzero(rids < 0)
    if is_worn(len(rids), len(gone)):
        return None
    if len(gone):
        rids[gone] = reserve(len(gone)) + np.arange(len(gone))
    return _add_missing(renumber_rows(graph, rids), snapshot, report)


def _match_rows(rids: NDArray[np.int64], known: Snapshot, snapshot: Snapshot) -> NDArray[np.int64]:
    """Return for each row the rid of the record with its id and vector in another generation's snapshot, or -1."""
    mine, theirs = known.columns, snapshot.columns
    places, inside = find_places(mine.rids, mine.size, rids)
    rows = np.flatnonzero(inside)
    rows = rows[mine.alive[places[rows]]]
    found = theirs.find_positions(mine.get_ids(places[rows]))
    is_there = found >= 0
    if theirs.present is not None:
        is_there[is_there] = theirs.present[found[is_there]]
    rows, others = rows[is_there], theirs.rids[found[is_there]]
    matched = np.full(len(rids), -1, np.int64)
    for start in range(0, len(rows), _RUN):
        some, same = rows[start : start + _RUN], others[start : start + _RUN]
        one, other = known.vectors.gather(rids[some]), snapshot.vectors.gather(same)
        is_equal = (one.view(np.uint8) == other.view(np.uint8)).all(axis=1)
        matched[some[is_equal]] = same[is_equal]
    return matched


def _add_missing(graph: Graph, snapshot: Snapshot, report: Report) -> Graph | None:
    """Return the graph with the stored rows that it lacks; None if one of them does not fit its coding."""
    stored = np.concatenate([np.empty(0, np.int64), *(part.get_stored_rids() for part in snapshot.vectors.parts)])
    missing = np.setdiff1d(stored, graph.rids, assume_unique=True)
    last = snapshot.ledger.next["rid"] - 1
    if not len(missing):
        return replace(graph, last=last)
    parts = [some for part in snapshot.vectors.parts if (some := part.restrict(missing)) is not None]
    try:
        return restore_order(extend_graph(graph, lambda: read_stored_rows(parts), last, report, len(missing)))
    except TooLarge:
        return None
