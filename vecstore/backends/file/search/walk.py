"""One walk along a graph, and which of the rows that it comes to can be among the hits."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..state.fields import Mask
from .codes import Singles
from .faiss_threads import alone
from .graph import Graph
from .plan import Plan, spared


def places_near(graph: Graph, query: Singles, plan: Plan, k: int, counts: Mask | None) -> tuple[NDArray[np.int64], int]:
    """Return where rows stand that are worth a score for ``k`` hits, and how many rows were found.

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
    question = codes.coding.question(query)
    with alone():
        distances, found = graph.index.search(question.vector, plan.candidates, params=_effort(plan.ef))
    nodes, distances = found[0], distances[0]
    if len(codes) < len(graph):
        places = graph.rows_of(nodes[nodes >= 0])
        places = places if counts is None else places[counts[places]]
        return places[: spared(k)], len(places)
    kept = nodes >= 0
    if counts is not None:
        kept &= counts[nodes]
    if not kept.all():
        nodes, distances = nodes[kept], distances[kept]
    few = spared(k)
    if len(nodes) > k:
        # Nearest first: a code whose best is worse than the worst of the first k is none of the k nearest.
        lower, upper = codes.coding.intervals(distances[:few], question, codes.slack)
        few = int(np.count_nonzero(upper >= lower[k - 1]))
    return nodes[:few], len(nodes)


@lru_cache
def _effort(ef: int) -> Any:
    import faiss

    return faiss.SearchParametersHNSW(efSearch=ef)
