"""Walks over a graph: sequences of nodes, from which nodes get vectors as words get them from texts.

DeepWalk (Perozzi, Al-Rfou and Skiena, 2014) walks at random; node2vec (Grover and Leskovec, 2016) with a wish to
return or to get away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ...errors import InvalidArgument
from .one_hot import Value

Graph = Mapping[Value, Mapping[Value, float]]
"""The weight of each edge, by the nodes that it leads from and to."""


def build_graph(edges: Iterable[Any], *, directed: bool) -> Graph:
    """Return a graph from pairs of nodes, or triples with a weight. The weights of an edge that is there twice add up.

    Raises
    ------
    InvalidArgument
    """
    graph: dict[Value, dict[Value, float]] = {}
    for number, edge in enumerate(edges):
        start, end, weight = _read_edge(edge, number)
        ways = [(start, end)] if directed or start == end else [(start, end), (end, start)]
        graph.setdefault(end, {})
        for one, other in ways:
            reached = graph.setdefault(one, {})
            reached[other] = reached.get(other, 0.0) + weight
    if not graph:
        raise InvalidArgument("A graph needs at least one edge.")
    return graph


def walk_graph(
    graph: Graph, *, walks: int, length: int, back: float, away: float, rng: np.random.Generator
) -> Iterator[list[Value]]:
    """Yield walks, ``walks`` from each node, that end after ``length`` nodes or where no edge leads on.

    A step back to the node before has its weight times ``back``, one to a node that the node before has no edge to
    its weight times ``away``: 1 / p and 1 / q of node2vec.
    """
    steps = {node: (list(reached), np.fromiter(reached.values(), float)) for node, reached in graph.items()}
    totals = {node: weights.cumsum() for node, (_, weights) in steps.items()}
    nodes = list(graph)
    is_plain = back == away == 1
    for _ in range(walks):
        for position in rng.permutation(len(nodes)):
            walk = [nodes[position]]
            for draw in rng.random(length - 1):
                reached, weights = steps[walk[-1]]
                if not reached:
                    break
                total = totals[walk[-1]]
                if not is_plain and len(walk) > 1:
                    total = _lean(weights, reached, walk[-2], graph, back, away).cumsum()
                # Rounding may put the draw at the very end.
                place = min(int(np.searchsorted(total, draw * total[-1], side="right")), len(reached) - 1)
                walk.append(reached[place])
            yield walk


def _lean(
    weights: np.ndarray[Any, np.dtype[np.float64]],
    reached: list[Value],
    before: Value,
    graph: Graph,
    back: float,
    away: float,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    near = graph[before]
    factors = [back if node == before else 1.0 if node in near else away for node in reached]
    return weights * factors


def _read_edge(edge: Any, number: int) -> tuple[Value, Value, float]:
    if not isinstance(edge, tuple | list) or len(edge) not in (2, 3):
        raise InvalidArgument(f"edges[{number}] must be (node, node) or (node, node, weight).")
    for node in edge[:2]:
        if type(node) not in (str, int):
            raise InvalidArgument(f"edges[{number}] has a node of {type(node).__name__}; nodes are of str and int.")
    weight = edge[2] if len(edge) == 3 else 1.0
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
        raise InvalidArgument(f"edges[{number}] has a weight that is no finite number above 0.")
    return edge[0], edge[1], float(weight)
