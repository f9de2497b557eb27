"""Exact search: float32 arithmetic over all rows, float64 for those that its rounding cannot rule out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric
from vecstore.rows.vectors import row_norms

from ..vectors.vectors import Part
from .bounds import METRICS, Dots, Doubles, Scoring
from .top_k import Best

_BLOCK_BYTES = 8 << 20
"""Of vectors that one step looks at, of scores that it makes and of pairs that it computes in float64."""
_QUERIES = 256
_SPARSE = 4
"""Where fewer rows than one in so many count, they are gathered first."""

_FEW = 4
"""So few queries are not worth the threads of a BLAS, which wait for each other on a busy machine."""

IdsOf = Callable[[NDArray[np.int64]], Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    vectors: NDArray[Any]
    norms: Doubles
    rids: NDArray[np.int64]
    counts: NDArray[np.bool_] | None
    """Which rows count, None for all of them."""


def nearest(
    metric: Metric, parts: Sequence[Part], queries: NDArray[np.float32], k: int, ids_of: IdsOf
) -> list[tuple[NDArray[np.int64], Doubles]]:
    """Return the k nearest rows of each query; equal scores are decided by id.

    Parameters
    ----------
    metric : Metric
    parts : sequence of Part
    queries : ndarray, shape (q, dim), float32
    k : int
    ids_of : callable
        Returns the ids of rids; asked only about ties for the last place.

    Returns
    -------
    list of (rids, scores)
        One pair for each query, in no particular order within.
    """
    answers = []
    for start in range(0, len(queries), _QUERIES):
        group = queries[start : start + _QUERIES]
        best = Best(len(group), k, ids_of)
        for part in parts:
            for block in _blocks(part, len(group)):
                _look(METRICS[metric], block, group, best)
        answers += best.answers()
    return answers


def _blocks(part: Part, queries: int) -> Iterator[_Block]:
    size, dim = part.vectors.shape
    rows = max(64, min(_BLOCK_BYTES // (4 * dim), _BLOCK_BYTES // (8 * queries)))
    for start in range(0, size, rows):
        end = min(start + rows, size)
        alive = part.alive[start:end]
        count = int(np.count_nonzero(alive))
        if not count:
            continue
        part.touch(start, end)
        if count * _SPARSE < end - start:
            places = start + np.flatnonzero(alive)
            yield _Block(part.vectors[places], part.norms()[places], part.rids_at(places), None)
        else:
            places = np.arange(start, end)
            everything = count == end - start
            yield _Block(
                part.vectors[start:end], part.norms()[start:end], part.rids_at(places), None if everything else alive
            )


def _dot_products(vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(queries) > _FEW:
        return vectors @ queries.T
    return np.stack([np.einsum("ij,j->i", vectors, query) for query in queries], axis=1)


def _look(scoring: Scoring, block: _Block, queries: NDArray[np.float32], best: Best) -> None:
    """Offer the rows of a block that can be among the best."""
    norms = row_norms(queries)
    vectors = np.asarray(block.vectors, np.float32)
    dots = Dots.of(_dot_products(vectors, queries), block.norms, norms, queries.shape[1])
    lower, upper = scoring.bounds(dots)
    if block.counts is not None:
        lower[~block.counts], upper[~block.counts] = -np.inf, -np.inf
    floors = best.floors
    candidates = upper >= floors
    if best.k <= len(lower) and np.count_nonzero(candidates) > 2 * best.k * len(queries):
        # What k rows of this block have for certain, no other row may be below.
        floors = np.maximum(floors, np.partition(lower, -best.k, axis=0)[-best.k])
        candidates = upper >= floors
    if block.counts is not None:
        candidates &= block.counts[:, None]
    rows, owners = np.nonzero(candidates)
    step = max(1, _BLOCK_BYTES // (8 * queries.shape[1]))
    for start in range(0, len(rows), step):
        some, whose = rows[start : start + step], owners[start : start + step]
        scores = scoring.scores(
            block.vectors[some].astype(np.float64), queries[whose].astype(np.float64), block.norms[some], norms[whose]
        )
        best.offer(whose, block.rids[some], scores)
