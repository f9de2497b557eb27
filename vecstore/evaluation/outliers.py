"""Outliers: records that are far from their neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import check_whole
from ..errors import InvalidArgument
from ..metric import Metric
from .figures import ROUNDS, Figure, FloatArray, check_count, check_matrix, check_seed, compute_auc, draw_intervals
from .nearest import find_nearest
from .sampling import Sample

if TYPE_CHECKING:
    from ..filters import Filter
    from ..store import VectorStore

FEWEST = 3
BATCH = 200


@dataclass(frozen=True, slots=True, eq=False)
class Outliers:
    """Records by their distance from their neighbours.

    Attributes
    ----------
    figure : Figure
        The distance of the farthest record, beside the median of all.
    ids : tuple of str
        The farthest first.
    distances : ndarray, shape (n,), float64
        The mean distance to the ``k`` nearest others, in the order of ``ids``.
    """

    figure: Figure
    ids: tuple[str, ...]
    distances: FloatArray


def find_outliers(
    store: VectorStore, sample: Sample, k: int = 10, *, where: Filter | Mapping[str, Any] | None = None
) -> Outliers:
    """Rank the records of a sample by the mean distance to their ``k`` nearest others in the store.

    Parameters
    ----------
    store : VectorStore
    sample : Sample
    k : int
    where : Filter or mapping, optional
        The others have to match it.

    References
    ----------
    F. Angiulli, C. Pizzuti, *Fast outlier detection in high dimensional spaces*, PKDD 2002.
    """
    k = check_whole("k", k, 1, 1_000)
    check_count("Records", len(sample), FEWEST)
    distances: list[float] = []
    for ids, found in search_neighbours(store, sample, k, where=where):
        for id_, hits in zip(ids, found, strict=True):
            others = [hit.distance for hit in hits if hit.id != id_][:k]
            distances.append(float(np.mean(others)) if others else 0.0)
    return rank_distances(sample.ids, distances, k)


def search_neighbours(
    store: VectorStore, sample: Sample, k: int, *, where: Filter | Mapping[str, Any] | None = None, exact: bool = False
) -> Any:
    """Iterate over the ids of parts of a sample and what the store finds near each: one hit more than ``k``."""
    for start in range(0, len(sample), BATCH):
        part = slice(start, start + BATCH)
        yield sample.ids[part], store.search_many(sample.vectors[part], k + 1, where=where, exact=exact, include=())


def measure_isolation(vectors: ArrayLike, k: int = 10, *, metric: Metric | str = Metric.COSINE) -> FloatArray:
    """Return the mean distance of each vector to its ``k`` nearest others."""
    matrix = check_matrix("vectors", vectors, FEWEST)
    metric = Metric(metric)
    _, scores = find_nearest(matrix, min(check_whole("k", k), len(matrix) - 1), metric)
    return np.asarray(metric.distance(0.0) - scores.mean(axis=1), np.float64)


def rank_distances(ids: Sequence[str], distances: ArrayLike, k: int) -> Outliers:
    """Return records by descending distance, equal ones by id."""
    far = np.asarray(distances, np.float64)
    if len(ids) != len(far):
        raise InvalidArgument(f"There must be one distance for each of {len(ids):,} ids, not {len(far):,}.")
    check_count("Records", len(far), FEWEST)
    order = sorted(range(len(far)), key=lambda row: (-far[row], ids[row]))
    figure = Figure(f"largest mean distance to {k}", float(far.max()), len(far), float(np.median(far)), "median record")
    return Outliers(figure, tuple(ids[row] for row in order), far[order])


def measure_detection(distances: ArrayLike, is_outlier: ArrayLike, *, seed: int = 0, rounds: int = ROUNDS) -> Figure:
    """Return the AUC of distances as a detector of known outliers; the baseline is chance."""
    far, known = np.asarray(distances, np.float64), np.asarray(is_outlier, bool)
    if far.shape != known.shape:
        raise InvalidArgument(f"There must be one mark for each of {len(far):,} distances, not {len(known):,}.")
    check_count("Known outliers", int(known.sum()), 1)
    check_count("Other records", int((~known).sum()), 1)
    low, high = draw_intervals(
        lambda rows: compute_auc(far[rows], known[rows]), len(far), seed=check_seed(seed), rounds=rounds
    )
    return Figure("AUC of distances", compute_auc(far, known), len(far), 0.5, "chance", low, high)
