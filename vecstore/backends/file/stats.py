"""Statistics about a generation, and the state of its index."""

from __future__ import annotations

import numpy as np

from vecstore.backend import IndexState, Stats
from vecstore.index_options import HNSW, IndexOptions

from .index.index_file import IndexRow
from .state.open_generation import OpenGeneration
from .storage import os_calls


def collect_stats(opened: OpenGeneration) -> Stats:
    """Return statistics; see `Backend.stats`."""
    with opened.pool.check_out() as connection:
        snapshot = opened.read_snapshot(connection)
    ledger, tables = snapshot.ledger, snapshot.ledger.tables
    size = sum(segment.row.n for segment in snapshot.vectors.segments)
    live = sum(int(np.count_nonzero(alive)) for alive in snapshot.vectors.alive)
    return Stats(
        records=tables["rows"].count,
        bytes=os_calls.measure_size(opened.paths.root),
        details={
            "segments": tables["segments"].count,
            "hot rows": tables["hot"].count,
            "dead share": round(1 - live / size, 4) if size else 0.0,
            "removals": tables["dead"].count,
            "tombstones": tables["tombstones"].count,
            "noted changes": tables["changes"].count,
            "commit": ledger.seq,
            **({"without vector": ledger.bare} if opened.schema.has_optional_vectors else {}),
            "format": opened.row_format.version,
        },
    )


def read_index_state(opened: OpenGeneration, options: IndexOptions, least: int) -> IndexState:
    """Return the state of the index; see `Backend.index_state`."""
    snapshot = opened.read_newest_snapshot()
    ledger, index = snapshot.ledger, snapshot.ledger.index
    rows, bare = ledger.tables["rows"].count, ledger.bare
    if index is None or not isinstance(options, HNSW):
        return IndexState("none", rows, 0, least, without_vector=bare)
    row = IndexRow(**index)
    if opened.index_cache.find_graph(row) is None:
        return IndexState("invalid", rows, 0, least, without_vector=bare)
    indexed = ledger.vectors - snapshot.vectors.count_after(row.last)
    return IndexState("ready", rows, indexed, least, row.ef_construction, bare)
