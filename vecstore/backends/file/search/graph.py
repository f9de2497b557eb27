"""An HNSW graph over coded rows (Malkov and Yashunin, 2016), as FAISS builds and searches it.

Rows have places in the graph, and a list gives the rid of each; rows of equal codes share a node. A row that was
removed stays in the graph and leads on to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.index import HNSW
from vecstore.metric import Metric

from ..index.duplicates import DistinctCodes, Nodes
from ..metrics import METRICS, Doubles, RoundingError, Singles
from ..state.fields import Mask
from .codes import Codes, Coding, find_largest
from .faiss_threads import single_threaded
from .plan import Plan

_CHUNK = 512
"""Rows that are encoded in one step; FAISS is fastest with many at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Some stored rows in the order of their rids.

    Attributes
    ----------
    rids : ndarray of int64, shape (n,)
    vectors : ndarray, shape (n, dim)
    norms : ndarray of float64, shape (n,)
    """

    rids: NDArray[np.int64]
    vectors: NDArray[Any]
    norms: Doubles


Runs = Callable[[], Iterator[Run]]
"""Gives the same rows each time it is called."""
Report = Callable[[int], None]
"""Called with how many rows are in the graph."""


class TooLarge(Exception):
    """A row does not fit the coding of a graph, which has to be built again."""


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A graph that is never changed.

    Attributes
    ----------
    index : faiss.IndexHNSWSQ
    codes : Codes
        The nodes of the graph.
    rids : ndarray of int64, shape (n,)
        Of the rows, rising.
    nodes : ndarray of int32, shape (n,)
        The node of each row.
    last : int
        The graph holds every row up to this rid that was stored when it was built.
    m, ef_construction : int
    memory : ndarray, optional
        What ``index`` reads where it has no memory of its own.
    """

    index: Any
    codes: Codes
    rids: NDArray[np.int64]
    nodes: Nodes
    last: int
    m: int
    ef_construction: int
    memory: Any = None
    _shared: _SharedNodes | None = None

    def __len__(self) -> int:
        return len(self.rids)

    def find_rows(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of the rows of nodes, in the order of the nodes."""
        return nodes if self._shared is None else self._shared.find_rows(nodes)

    def mark_nodes(self, counts: Mask) -> Mask:
        """Return which nodes have a row that counts."""
        if self._shared is None:
            return counts
        found = np.zeros(len(self.codes), np.bool_)
        found[self.nodes[counts]] = True
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _SharedNodes:
    """The rows of each node, where some nodes have several."""

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, nodes: Nodes, count: int) -> _SharedNodes | None:
        """Return the rows of ``count`` nodes; None where each has the one row of the same number."""
        if len(nodes) == count:
            return None
        order = np.argsort(nodes, kind="stable")
        return cls(order, np.searchsorted(nodes[order], np.arange(count + 1)))

    def find_rows(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of some nodes."""
        return np.concatenate(
            [self.rows[:0], *(self.rows[self.starts[node] : self.starts[node + 1]] for node in nodes.tolist())]
        )


def find_near(graph: Graph, query: Singles, plan: Plan, k: int, counts: Mask | None) -> tuple[NDArray[np.int64], int]:
    """Search the graph; return the places of the rows to score again for ``k`` hits, and how many rows were found.

    Parameters
    ----------
    graph : Graph
    query : ndarray, shape (dim,), float32
    plan : Plan
    k : int
    counts : ndarray of bool or None
        Which rows of the graph may be hits, None for all of them.
    """
    codes = graph.codes
    form = METRICS[codes.coding.metric]
    encoded = form.encode_query(query, codes.coding.exponent)
    with single_threaded():
        distances, found = graph.index.search(encoded.vector, plan.candidates, params=_search_parameters(plan.ef))
    nodes, distances = found[0], distances[0]
    few = plan.rescored
    if graph._shared is not None:
        places = graph.find_rows(nodes[nodes >= 0])
        places = places if counts is None else places[counts[places]]
        return places[:few], len(places)
    kept = nodes >= 0
    if counts is not None:
        kept &= counts[nodes]
    if not kept.all():
        nodes, distances = nodes[kept], distances[kept]
    if len(nodes) > k:
        # Nearest first: a code whose upper bound is below the lower bound of the k-th is none of the k nearest.
        lower, upper = form.bound_scores(distances[:few], encoded, codes.error)
        few = int(np.count_nonzero(upper >= lower[k - 1]))
    return nodes[:few], len(nodes)


@lru_cache
def _search_parameters(ef: int) -> Any:
    import faiss

    return faiss.SearchParametersHNSW(efSearch=ef)


def open_scanner(index: Any) -> Any:
    """Return the coded rows of a FAISS graph as a FAISS index."""
    import faiss

    return faiss.downcast_index(index.storage)


def build_graph(
    metric: Metric, dim: int, options: HNSW, runs: Runs, last: int, report: Report, count: int = 0
) -> Graph:
    """Build a graph over all rows up to ``last``, about ``count`` of them."""
    import faiss

    coding = Coding.fit(metric, dim, 0.0)
    if not coding.is_normalised:
        coding = Coding.fit(metric, dim, max((find_largest(run.vectors) for run in runs()), default=0.0))
    index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_fp16, options.m, coding.faiss_metric)
    index.hnsw.efConstruction = options.ef_construction
    nothing = np.empty(0, np.int64)
    codes = Codes(coding, open_scanner(index), RoundingError())
    empty = Graph(index, codes, nothing, nothing.astype(np.int32), 0, options.m, options.ef_construction)
    return extend_graph(empty, runs, last, report, count)


