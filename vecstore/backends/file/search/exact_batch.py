"""Exact search for many queries at once: one matrix product for all, and a proof as in `exact_codes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric
from vecstore.rows.vectors import compute_norms
from vecstore.turnstile import outside_turn

from ..metrics import METRICS, Doubles, MetricForm, Singles, bound_summation
from ..vectors.part import Part
from .faiss_threads import in_own_thread
from .plan import count_rescored
from .top_k import Answer, TopK

_BLOCK_BYTES = 32 << 20
"""Of vectors that are copied for one product."""
_NEARLY = 2e-4
"""Rows whose norms are this near to 1 are not copied to be normalised; the difference counts as error."""
_WAITING = 16
"""After this many blocks it is decided which of their rows stay."""

PairScores = Callable[[NDArray[np.int64], NDArray[np.int64]], Doubles]
"""Takes rids and the numbers of the queries that they are compared with; returns scores in float64."""


@dataclass(frozen=True, slots=True, eq=False)
class _ProductBlock:
    """Rows for one product.

    Attributes
    ----------
    vectors : ndarray, shape (n, dim)
    rids : ndarray of int64, shape (n,)
    reach : float
        The largest norm.
    off : float
        How far norms may be from 1 where they should be 1.
    """

    vectors: Singles
    rids: NDArray[np.int64]
    reach: float
    off: float = 0.0


class _FaissTopK:
    """The nearest rows of each query so far by FAISS's distances, shape (q, k)."""

    def __init__(self, queries: int, k: int) -> None:
        self.keys = np.full((queries, k), -np.inf)
        """Larger ones are nearer."""
        self.rids = np.full((queries, k), -1)
        self.reach, self.off = 0.0, 0.0
        self.is_sound = True
        self._waiting: list[tuple[Doubles, NDArray[np.int64]]] = []

    def offer(self, block: _ProductBlock, keys: Doubles, places: NDArray[np.int64]) -> None:
        """Take in the best rows of a block."""
        # A product that is not a number hides a row.
        self.is_sound &= bool(np.isfinite(keys).all()) and bool((places >= 0).all())
        self.reach, self.off = max(self.reach, block.reach), max(self.off, block.off)
        self._waiting.append((keys, block.rids[places]))
        if len(self._waiting) == _WAITING:
            self.settle()

    def settle(self) -> None:
        """Decide which of the rows that were offered stay."""
        k = self.keys.shape[1]
        every_key = np.concatenate((self.keys, *(keys for keys, _ in self._waiting)), axis=1)
        every_rid = np.concatenate((self.rids, *(rids for _, rids in self._waiting)), axis=1)
        order = np.argpartition(every_key, -k, axis=1)[:, -k:]
        self.keys, self.rids = np.take_along_axis(every_key, order, 1), np.take_along_axis(every_rid, order, 1)
        self._waiting = []


def find_nearest(
    metric: Metric, parts: Sequence[Part], queries: Singles, k: int, score_pairs: PairScores
) -> list[Answer | None]:
    """Return for each query its k nearest rows with their scores, and ties; None where that is not proven."""
    form = METRICS[metric]
    norms = compute_norms(queries)
    asked = (queries / norms[:, None]).astype(np.float32) if form.is_normalised else queries
    with outside_turn():
        found = in_own_thread(partial(_multiply_blocks, form, parts, asked, count_rescored(k)))
    if not found.is_sound:
        return [None] * len(queries)
    error = bound_summation(queries.shape[1]) + found.off
    seen = np.ones_like(norms) if form.is_normalised else norms
    lower, upper = form.bound_distances(form.sign * found.keys, seen[:, None], found.reach, error)
    missing = found.rids < 0
    lower[missing], upper[missing] = -np.inf, -np.inf
    ceilings = upper.min(axis=1)
    floors = np.partition(lower, -k, axis=1)[:, -k]
    owners, places = np.nonzero((upper >= floors[:, None]) & ~missing)
    rids = found.rids[owners, places]
    top = TopK(len(queries), k)
    top.offer(owners, rids, score_pairs(rids, owners))
    # A row that is not among the candidates may have any score up to the ceiling; -inf says that there are none.
    proven = ((ceilings < top.floors) | (ceilings == -np.inf)).tolist()
    return [answer if is_proven else None for answer, is_proven in zip(top.list_answers(), proven, strict=True)]


def _multiply_blocks(form: MetricForm, parts: Sequence[Part], queries: Singles, k: int) -> _FaissTopK:
    import faiss

    metric = getattr(faiss, form.faiss_metric)
    found = _FaissTopK(len(queries), k)
    for block in _cut_blocks(parts, form):
        distances, places = faiss.knn(queries, block.vectors, min(k, len(block.rids)), metric)
        found.offer(block, form.sign * distances.astype(np.float64), places)
    found.settle()
    return found


def _cut_blocks(parts: Sequence[Part], form: MetricForm) -> Iterator[_ProductBlock]:
    for part in parts:
        norms = part.read_norms()
        off = float(np.abs(norms - 1).max()) if form.is_normalised else 0.0
        if part.alive.all() and part.vectors.dtype == np.float32 and off <= _NEARLY:
            part.touch(0, len(norms))
            yield _ProductBlock(part.vectors, part.get_rids(np.arange(len(norms))), float(norms.max()), off)
        else:
            yield from _copy_blocks(part, norms, form)


def _copy_blocks(part: Part, norms: Doubles, form: MetricForm) -> Iterator[_ProductBlock]:
    step = max(1, _BLOCK_BYTES // (4 * part.vectors.shape[1]))
    for start in range(0, len(norms), step):
        places = start + np.flatnonzero(part.alive[start : start + step])
        if not len(places):
            continue
        part.touch(start, min(start + step, len(norms)))
        rows: NDArray[Any] = np.asarray(part.vectors[places], np.float32)
        reach = float(norms[places].max())
        if form.is_normalised:
            np.divide(rows, norms[places, None], out=rows, casting="same_kind")
            reach = 1.0
        yield _ProductBlock(rows, part.get_rids(places), reach)
