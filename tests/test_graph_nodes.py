"""Nodes of graphs: where walks go, and that nodes of one part are near each other."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecstore import Record, Schema, connect
from vecstore.embedders import Lookup, learn_nodes
from vecstore.embedders.vectorizers.graph_walks import build_graph, walk_graph
from vecstore.embedders.vectorizers.one_hot import Value
from vecstore.errors import InvalidArgument, MissingExtra, UnknownItem

SIZE = 8
EDGES: list[tuple[Value, Value]] = [
    *((f"left {one}", f"left {other}") for one, other in combinations(range(SIZE), 2)),
    *((one, other) for one, other in combinations(range(SIZE), 2)),
    ("left 0", 0),
]
"""Two groups in which each knows each, with one edge between them."""


def learn(**options: Any) -> Lookup:
    return learn_nodes(EDGES, **{"dim": 16, "walks": 10, "length": 20, **options})


def test_nodes_of_one_group_are_near() -> None:
    for options in ({}, {"q": 0.5}, {"p": 4, "q": 0.5}):
        nodes = learn(**options)
        with connect("memory:") as db:
            store = db.create("nodes", Schema(dim=16), embedder=nodes)
            everyone: list[Value] = [f"left {number}" for number in range(SIZE)]
            everyone += range(SIZE)
            store.upsert(Record(str(node), item=node) for node in everyone)
            for node in everyone:
                near = [hit.id for hit in store.search(item=node, k=SIZE // 2)]
                assert near[0] == str(node)
                assert {each.startswith("left") for each in near} == {str(node).startswith("left")}


def test_a_saved_table_needs_no_gensim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = learn(name="friends")
    nodes.save(tmp_path / "nodes")
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    loaded = Lookup.load(tmp_path / "nodes")
    assert loaded.name == "lookup:friends"
    assert np.array_equal(loaded.embed_documents(["left 3", 5]), nodes.embed_documents(["left 3", 5]))
    with pytest.raises(UnknownItem, match=r"documents\[0\]"):
        loaded.embed_documents(["left 9"])
    with pytest.raises(MissingExtra, match=r"vecstore-db\[gensim\]"):
        learn()


def test_the_seed_decides() -> None:
    assert learn(seed=3).revision == learn(seed=3).revision != learn(seed=4).revision
    assert len({learn(p=p, q=q).revision for p, q in [(1, 1), (4, 1), (1, 4)]}) == 3


def count_steps(edges: list[Any], *, back: float = 1, away: float = 1, directed: bool = False) -> Counter[Any]:
    graph = build_graph(edges, directed=directed)
    rng = np.random.default_rng(5)
    walks = list(walk_graph(graph, walks=4000, length=3, back=back, away=away, rng=rng))
    assert len(walks) == 4000 * len(graph)
    return Counter(tuple(walk) for walk in walks)


def test_a_step_is_drawn_by_the_weight_of_its_edge() -> None:
    counts = count_steps([("a", "b", 1), ("a", "c", 3), ("b", "b", 1), ("c", "c", 2.5)], directed=True)
    assert set(counts) == {("a", "b", "b"), ("a", "c", "c"), ("b", "b", "b"), ("c", "c", "c")}
    assert counts["a", "c", "c"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_a_walk_leans_back_or_away_as_in_node2vec() -> None:
    # From a to b: back to a, on to c, which a knows, or away to d, which it does not.
    counts = count_steps([("a", "b"), ("a", "c"), ("b", "c"), ("b", "d")], back=4, away=2)
    steps = {walk[2]: count for walk, count in counts.items() if walk[:2] == ("a", "b")}
    total = sum(steps.values())
    assert {end: pytest.approx(count / total, abs=0.05) for end, count in steps.items()} == {
        "a": 4 / 7, "c": 1 / 7, "d": 2 / 7
    }  # fmt: skip


def test_walks_end_where_no_edge_leads_on_and_edges_add_up() -> None:
    counts = count_steps([("a", "b")], directed=True)
    assert counts == {("a", "b"): 4000, ("b",): 4000}
    graph = build_graph([("a", "b"), ("b", "a", 2), (1, 1)], directed=False)
    assert graph == {"a": {"b": 3}, "b": {"a": 3}, 1: {1: 1}}
    assert learn_nodes([("a", "b"), (1, 1)], 8, directed=True).embed_documents(["a", "b", 1]).shape == (3, 8)


@pytest.mark.parametrize(
    "edges, match",
    [([], "at least one edge"), (["ab"], r"edges\[0\]"), ([("a", "b"), ("a",)], r"edges\[1\]"),
     ([("a", 1.5)], "float"), ([("a", True)], "bool"), ([("a", "b", 0)], "weight"), ([("a", "b", -1)], "weight"),
     ([("a", "b", float("nan"))], "weight"), ([("a", "b", float("inf"))], "weight"), ([("a", "b", "2")], "weight")],
)  # fmt: skip
def test_edges_that_are_none_are_named(edges: Any, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        learn_nodes(edges)


@pytest.mark.parametrize(
    "options",
    [{"dim": 1}, {"walks": 0}, {"length": 1}, {"window": 0}, {"epochs": 0}, {"p": 0}, {"q": -1}, {"q": float("nan")},
     {"p": True}, {"seed": -1}],
)  # fmt: skip
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        learn(**options)
