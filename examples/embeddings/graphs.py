"""A graph as vectors: random walks are sentences, the nodes in them are words (DeepWalk; Perozzi et al., 2014).

Zachary's karate club split in two: clusters of the vectors should be the two clubs. In Les Misérables some links
are hidden, and should be told from pairs without one. That is printed and not checked, because a count of common
neighbours does it better.
"""

from __future__ import annotations

import sys

import networkx as nx
import numpy as np

from examples.embeddings.checks import Check, run_example
from vecstore.embedders import learn_nodes
from vecstore.evaluation import Figure, compute_auc, find_clusters

SEEDS = range(10)
HIDDEN = 25


def embed_nodes(graph: nx.Graph, seed: int) -> np.ndarray:
    """Return a vector for each node, in the order of the graph."""
    nodes = learn_nodes(graph.edges, 16, walks=60, length=20, window=3, epochs=6, seed=seed)
    return nodes.embed_documents(list(graph))


def find_clubs() -> Check:
    """Cluster the karate club."""
    graph = nx.karate_club_graph()
    clubs = [graph.nodes[node]["club"] for node in graph]
    found, simple = [], []
    for seed in SEEDS:
        vectors = embed_nodes(graph, seed)
        found.append(pick_nmi(vectors, clubs, seed))
        simple.append(pick_nmi(nx.to_numpy_array(graph, weight=None), clubs, seed))
    print(f"clubs, for each seed: {', '.join(f'{value:.2f}' for value in found)}")
    value, baseline = float(np.mean(found)), float(np.mean(simple))
    return Check(Figure("NMI of clusters and clubs", value, len(clubs), baseline, "rows of the matrix of links"), 0.7)


def pick_nmi(vectors: np.ndarray, labels: list[str], seed: int) -> float:
    """Return the NMI of two clusters with the labels."""
    return next(each.value for each in find_clusters(vectors, labels, k=2, seed=seed).figures if each.name == "NMI")


def find_links() -> dict[str, float]:
    """Tell hidden links from pairs that have none; return the AUC of each method."""
    whole = nx.convert_node_labels_to_integers(nx.les_miserables_graph())
    scores: dict[str, list[float]] = {"walks": [], "degrees": [], "common neighbours": []}
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        graph = whole.copy()
        hidden: list[tuple[int, int]] = []
        for place in rng.permutation(len(whole.edges)):
            a, b = list(whole.edges)[place]
            if len(hidden) < HIDDEN and min(graph.degree[a], graph.degree[b]) > 1:
                graph.remove_edge(a, b)
                hidden.append((a, b))
        apart = list(nx.non_edges(whole))
        pairs = hidden + [apart[row] for row in rng.choice(len(apart), 10 * HIDDEN, replace=False)]
        is_link = [True] * HIDDEN + [False] * 10 * HIDDEN
        vectors = embed_nodes(graph, seed)
        scores["walks"].append(compute_auc([float(vectors[a] @ vectors[b]) for a, b in pairs], is_link))
        scores["degrees"].append(compute_auc([graph.degree[a] * graph.degree[b] for a, b in pairs], is_link))
        common = [len(list(nx.common_neighbors(graph, a, b))) for a, b in pairs]
        scores["common neighbours"].append(compute_auc(common, is_link))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def measure() -> list[Check]:
    """Look at both graphs."""
    print(f"AUC of hidden links: {', '.join(f'{name} {value:.3f}' for name, value in find_links().items())}")
    return [find_clubs()]


if __name__ == "__main__":
    sys.exit(run_example(measure))
