"""An HNSW graph over coded rows (Malkov and Yashunin, 2016), as FAISS builds and searches it.

Rows stand in it by place, and a list says the rid of each; rows of equal codes share a node. A row that was
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

from ..index.duplicates import Distinct, Nodes
from ..state.fields import Mask
from .bounds import Doubles
from .codes import Codes, Coding, Question, Singles, Slack, largest
from .faiss_threads import alone


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


_PIECE = 512
"""So many rows are coded in one step; FAISS is fastest with many at once."""


class TooLarge(Exception):
    """A row does not fit the coding of a graph, which has to be built anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A graph that is never changed once it is here.

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
        Every row up to this rid that was stored when the graph was made stands in it.
    m, ef_construction : int
    memory : ndarray, optional
        What ``index`` looks into where it does not have its own memory.
    """

    index: Any
    codes: Codes
    rids: NDArray[np.int64]
    nodes: Nodes
    last: int
    m: int
    ef_construction: int
    memory: Any = None
    _shared: Shared | None = None

    def __len__(self) -> int:
        return len(self.rids)

    def nearest(self, question: Question, k: int, ef: int) -> NDArray[np.int64]:
        """Return about the k nearest nodes, nearest first."""
        with alone():
            _, found = self.index.search(question.vector, k, params=_effort(ef))
        nodes: NDArray[np.int64] = found[0]
        return nodes[nodes >= 0]

    def rows_of(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of the rows of nodes, in the order of the nodes."""
        return nodes if self._shared is None else self._shared.rows_of(nodes)

    def nodes_among(self, counts: Mask) -> Mask:
        """Return which nodes have one of some rows."""
        if self._shared is None:
            return counts
        found = np.zeros(len(self.codes), np.bool_)
        found[self.nodes[counts]] = True
        return found

    def is_of(self, options: HNSW) -> bool:
        """Say whether the graph was built with some options."""
        return (self.m, self.ef_construction) == (options.m, options.ef_construction)


@lru_cache
def _effort(ef: int) -> Any:
    import faiss

    return faiss.SearchParametersHNSW(efSearch=ef)


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """The rows of each node, where some have several."""

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, nodes: Nodes, count: int) -> Shared | None:
        """Return the rows of ``count`` nodes; None where each has the one row of the same number."""
        if len(nodes) == count:
            return None
        order = np.argsort(nodes, kind="stable")
        return cls(order, np.searchsorted(nodes[order], np.arange(count + 1)))

    def rows_of(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of some nodes."""
        return np.concatenate(
            [self.rows[:0], *(self.rows[self.starts[node] : self.starts[node + 1]] for node in nodes.tolist())]
        )


def scanner_of(index: Any) -> Any:
    """Return the coded rows of a FAISS graph as an index of FAISS's."""
    import faiss

    return faiss.downcast_index(index.storage)


def built(metric: Metric, dim: int, options: HNSW, runs: Runs, last: int, report: Report, count: int = 0) -> Graph:
    """Build a graph over all rows up to ``last``; ``count`` says about how many they are."""
    import faiss

    coding = Coding.fitting(metric, dim, 0.0)
    if not coding.is_normalised:
        coding = Coding.fitting(metric, dim, max((largest(run.vectors) for run in runs()), default=0.0))
    index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_fp16, options.m, coding.faiss_metric)
    index.hnsw.efConstruction = options.ef_construction
    nothing = np.empty(0, np.int64)
    codes = Codes(coding, scanner_of(index), Slack())
    empty = Graph(index, codes, nothing, nothing.astype(np.int32), 0, options.m, options.ef_construction)
    return extended(empty, runs, last, report, count)


def extended(graph: Graph, runs: Runs, last: int, report: Report, count: int = 0) -> Graph:
    """Return a graph with about ``count`` further rows; the given one is used up.

    Raises
    ------
    TooLarge
    """
    coding, slack, scanner = graph.codes.coding, graph.codes.slack, graph.codes.scanner
    rids, nodes = [graph.rids], [graph.nodes]
    if not (coding.is_normalised or all(coding.fits(run.vectors) for run in runs())):
        raise TooLarge
    # Neighbours that the heuristic drops are kept while there is room. Without them, much of what has no
    # common length stays out of reach: recall@10 of static word vectors ended at 0.96 under l2.
    graph.index.keep_max_size_level0 = not coding.is_normalised
    _make_room(graph, count)
    distinct = Distinct(scanner)
    done = len(graph)
    # One thread for all, that ends with it: each has memory of its own, which it keeps.
    with ThreadPoolExecutor(1, "vecstore") as pool:
        for run in runs():
            placed, taken = pool.submit(_add, graph, distinct, run).result()
            slack |= taken
            rids.append(run.rids)
            nodes.append(placed)
            done += len(run.rids)
            report(done)
    return graph_of(
        graph.index, Codes(coding, scanner, slack), np.concatenate(rids), np.concatenate(nodes), last,
        graph.m, graph.ef_construction,
    )  # fmt: skip


def _make_room(graph: Graph, count: int) -> None:
    """Reserve memory for further rows: what grows step by step leaves behind half as much again."""
    codes, links = graph.codes.scanner.codes, graph.index.hnsw.neighbors
    for vector, each in ((codes, int(graph.codes.scanner.code_size)), (links, 2 * graph.m + 2)):
        size = vector.size()
        vector.resize(size + count * each)
        vector.resize(size)


def _add(graph: Graph, distinct: Distinct, run: Run) -> tuple[Nodes, Slack]:
    """Add the rows whose codes are new; return the nodes of all, and what coding took from them."""
    coding, scanner, slack = graph.codes.coding, graph.codes.scanner, Slack()
    formed: Singles = np.empty(run.vectors.shape, np.float32)
    for start in range(0, len(formed), _PIECE):
        some = slice(start, start + _PIECE)
        formed[some] = coding.form(run.vectors[some], run.norms[some])
        slack |= coding.slack(scanner, formed[some])
    placed, begins = distinct.placed(scanner.sa_encode(formed))
    graph.index.add(formed if len(begins) == len(formed) else formed[begins])
    return placed, slack


def graph_of(
    index: Any,
    codes: Codes,
    rids: NDArray[np.int64],
    nodes: Nodes,
    last: int,
    m: int,
    ef_construction: int,
    memory: Any = None,
) -> Graph:
    """Return a graph whose parts are given; see `Graph`."""
    return Graph(index, codes, rids, nodes, last, m, ef_construction, memory, Shared.of(nodes, len(codes)))
