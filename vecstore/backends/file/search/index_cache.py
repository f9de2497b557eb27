"""What this process has derived from a generation's vectors: the graph from its file, and codes of segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import StorageError
from vecstore.index import HNSW, IndexOptions
from vecstore.metric import Metric

from ..index import index_file
from ..index.coverage import Coverage
from ..index.index_file import IndexRow
from ..state.columns import View
from ..state.fields import Mask
from ..storage.failures import translating
from ..storage.layout import GenerationLayout
from ..vectors.vectors import Part, Vectors
from .codes import Codes
from .exact_codes import Sheet
from .faiss_threads import apart
from .graph import Graph

_LEAST = 1_024
"""Codes of fewer rows are not worth while."""
_AT_ONCE = 65_536
"""So many rows one search codes at most, for those that come after."""


@dataclass(slots=True, eq=False)
class _Known:
    """The vectors of a segment, which keep their address while they stand here, and what is known of them."""

    vectors: NDArray[Any]
    scans: int = 0
    codes: Codes | None = None


class Shelf:
    """Derived from stored vectors, and never needed: what is not here is searched without it."""

    def __init__(self, paths: GenerationLayout, generation: str, metric: Metric) -> None:
        self._paths = paths
        self._generation = generation
        self._metric = metric
        self._lock = Lock()
        self._graph: tuple[str, Graph | None] = ("", None)
        self._coverage: tuple[Vectors | None, Coverage | None] = (None, None)
        self._codes: dict[int, _Known] = {}

    # -- the graph

    def put(self, uid: str, graph: Graph) -> None:
        """Take a graph that this process has made itself."""
        with self._lock:
            self._graph = uid, graph

    def graph(self, row: IndexRow) -> Graph | None:
        """Return the graph that the ledger names, None where its file is missing or damaged."""
        known = self._graph
        if known[0] != row.uid:
            with self._lock:
                known = self._graph
                if known[0] != row.uid:
                    known = self._graph = row.uid, self._loaded(row)
        return known[1]

    def is_unreadable(self, row: IndexRow) -> bool:
        """Say whether this process has tried to read an index in vain."""
        return self._graph == (row.uid, None)

    def _loaded(self, row: IndexRow) -> Graph | None:
        path = self._paths.index(row.uid)
        try:
            with translating(path):
                return index_file.read(path, self._generation, row, self._metric)
        except StorageError:
            return None

    def coverage(self, vectors: Vectors, index: dict[str, Any] | None, options: IndexOptions) -> Coverage | None:
        """Return what the graph covers of some vectors, None where there is no graph or none is wanted."""
        if index is None or not isinstance(options, HNSW):
            return None
        graph = self.graph(IndexRow(**index))
        if graph is None:
            return None
        of, known = self._coverage
        if of is vectors and known and known.graph is graph:
            return known
        made = Coverage.of(graph, vectors.parts, known)
        self._coverage = vectors, made
        return made

    # -- codes

    def sheets(
        self, vectors: Vectors, coverage: Coverage | None, view: View | None, keep: Mask | None
    ) -> tuple[list[Sheet], list[Part]]:
        """Return what there is as codes, and the parts that there are no codes of, all their rows.

        Parameters
        ----------
        vectors : Vectors
        coverage : Coverage or None
        view : View or None
            Where there is a filter.
        keep : ndarray of bool or None
            Which rows of the view count.
        """
        sheets, rest = [], []
        rids = None if view is None or keep is None else view.rids[keep]
        for part in vectors.parts if coverage is None else coverage.tail:
            codes = self._codes_of(part)
            counted: Part | None = part if rids is None else part.restricted(rids)
            if codes is None:
                rest.append(part)
            elif counted is not None:
                alive = None if rids is None and part.alive.all() else counted.alive
                sheets.append(Sheet(codes, alive, partial(_single, part)))
        if coverage is not None:
            counts: Mask | None = None if coverage.count == len(coverage.graph) else coverage.stored
            if view is not None and keep is not None:
                counts = coverage.matching(keep, view.columns)
            among = None if counts is None else coverage.graph.nodes_among(counts)
            sheets.append(Sheet(coverage.graph.codes, among, partial(_shared, coverage.graph, counts)))
        return sheets, rest

    def learn(self, vectors: Vectors, parts: Sequence[Part]) -> None:
        """Code segments that are being scanned, from the second time on."""
        with self._lock:
            lasting = {id(segment.vectors) for segment in vectors.segments}
            self._codes = {key: value for key, value in self._codes.items() if key in lasting}
            left = _AT_ONCE
            for part in parts:
                size, key = len(part.vectors), id(part.vectors)
                if size < _LEAST or key not in lasting:
                    continue
                known = self._codes.setdefault(key, _Known(part.vectors))
                known.scans += 1
                if known.codes is None and known.scans > 1 and left > 0:
                    left -= size
                    part.touch(0, size)
                    known.codes = apart(partial(Codes.of, self._metric, part.vectors, part.norms()))

    def _codes_of(self, part: Part) -> Codes | None:
        known = self._codes.get(id(part.vectors))
        return known.codes if known else None


def _single(part: Part, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    return part.rids_at(places), np.arange(len(places))


def _shared(graph: Graph, counts: Mask | None, nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    rows = graph.rows_of(nodes)
    if counts is not None:
        rows = rows[counts[rows]]
    order = np.argsort(nodes)
    return graph.rids[rows], order[np.searchsorted(nodes, graph.nodes[rows], sorter=order)]