def extend_graph(graph: Graph, runs: Runs, last: int, report: Report, count: int = 0) -> Graph:
    """Return a graph with about ``count`` further rows; the given one must not be used afterwards.

    Raises
    ------
    TooLarge
    """
    coding, error, scanner = graph.codes.coding, graph.codes.error, graph.codes.scanner
    rids, nodes = [graph.rids], [graph.nodes]
    if not (coding.is_normalised or all(coding.fits(run.vectors) for run in runs())):
        raise TooLarge
    # Keep neighbours that the heuristic drops while a list has free places. Without them, many rows of differing
    # norms cannot be reached: recall@10 of static word vectors ended at 0.96 under l2.
    graph.index.keep_max_size_level0 = not coding.is_normalised
    _reserve(graph, count)
    distinct = DistinctCodes(scanner)
    done = len(graph)
    # FAISS keeps memory per thread: one thread for all runs, which ends with them.
    with ThreadPoolExecutor(1, "vecstore") as pool:
        for run in runs():
            placed, added = pool.submit(_add_run, graph, distinct, run).result()
            error |= added
            rids.append(run.rids)
            nodes.append(placed)
            done += len(run.rids)
            report(done)
    return assemble_graph(
        graph.index, Codes(coding, scanner, error), np.concatenate(rids), np.concatenate(nodes), last,
        graph.m, graph.ef_construction,
    )  # fmt: skip


def _reserve(graph: Graph, count: int) -> None:
    """Reserve memory for further rows; growing step by step would leave half as much again unused."""
    codes, links = graph.codes.scanner.codes, graph.index.hnsw.neighbors
    for vector, each in ((codes, int(graph.codes.scanner.code_size)), (links, 2 * graph.m + 2)):
        size = vector.size()
        vector.resize(size + count * each)
        vector.resize(size)


def _add_run(graph: Graph, distinct: DistinctCodes, run: Run) -> tuple[Nodes, RoundingError]:
    """Add the rows whose codes are new; return the nodes of all rows, and what encoding lost."""
    coding, scanner, error = graph.codes.coding, graph.codes.scanner, RoundingError()
    formed: Singles = np.empty(run.vectors.shape, np.float32)
    for start in range(0, len(formed), _CHUNK):
        some = slice(start, start + _CHUNK)
        formed[some] = coding.form(run.vectors[some], run.norms[some])
        error |= coding.measure_error(scanner, formed[some])
    placed, begins = distinct.assign_nodes(scanner.sa_encode(formed))
    graph.index.add(formed if len(begins) == len(formed) else formed[begins])
    return placed, error


def assemble_graph(
    index: Any,
    codes: Codes,
    rids: NDArray[np.int64],
    nodes: Nodes,
    last: int,
    m: int,
    ef_construction: int,
    memory: Any = None,
) -> Graph:
    """Return a graph of these parts; see `Graph`."""
    return Graph(index, codes, rids, nodes, last, m, ef_construction, memory, _SharedNodes.of(nodes, len(codes)))
