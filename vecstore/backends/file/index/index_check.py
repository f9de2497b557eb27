"""The check of an index file: its bytes, its rows against the stored ones, its walks against scans."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from vecstore.errors import StorageError

from ..search.faiss_threads import in_own_thread
from ..search.graph import Graph
from ..state.open_generation import Volume
from ..state.snapshot import Snapshot
from ..storage.failures import translating
from ..vectors.segment import places_of
from . import index_file
from .coverage import Coverage, stored_rows
from .duplicates import codes_of
from .index_file import IndexRow

_HINT = "Build it again with reindex()."
_SAMPLE = 50
_EF = 256
_LEAST = 0.5
"""So often a walk with that effort comes to the very nearest row in any graph worth its name, on any data."""


def index_problems(volume: Volume, snapshot: Snapshot) -> Iterator[str]:
    """Yield what is wrong with the index of a state; searches are right all the same, or do without it."""
    if snapshot.ledger.index is None:
        return
    row = IndexRow(**snapshot.ledger.index)
    path = volume.paths.index(row.uid)
    try:
        with translating(path):
            graph = index_file.read(path, volume.id, row, volume.schema.metric)
    except StorageError as error:
        with volume.pool.link() as link:
            is_replaced = volume.snapshot(link).ledger.index != snapshot.ledger.index
        if not is_replaced:
            yield str(error)
        return
    parts = snapshot.vectors.parts
    coverage = Coverage.of(graph, parts)
    expected = sum(int(np.count_nonzero(part.alive)) for part in parts) - sum(
        int(np.count_nonzero(part.alive)) for part in coverage.tail
    )
    if coverage.count != expected:
        yield f"{path} lacks {expected - coverage.count:,} rows. {_HINT}"
    if strange := in_own_thread(partial(_strange, graph, snapshot)):
        yield f"{path} has other vectors than are stored, for {strange:,} rows. {_HINT}"
    if len(graph) and (recall := in_own_thread(partial(_recall, graph))) < _LEAST:
        yield f"{path} finds what is nearest in {recall:.0%} of all trials. {_HINT}"


def _strange(graph: Graph, snapshot: Snapshot) -> int:
    """Return how many stored rows have other codes than their vectors should have."""
    coding, scanner = graph.codes.coding, graph.codes.scanner
    coded, count = codes_of(scanner), 0
    for run in stored_rows(snapshot.vectors.parts):
        places, inside = places_of(graph.rids, len(graph), run.rids)
        if inside.any():
            formed = coding.form(run.vectors[inside], run.norms[inside])
            count += int((scanner.sa_encode(formed) != coded[graph.nodes[places[inside]]]).any(axis=1).sum())
    return count


def _recall(graph: Graph) -> float:
    """Return how often a walk finds what a scan finds, with some of the codes as queries."""
    import faiss

    places = np.unique(np.linspace(0, len(graph.codes) - 1, _SAMPLE).astype(np.int64))
    queries = np.stack([graph.codes.scanner.reconstruct(int(place)) for place in places])
    truth, _ = graph.codes.scanner.search(queries, 1)
    found, _ = graph.index.search(queries, 1, params=faiss.SearchParametersHNSW(efSearch=_EF))
    # By distance: of equal rows, each may find others.
    error = 1e-5 * np.abs(truth) + 1e-6
    is_near = found <= truth + error if graph.index.metric_type == faiss.METRIC_L2 else found >= truth - error
    return float(is_near.mean())
