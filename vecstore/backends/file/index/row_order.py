"""Putting a graph in the order of its rows, after some of them came late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..search.graph import Graph
from .duplicates import Coded, view_codes


def restore_order(graph: Graph) -> Graph:
    """Return the graph with its rids rising; the given one must not be used afterwards.

    Where each row has a node of its own, a search takes the number of a node for that of its row, so the nodes are
    moved too. Otherwise a list tells the rows of a node.
    """
    late = np.flatnonzero(np.diff(graph.rids) < 0)
    if not len(late):
        return graph
    order = np.argsort(graph.rids, kind="stable")
    rids, nodes = graph.rids[order], graph.nodes[order]
    if graph.shared is not None:
        return replace(graph, rids=rids, nodes=nodes, shared=type(graph.shared).of(nodes, len(graph.codes)))
    _move_nodes(graph, order, int(late[0]) + 1)
    return replace(graph, rids=rids)


def renumber_rows(graph: Graph, rids: NDArray[np.int64]) -> Graph:
    """Return the graph with other rids, in their order; the given one must not be used afterwards.

    Parameters
    ----------
    graph : Graph
        In memory of its own.
    rids : ndarray of int64, shape (n,)
        The new rid of each row, each another one, in any order.
    """
    order = np.argsort(rids)
    rids, nodes = rids[order], graph.nodes[order]
    if graph.shared is not None:
        return replace(graph, rids=rids, nodes=nodes, shared=type(graph.shared).of(nodes, len(graph.codes)))
    if (order[1:] < order[:-1]).any():
        _permute_links(graph, order)
        coded = view_codes(graph.codes.scanner)
        coded[:] = coded[order]
    return replace(graph, rids=rids)


def _move_nodes(graph: Graph, order: NDArray[np.intp], early: int) -> None:
    """Give node ``order[i]`` the number i; those from ``early`` on came late."""
    move_rows(view_codes(graph.codes.scanner), _permute_links(graph, order), early)


def _permute_links(graph: Graph, order: NDArray[np.intp]) -> NDArray[np.int64]:
    """Give the links of node ``order[i]`` to node i; return the order as FAISS takes it."""
    import faiss

    wanted = np.ascontiguousarray(order, np.int64)
    graph.index.hnsw.permute_entries(faiss.swig_ptr(wanted))
    return wanted


def move_rows(rows: Coded, order: NDArray[np.int64], early: int) -> None:
    """Put row ``order[i]`` in place i, without a copy of all rows.

    The rows before ``early`` keep their order, and so do those from there on, which come to lie in between.
    """
    late = np.flatnonzero(order >= early)
    moved = rows[order[late]].copy()
    # From the end, each stretch of early rows moves by the number of late ones before it.
    end = early
    for before in range(len(late), 0, -1):
        start = int(late[before - 1]) - before + 1
        rows[start + before : end + before] = rows[start:end]
        end = start
    rows[late] = moved
