"""Exact search for many queries at once: one matrix product for all, and a proof as in `coded_scan`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.metric import Metric
from vecstore.rows.vectors import row_norms

from ..vectors.vectors import Part
from .bounds import Doubles, summation_error
from .codes import Singles
from .faiss_threads import apart
from .plan import spared

_BLOCK_BYTES = 32 << 20
"""Of vectors that are copied for one product."""
_NEARLY = 2e-4
"""Rows whose norms are so near to 1 are not copied to be normalised: that belongs to the error, then."""
_WAITING = 16
"""So many blocks are looked through before it is decided which of their rows stay."""

Answer = tuple[NDArray[np.int64], Doubles]
PairScores = Callable[[NDArray[np.int64], NDArray[np.int64]], Doubles]
"""Takes rids and the numbers of the queries that they are compared with; returns scores in float64."""


@dataclass(frozen=True, slots=True)
class _Product:
    """How a metric is computed for a block of rows and all queries.

    Attributes
    ----------
    faiss_metric : str
    sign : float
        What makes a larger distance of FAISS a nearer one.
    normalised : bool
        Whether rows and queries have the norm 1.
    intervals : callable
        Takes FAISS's distances, shape (q, n), the norms of the queries, shape (q, 1), the largest norm of a
        row and the relative error; returns the least and the greatest score that each can stand for.
    """

    faiss_metric: str
    sign: float
    normalised: bool
    intervals: Callable[[Doubles, Doubles, float, float], tuple[Doubles, Doubles]]


def _of_products(products: Doubles, norms: Doubles, reach: float, error: float) -> tuple[Doubles, Doubles]:
    errors = error * reach * norms
    return products - errors, products + errors


def _of_squares(squares: Doubles, norms: Doubles, reach: float, error: float) -> tuple[Doubles, Doubles]:
    # FAISS computes ‖q‖² + ‖x‖² − 2 q·x.
    errors = 2 * error * (norms + reach) ** 2
    return -np.sqrt(np.maximum(squares + errors, 0.0)), -np.sqrt(np.maximum(squares - errors, 0.0))


_PRODUCTS: Mapping[Metric, _Product] = MappingProxyType(
    {
        Metric.COSINE: _Product("METRIC_INNER_PRODUCT", 1.0, True, _of_products),
        Metric.IP: _Product("METRIC_INNER_PRODUCT", 1.0, False, _of_products),
        Metric.L2: _Product("METRIC_L2", -1.0, False, _of_squares),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Rows for one product; ``off`` is how far their norms may be from 1 where they should be 1."""

    vectors: Singles
    rids: NDArray[np.int64]
    reach: float
    off: float = 0.0


class _Tops:
    """The best rows of each query so far by FAISS's distances, shape (q, k)."""

    def __init__(self, queries: int, k: int) -> None:
        self.keys = np.full((queries, k), -np.inf)
        """Larger ones are nearer."""
        self.rids = np.full((queries, k), -1)
        self.reach, self.off = 0.0, 0.0
        self.is_sound = True
        self._waiting: list[tuple[Doubles, NDArray[np.int64]]] = []

    def offer(self, block: _Block, keys: Doubles, places: NDArray[np.int64]) -> None:
        """Take in the best rows of a block."""
        # A product that is no number hides a row.
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


def nearest(metric: Metric, parts: Sequence[Part], queries: Singles, k: int, scored: PairScores) -> list[Answer | None]:
    """Return for each query its k nearest rows with their scores, and ties; None where that is not proven."""
    product = _PRODUCTS[metric]
    norms = row_norms(queries)
    asked = (queries / norms[:, None]).astype(np.float32) if product.normalised else queries
    tops = apart(partial(_looked_through, product, parts, asked, spared(k)))
    if not tops.is_sound:
        return [None] * len(queries)
    error = summation_error(queries.shape[1]) + tops.off
    seen = np.ones_like(norms) if product.normalised else norms
    lower, upper = product.intervals(product.sign * tops.keys, seen[:, None], tops.reach, error)
    missing = tops.rids < 0
    lower[missing], upper[missing] = -np.inf, -np.inf
    ceilings = upper.min(axis=1)
    floors = np.partition(lower, -k, axis=1)[:, -k]
    owners, places = np.nonzero((upper >= floors[:, None]) & ~missing)
    rids = tops.rids[owners, places]
    return _answers(rids, owners, scored(rids, owners), ceilings, k)


def _answers(
    rids: NDArray[np.int64], owners: NDArray[np.int64], scores: Doubles, ceilings: Doubles, k: int
) -> list[Answer | None]:
    numbers = np.arange(len(ceilings) + 1)
    starts = np.searchsorted(owners, numbers)
    full = np.flatnonzero(np.diff(starts) >= k)
    order = np.lexsort((-scores, owners))
    floors = np.full(len(ceilings), -np.inf)
    floors[full] = scores[order][starts[full] + k - 1]
    best = scores >= floors[owners]
    rids, scores = rids[best], scores[best]
    bounds = np.searchsorted(owners[best], numbers).tolist()
    # Rows that are not among the tops may have any score up to the ceiling; -inf says that there are none.
    proven = ((ceilings < floors) | (ceilings == -np.inf)).tolist()
    return [
        (rids[start:end], scores[start:end]) if is_proven else None
        for is_proven, (start, end) in zip(proven, pairwise(bounds), strict=True)
    ]


def _looked_through(product: _Product, parts: Sequence[Part], queries: Singles, k: int) -> _Tops:
    import faiss

    metric = getattr(faiss, product.faiss_metric)
    tops = _Tops(len(queries), k)
    for block in _blocks(parts, product):
        distances, places = faiss.knn(queries, block.vectors, min(k, len(block.rids)), metric)
        tops.offer(block, product.sign * distances.astype(np.float64), places)
    tops.settle()
    return tops


def _blocks(parts: Sequence[Part], product: _Product) -> Iterator[_Block]:
    for part in parts:
        norms = part.norms()
        off = float(np.abs(norms - 1).max()) if product.normalised else 0.0
        if part.alive.all() and part.vectors.dtype == np.float32 and off <= _NEARLY:
            part.touch(0, len(norms))
            yield _Block(part.vectors, part.rids_at(np.arange(len(norms))), float(norms.max()), off)
        else:
            yield from _copied(part, norms, product)


def _copied(part: Part, norms: Doubles, product: _Product) -> Iterator[_Block]:
    step = max(1, _BLOCK_BYTES // (4 * part.vectors.shape[1]))
    for start in range(0, len(norms), step):
        places = start + np.flatnonzero(part.alive[start : start + step])
        if not len(places):
            continue
        part.touch(start, min(start + step, len(norms)))
        rows: NDArray[Any] = np.asarray(part.vectors[places], np.float32)
        reach = float(norms[places].max())
        if product.normalised:
            rows = (rows / norms[places, None]).astype(np.float32)
            reach = 1.0
        yield _Block(rows, part.rids_at(places), reach)
