"""An HNSW graph over coded rows (Malkov and Yashunin, 2016); `index.graph_build` builds it, `graph_search` searches it.

Rows have places in the graph, and a list gives the rid of each; rows of equal codes share a node. A row that was
removed stays in the graph and leads on to others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.duplicates import Nodes
from ..state.fields import Mask
from .codes import Codes


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
    shared : SharedNodes, optional
        None where each node has one row.
    """

    index: Any
    codes: Codes
    rids: NDArray[np.int64]
    nodes: Nodes
    last: int
    m: int
    ef_construction: int
    memory: Any = None
    shared: SharedNodes | None = None

    def __len__(self) -> int:
        return len(self.rids)

    def find_rows(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of the rows of nodes, in the order of the nodes."""
        return nodes if self.shared is None else self.shared.find_rows(nodes)

    def mark_nodes(self, counts: Mask) -> Mask:
        """Return which nodes have a row that counts."""
        if self.shared is None:
            return counts
        found = np.zeros(len(self.codes), np.bool_)
        found[self.nodes[counts]] = True
        return found


@dataclass(frozen=True, slots=True, eq=False)
class SharedNodes:
    """The rows of each node, where some nodes have several."""

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, nodes: Nodes, count: int) -> SharedNodes | None:
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


def open_scanner(index: Any) -> Any:
    """Return the coded rows of a FAISS graph as a FAISS index."""
    import faiss

    return faiss.downcast_index(index.storage)


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
    return Graph(index, codes, rids, nodes, last, m, ef_construction, memory, SharedNodes.of(nodes, len(codes)))
