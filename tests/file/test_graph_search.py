"""What a graph search leaves out is none of the nearest rows that it found."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.backends.file.search.graph import Graph
from vecstore.backends.file.search.graph_search import find_near
from vecstore.backends.file.search.plan import Plan, Strategy, count_rescored
from vecstore.metric import Metric, score_rows

from .test_exact_float32 import Matrix, make_part, plain
from .test_graph import find_nodes, make_graph

EFFORT, K = 60, 5


def search_all(graph: Graph, query: Matrix, counts: np.ndarray | None) -> np.ndarray:
    """Return the places of all rows that a search of the graph finds, nearest first."""
    places = graph.find_rows(find_nodes(graph, query, EFFORT, EFFORT))
    return places if counts is None else places[counts[places]]


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("share", [1.0, 0.4])
@pytest.mark.parametrize("copies", [1, 2])
def test_the_nearest_of_the_rows_found_stay(
    metric: Metric, share: float, copies: int, rng: np.random.Generator
) -> None:
    vectors = np.tile(plain(rng, 600, 12) * rng.uniform(1, 3, (600, 1)), (copies, 1)).astype(np.float32)
    graph = make_graph([make_part(vectors, 1)], metric)
    counts = None if share == 1 else rng.random(len(vectors)) < share
    most = count_rescored(K)
    plan = Plan(Strategy.GRAPH, EFFORT, EFFORT, most)
    left_out = 0
    for query in plain(rng, 30, 12):
        found = search_all(graph, query, counts)
        [(rids, count)] = find_near(graph, query[None, :], plan, K, counts)
        places = rids - 1
        assert count == len(found)
        assert K <= len(places) <= most
        left_out += most - len(places)
        truth = score_rows(metric, vectors[found], query)
        nearest = np.sort(truth)[::-1][:K]
        kept = np.sort(score_rows(metric, vectors[places], query))[::-1][:K]
        assert kept == pytest.approx(nearest, rel=1e-12)
    assert copies > 1 or left_out > 0


def test_fewer_rows_than_are_wanted_all_stay(rng: np.random.Generator) -> None:
    graph = make_graph([make_part(plain(rng, 300, 8), 1)])
    counts = np.zeros(300, np.bool_)
    counts[:3] = True
    plan = Plan(Strategy.GRAPH, 300, 300, count_rescored(K))
    [(rids, count)] = find_near(graph, plain(rng, 1, 8), plan, K, counts)
    assert sorted(rids.tolist()) == [1, 2, 3]
    assert count == 3


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_queries_asked_together_find_what_each_finds_alone(share: float, rng: np.random.Generator) -> None:
    vectors = plain(rng, 600, 12).astype(np.float32)
    graph = make_graph([make_part(vectors, 1)])
    counts = None if share == 1 else rng.random(len(vectors)) < share
    plan = Plan(Strategy.GRAPH, EFFORT, EFFORT, count_rescored(K))
    queries = plain(rng, 40, 12).astype(np.float32)
    together = find_near(graph, queries, plan, K, counts)
    for query, (rids, count) in zip(queries, together, strict=True):
        [(alone, found)] = find_near(graph, query[None, :], plan, K, counts)
        assert (rids.tolist(), count) == (alone.tolist(), found)
