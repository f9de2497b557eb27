"""Exact search in float32 arithmetic over all rows, and in float64 for rows that its rounding cannot rule out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric
from vecstore.rows.vectors import compute_norms

from ..metrics import METRICS, DotProducts, Doubles, MetricForm, Singles
from ..state.fields import Mask
from ..vectors.part import Part
from .top_k import Answer, TopK

_BLOCK_BYTES = 8 << 20
"""Of vectors that one step reads, of scores that it makes and of pairs that it computes in float64."""
_QUERIES = 256
_SPARSE = 4
"""Where fewer rows than one in so many count, they are gathered first."""

_FEW = 4
"""Up to this many queries, BLAS threading costs more than it saves: its threads wait for each other."""

IdsOf = Callable[[NDArray[np.int64]], Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    vectors: NDArray[Any]
    norms: Doubles
    rids: NDArray[np.int64]
    counts: Mask | None
    """Which rows count, None for all of them."""


def find_nearest(metric: Metric, parts: Sequence[Part], queries: Singles, k: int, ids_of: IdsOf) -> list[Answer]:
    """Return the k nearest rows of each query; equal scores are decided by id.

    Parameters
    ----------
    metric : Metric
    parts : sequence of Part
    queries : ndarray, shape (q, dim), float32
    k : int
    ids_of : callable
        Returns the ids of rids; called only for ties for the last place.
    """
    answers = []
    for start in range(0, len(queries), _QUERIES):
        group = queries[start : start + _QUERIES]
        top = TopK(len(group), k, ids_of)
        for part in parts:
            for block in _cut_blocks(part, len(group)):
                _scan_block(METRICS[metric], block, group, top)
        answers += top.list_answers()
    return answers


def _cut_blocks(part: Part, queries: int) -> Iterator[_Block]:
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
            yield _Block(part.vectors[places], part.read_norms()[places], part.get_rids(places), None)
        else:
            places = np.arange(start, end)
            counts = None if count == end - start else alive
            yield _Block(part.vectors[start:end], part.read_norms()[start:end], part.get_rids(places), counts)


def _multiply(vectors: Singles, queries: Singles) -> Singles:
    if len(queries) > _FEW:
        return vectors @ queries.T
    return np.stack([np.einsum("ij,j->i", vectors, query) for query in queries], axis=1)


def _scan_block(form: MetricForm, block: _Block, queries: Singles, top: TopK) -> None:
    """Offer the rows of a block that can be among the best."""
    norms = compute_norms(queries)
    vectors = np.asarray(block.vectors, np.float32)
    dots = DotProducts.of(_multiply(vectors, queries), block.norms, norms, queries.shape[1])
    lower, upper = form.bound_products(dots)
    if block.counts is not None:
        lower[~block.counts], upper[~block.counts] = -np.inf, -np.inf
    floors = top.floors
    candidates = upper >= floors
    if top.k <= len(lower) and np.count_nonzero(candidates) > 2 * top.k * len(queries):
        # No row may be below what k rows of this block reach for certain.
        floors = np.maximum(floors, np.partition(lower, -top.k, axis=0)[-top.k])
        candidates = upper >= floors
    if block.counts is not None:
        candidates &= block.counts[:, None]
    rows, owners = np.nonzero(candidates)
    step = max(1, _BLOCK_BYTES // (8 * queries.shape[1]))
    for start in range(0, len(rows), step):
        some, whose = rows[start : start + step], owners[start : start + step]
        scores = form.score_pairs(
            block.vectors[some].astype(np.float64), queries[whose].astype(np.float64), block.norms[some], norms[whose]
        )
        top.offer(whose, block.rids[some], scores)
