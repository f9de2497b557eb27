"""The search of a graph: which candidates are worth scoring again."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import METRICS, Singles
from ..state.fields import Mask
from .faiss_threads import single_threaded
from .graph import Graph
from .plan import Plan


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
    if graph.shared is not None:
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
