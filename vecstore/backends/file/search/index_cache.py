"""What this process has of a generation's index: the graph from its file, and what it covers."""

from __future__ import annotations

from threading import Lock
from typing import Any

from vecstore.errors import StorageError
from vecstore.index_options import HNSW, IndexOptions
from vecstore.metric import Metric

from ..index import index_file, row_copies
from ..index.coverage import Coverage
from ..index.index_file import IndexRow
from ..index.row_copies import RowCopies
from ..storage.failures import translate_errors
from ..storage.layout import GenerationLayout
from ..vectors.vectors import Vectors
from .graph import Graph


class IndexCache:
    """The graph and its coverage. It may lack both: searches then do without them."""

    def __init__(self, paths: GenerationLayout, generation: str, metric: Metric) -> None:
        self._paths = paths
        self._generation = generation
        self._metric = metric
        self._lock = Lock()
        self._graph: tuple[str, Graph | None] = ("", None)
        self._coverage: tuple[Vectors | None, Coverage | None] = (None, None)
        self._copies: tuple[str, RowCopies | None] = ("", None)

    def keep_graph(self, uid: str, graph: Graph) -> None:
        """Keep a graph that this process has built."""
        with self._lock:
            self._graph = uid, graph

    def find_graph(self, row: IndexRow) -> Graph | None:
        """Return the graph that the ledger names, None where its file is missing or damaged."""
        known = self._graph
        if known[0] != row.uid:
            with self._lock:
                known = self._graph
                if known[0] != row.uid:
                    known = self._graph = row.uid, self._load_graph(row)
        return known[1]

    def is_unreadable(self, row: IndexRow) -> bool:
        """Say whether this process has tried to read an index and failed."""
        return self._graph == (row.uid, None)

    def _load_graph(self, row: IndexRow) -> Graph | None:
        path = self._paths.locate_index(row.uid)
        try:
            with translate_errors(path):
                return index_file.read(path, self._generation, row, self._metric)
        except StorageError:
            return None

    def find_copies(self, index: dict[str, Any] | None) -> RowCopies | None:
        """Return the copies of rows beside the index that the ledger names, None where there are none."""
        if index is None:
            return None
        known = self._copies
        if known[0] != index["uid"]:
            known = self._copies = index["uid"], self._map_copies(IndexRow(**index))
        return known[1]

    def _map_copies(self, row: IndexRow) -> RowCopies | None:
        graph = self.find_graph(row)
        if graph is None:
            return None
        path = self._paths.locate_copies(row.uid)
        try:
            with translate_errors(path):
                return row_copies.read(path, self._generation, graph.rids)
        except StorageError:
            return None

    def find_coverage(self, vectors: Vectors, index: dict[str, Any] | None, options: IndexOptions) -> Coverage | None:
        """Return what the graph covers of some vectors, None where there is no graph or none is wanted."""
        if index is None or not isinstance(options, HNSW):
            return None
        graph = self.find_graph(IndexRow(**index))
        if graph is None:
            return None
        covered, known = self._coverage
        if covered is vectors and known and known.graph is graph:
            return known
        made = Coverage.compute(graph, vectors.parts, known)
        self._coverage = vectors, made
        return made
