"""The health of vectors: lengths, direction, hubs, duplicates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import check_whole, is_finite
from ..errors import InvalidArgument
from ..metric import Metric
from .figures import Figure, FloatArray, check_count, check_matrix, check_seed
from .nearest import find_nearest, prepare, scale_rows, score_pairs
from .outliers import search_neighbours
from .sampling import Sample

if TYPE_CHECKING:
    from ..filters import Filter
    from ..store import VectorStore

FEWEST = 12
"""Hubs are counted among ten neighbours, and each record needs more others than that."""
_PAIRS = 20_000
_NEAR = 10


@dataclass(frozen=True, slots=True)
class Health:
    """What is peculiar about vectors.

    Attributes
    ----------
    figures : tuple of Figure
        Anisotropy, hubness, the share of records that are nobody's neighbour, and the intrinsic dimension.
    norms : tuple of float
        The smallest length, the 5th, 50th and 95th percentile, the largest.
    zeros : int
        Vectors of zeros, which have no direction.
    duplicates : int
        Vectors that equal an earlier one in each number.
    """

    figures: tuple[Figure, ...]
    norms: tuple[float, float, float, float, float]
    zeros: int
    duplicates: int


def measure_health(vectors: ArrayLike, *, metric: Metric | str = Metric.COSINE, seed: int = 0) -> Health:
    """Measure what is peculiar about vectors.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
    metric : Metric
    seed : int
        Of the baseline.

    Notes
    -----
    The baseline of each figure is the same measure of as many random directions in as many dimensions, at length 1.
    Anisotropy is the mean cosine of two records: near 1, all vectors point the same way, and scores hardly differ.
    Hubness is the skewness of how often a record is among the ten nearest of another: with large values a few records
    are in most answers. The intrinsic dimension (TwoNN) says along how many directions vectors really vary.

    References
    ----------
    K. Ethayarajh, *How contextual are contextualized word representations?*, EMNLP 2019. M. Radovanović et al.,
    *Hubs in space*, JMLR 11, 2010. E. Facco et al., *Estimating the intrinsic dimension*, Scientific Reports 7, 2017.
    """
    matrix, metric, seed = check_matrix("vectors", vectors, FEWEST), Metric(metric), check_seed(seed)
    rng = np.random.default_rng(seed)
    random = scale_rows(rng.normal(size=matrix.shape))
    against = "random directions"
    pairs = rng.integers(0, len(matrix), (_PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    measured = [_measure(matrix, metric, pairs), _measure(random, Metric.COSINE, pairs)]
    names = ("anisotropy (mean cosine)", "hubness (skewness)", "nobody's neighbour (share)", "intrinsic dimension")
    figures = tuple(
        Figure(name, value, len(matrix), beside, against) for name, value, beside in zip(names, *measured, strict=True)
    )
    lengths = np.linalg.norm(matrix, axis=1)
    low, p5, middle, p95, high = np.percentile(lengths, [0, 5, 50, 95, 100]).tolist()
    copies = len(matrix) - len(np.unique(matrix, axis=0))
    return Health(figures, (low, p5, middle, p95, high), int((lengths == 0).sum()), copies)


def _measure(matrix: FloatArray, metric: Metric, pairs: np.ndarray[Any, np.dtype[np.int64]]) -> list[float]:
    rows = scale_rows(matrix)
    cosine = float((rows[pairs[:, 0]] * rows[pairs[:, 1]]).sum(axis=1).mean())
    near, _ = find_nearest(matrix, _NEAR, metric)
    counts = np.bincount(near.ravel(), minlength=len(matrix)).astype(np.float64)
    spread = counts.std()
    skewness = float(((counts - counts.mean()) ** 3).mean() / spread**3) if spread else 0.0
    return [cosine, skewness, float((counts == 0).mean()), estimate_dimension(prepare(matrix, metric))]


def estimate_dimension(vectors: ArrayLike) -> float:
    """Return the intrinsic dimension (TwoNN): how the second neighbour's distance relates to the first's.

    Copies, whose first distance is 0, are left out; NaN if nothing is left.
    """
    _, scores = find_nearest(np.unique(np.asarray(vectors, np.float64), axis=0), 2, Metric.L2)
    first, second = -scores[:, 0], -scores[:, 1]
    usable = first > 0
    total = float(np.log(second[usable] / first[usable]).sum())
    return int(usable.sum()) / total if total > 0 else math.nan


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of records that are nearly the same.

    Attributes
    ----------
    figure : Figure
        The share of records that are in a group, beside the share of random pairs that are as near.
    groups : tuple of tuple of str
        Ids, the largest group first.
    threshold : float
    exact : bool
        False if an index answered, which may have missed some.
    """

    figure: Figure
    groups: tuple[tuple[str, ...], ...]
    threshold: float
    exact: bool


