"""The search of a graph: which candidates are worth scoring again."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.turnstile import outside_turn

from ..metrics import METRICS, Singles
from ..state.fields import Mask
from .faiss_threads import in_own_thread, single_threaded
from .graph import Graph
from .plan import Plan

_MANY = 8
"""From this many queries on, a thread of its own and its team pay."""

Near = tuple[NDArray[np.int64], int]
"""The rids of the rows to score again, and how many rows were found."""


def find_near(graph: Graph, queries: Singles, plan: Plan, k: int, counts: Mask | None) -> list[Near]:
    """Search the graph with all queries in one call; return what each found for ``k`` hits.

    Parameters
    ----------
    graph : Graph
    queries : ndarray, shape (q, dim), float32
    plan : Plan
    k : int
    counts : ndarray of bool or None
        Which rows of the graph may be hits, None for all of them.
    """
    codes = graph.codes
    form = METRICS[codes.coding.metric]
    encoded = [form.encode_query(query, codes.coding.exponent) for query in queries]
    vectors = encoded[0].vector
    if len(encoded) > 1:
        vectors = np.concatenate([query.vector for query in encoded])
    walk = partial(graph.index.search, vectors, plan.candidates, params=_search_parameters(plan.ef))
    if len(encoded) >= _MANY:
        with outside_turn():
            distances, found = in_own_thread(walk)
    else:
        with single_threaded(), outside_turn():
            distances, found = walk()
    near: list[Near] = []
    for number, query in enumerate(encoded):
        nodes, row = found[number], distances[number].tolist()
        # FAISS fills up with -1 at the end.
        if graph.shared is not None:
            places = graph.find_rows(nodes[nodes >= 0])
            places = places if counts is None else places[counts[places]]
            near.append((graph.rids[places[: plan.rescored]], len(places)))
            continue
        if counts is not None or nodes[-1] < 0:
            kept = nodes >= 0 if counts is None else (nodes >= 0) & counts[nodes]
            nodes, row = nodes[kept], distances[number][kept].tolist()
        few = form.count_near(row[: plan.rescored], query, codes.error, k)
        near.append((graph.rids[nodes[:few]], len(nodes)))
    return near


@lru_cache
def _search_parameters(ef: int) -> Any:
    import faiss

    return faiss.SearchParametersHNSW(efSearch=ef)
