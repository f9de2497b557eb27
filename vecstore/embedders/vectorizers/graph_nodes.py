"""Vectors of the nodes of a graph: learned from walks by gensim, used as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...errors import InvalidArgument, MissingExtra
from ..base import OnUnknown, check_whole
from .graph_walks import build_graph, walk_graph
from .lookup_table import Lookup
from .one_hot import Value
from .vectorizer import check_dim
from .word_training import hash_word


def learn_nodes(
    edges: Iterable[Sequence[Any]],
    dim: int = 64,
    *,
    directed: bool = False,
    walks: int = 20,
    length: int = 40,
    window: int = 5,
    epochs: int = 3,
    p: float = 1.0,
    q: float = 1.0,
    seed: int = 0,
    name: str = "graph",
    on_unknown: OnUnknown = "error",
) -> Lookup:
    """Return the embedder of a graph's nodes, where those with the same surroundings are near (DeepWalk, node2vec).

    Parameters
    ----------
    edges : iterable of tuple
        Two nodes, of the types str and int, or two and a weight above 0. The weights of an edge that is there twice
        add up.
    dim : int
    directed : bool
        Whether an edge leads from the first node to the second alone.
    walks, length : int
        Walks from each node, and nodes of a walk.
    window, epochs : int
        Of the training: nodes on each side, and passes over the walks.
    p, q : float
        Of node2vec. A step back is the rarer the larger ``p`` is, one away from the node before the larger ``q`` is.
        With 1 and 1 walks are plain (DeepWalk).
    seed : int
        The same edges in the same order and the same seed give the same vectors.
    name, on_unknown
        See `Lookup`.

    Returns
    -------
    Lookup
        It embeds nodes, and is saved and loaded without gensim.

    Raises
    ------
    InvalidArgument
    MissingExtra
        gensim is not installed.
    """
    check_dim(check_whole("dim", dim, 2), "dimensions in dim=")
    for option, value in {"walks": walks, "window": window, "epochs": epochs}.items():
        check_whole(option, value)
    check_whole("length", length, 2)
    check_whole("seed", seed, 0)
    for option, factor in {"p": p, "q": q}.items():
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < float("inf"):
            raise InvalidArgument(f"{option} must be a number above 0, not {factor!r}.")
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise MissingExtra("gensim", "gensim") from error
    graph = build_graph(edges, directed=directed)
    places: dict[Value, str] = {node: str(number) for number, node in enumerate(graph)}
    rng = np.random.default_rng(seed)
    found = walk_graph(graph, walks=walks, length=length, back=1 / p, away=1 / q, rng=rng)
    model = Word2Vec(
        [[places[node] for node in walk] for walk in found],
        vector_size=dim, window=window, epochs=epochs, sg=1, min_count=1, workers=1, seed=seed, hashfxn=hash_word,
        sample=0,  # which would leave out most of a small graph, whose nodes are all frequent
    )  # fmt: skip
    return Lookup.from_table(
        list(places), np.stack([model.wv[place] for place in places.values()]), name=name, on_unknown=on_unknown
    )