def find_duplicates(
    store: VectorStore,
    sample: Sample,
    threshold: float = 0.95,
    *,
    where: Filter | Mapping[str, Any] | None = None,
    exact: bool = False,
    k: int = 20,
) -> Duplicates:
    """Group records whose score with each other is at least ``threshold``.

    Parameters
    ----------
    store : VectorStore
    sample : Sample
        The records whose neighbours are searched, in the whole store.
    threshold : float
        In the range of the metric's scores: a cosine, an inner product, or minus a distance.
    where : Filter or mapping, optional
    exact : bool
        Compare with every record, without the index.
    k : int
        At most so many neighbours of a record are looked at; larger groups are found through their members.

    Notes
    -----
    A group is what is connected: of a, b and c, a and c are in one group if both are near b.
    """
    metric = store.schema.metric
    if not is_finite(threshold) or not metric.score_range[0] <= threshold <= metric.score_range[1]:
        raise InvalidArgument(f"threshold must be a score of the metric {metric.value}, from {metric.score_range}.")
    k = check_whole("k", k, 1, 1_000)
    check_count("Records", len(sample), 2)
    links: list[tuple[str, str]] = []
    proven = True
    for ids, found in search_neighbours(store, sample, k, where=where, exact=exact):
        for id_, hits in zip(ids, found, strict=True):
            proven = proven and hits.exact
            links += [(id_, hit.id) for hit in hits if hit.id != id_ and hit.score >= threshold]
    groups = join_pairs(links)
    chosen, grouped = set(sample.ids), {id_ for group in groups for id_ in group}
    share = len(chosen & grouped) / len(sample)
    rng = np.random.default_rng(sample.seed)
    pairs = rng.integers(0, len(sample), (_PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    chance = _share_above(prepare(sample.vectors, metric), pairs, metric, threshold)
    figure = Figure(f"records with one at {threshold:g} or nearer", share, len(sample), chance, "random pairs")
    return Duplicates(figure, groups, float(threshold), proven)


def join_pairs(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Return what is connected by pairs, the largest group first, then in the order of ids."""
    parents: dict[str, str] = {}

    def find(id_: str) -> str:
        while parents.setdefault(id_, id_) != id_:
            parents[id_] = parents[parents[id_]]
            id_ = parents[id_]
        return id_

    for a, b in pairs:
        parents[find(a)] = find(b)
    groups: dict[str, list[str]] = {}
    for id_ in parents:
        groups.setdefault(find(id_), []).append(id_)
    return tuple(sorted((tuple(sorted(group)) for group in groups.values()), key=lambda group: (-len(group), group)))


def _share_above(
    rows: FloatArray, pairs: np.ndarray[Any, np.dtype[np.int64]], metric: Metric, threshold: float
) -> float:
    if not len(pairs):
        return 0.0
    above = 0
    for start in range(0, len(pairs), 1_000):
        part = pairs[start : start + 1_000]
        scores = [score_pairs(rows[[a]], rows[[b]], metric)[0, 0] for a, b in part.tolist()]
        above += int((np.array(scores) >= threshold).sum())
    return above / len(pairs)
