"""Clusters: how separate they are, and how they agree with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import check_whole
from ..errors import InvalidArgument
from ..metric import Metric
from .figures import Figure, FloatArray, check_matrix, check_seed, load_library
from .labels import check_labels
from .nearest import find_nearest, prepare

METHODS = ("kmeans", "hdbscan", "dbscan")
FEWEST = 4
SILHOUETTE = 2_000
"""Records of which a silhouette is computed: it compares all pairs."""
_SHUFFLES = 10
_TRIED = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """A division of records into clusters.

    Attributes
    ----------
    figures : tuple of Figure
        The silhouette, and with labels NMI and ARI.
    assigned : ndarray, shape (n,), intp
        The cluster of each record, from 0; −1 is noise, which only the density methods have.
    sizes : tuple of int
        Of each cluster, the largest first.
    noise : int
    method : str
    """

    figures: tuple[Figure, ...]
    assigned: NDArray[np.intp]
    sizes: tuple[int, ...]
    noise: int
    method: str


def find_clusters(
    vectors: ArrayLike, labels: Sequence[str] | None = None, *, method: str = "kmeans", k: int | None = None,
    metric: Metric | str = Metric.COSINE, seed: int = 0,
) -> Clusters:  # fmt: skip
    """Divide records into clusters, and measure the division.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
    labels : sequence of str, optional
        What the clusters are compared with.
    method : {"kmeans", "hdbscan", "dbscan"}
    k : int, optional
        kmeans: number of clusters. Without it, the number of up to 32 with the best silhouette.
    metric : Metric
        Under cosine, vectors are compared at length 1.
    seed : int

    Raises
    ------
    InvalidArgument, MissingExtra

    Notes
    -----
    The baseline of the silhouette is the same method on the same numbers, each column shuffled on its own: that has the
    spread of the data and no clusters. The baseline of NMI and ARI are the labels in random order. Records that a
    density method calls noise are left out of the silhouette and are one cluster for NMI and ARI. DBSCAN takes the
    median distance to the tenth neighbour as its radius.

    References
    ----------
    P. Rousseeuw, *Silhouettes*, 1987. L. Hubert, P. Arabie, *Comparing partitions*, 1985. R. Campello et al.,
    *Density-based clustering based on hierarchical density estimates*, 2013.
    """
    if method not in METHODS:
        raise InvalidArgument(f"method must be one of {', '.join(METHODS)}, not {method!r}.")
    matrix = prepare(check_matrix("vectors", vectors, FEWEST), metric)
    if k is not None:
        k = check_whole("k", k, 2, len(matrix) - 1)
        if method != "kmeans":
            raise InvalidArgument(f"k is for kmeans: {method} finds the number of clusters itself.")
    names = None if labels is None else check_labels(labels, len(matrix))
    seed = check_seed(seed)
    assigned = _assign(matrix, method, k, seed)
    rng = np.random.default_rng(seed)
    shuffled = np.column_stack([rng.permutation(column) for column in matrix.T])
    clusters = len(set(assigned.tolist()) - {-1})
    empty = _assign(shuffled, method, clusters if method == "kmeans" else None, seed)
    figures = [
        Figure("silhouette", value, min(int((assigned >= 0).sum()), SILHOUETTE), beside, "shuffled columns")
        for value, beside in [(_measure_silhouette(matrix, assigned, seed), _measure_silhouette(shuffled, empty, seed))]
    ]
    if names is not None:
        figures += _compare(assigned, names, rng)
    sizes = sorted(np.bincount(assigned[assigned >= 0]).tolist(), reverse=True)
    return Clusters(tuple(figures), assigned, tuple(sizes), int((assigned < 0).sum()), method)


def _assign(matrix: FloatArray, method: str, k: int | None, seed: int) -> NDArray[np.intp]:
    cluster = load_library("sklearn.cluster")
    if method == "kmeans":
        if k is not None:
            return np.asarray(_make_kmeans(cluster, k, seed).fit_predict(matrix), np.intp)
        rows = matrix
        if len(matrix) > SILHOUETTE:
            rows = matrix[np.random.default_rng(seed).choice(len(matrix), SILHOUETTE, replace=False)]
        found = {}
        for each in (each for each in _TRIED if each < len(rows)):
            tried = np.asarray(_make_kmeans(cluster, each, seed).fit_predict(rows), np.intp)
            found[each] = np.nan_to_num(_measure_silhouette(rows, tried, seed), nan=-1.0)
        return _assign(matrix, method, max(found, key=lambda each: found[each]), seed)
    if method == "hdbscan":
        size = max(2, min(10, len(matrix) // 10))
        return np.asarray(cluster.HDBSCAN(min_cluster_size=size, copy=True).fit_predict(matrix), np.intp)
    near = min(10, len(matrix) - 1)
    radius = float(np.median(-find_nearest(matrix, near, Metric.L2)[1][:, -1]))
    return np.asarray(cluster.DBSCAN(eps=max(radius, 1e-12), min_samples=near).fit_predict(matrix), np.intp)


def _make_kmeans(cluster: Any, k: int, seed: int) -> Any:
    return cluster.KMeans(k, n_init=3, random_state=seed)


def _measure_silhouette(matrix: FloatArray, assigned: NDArray[np.intp], seed: int) -> float:
    """Return the mean silhouette of a sample of what is no noise; NaN for fewer than two clusters."""
    rows = np.flatnonzero(assigned >= 0)
    if len(rows) > SILHOUETTE:
        rows = np.random.default_rng(seed).choice(rows, SILHOUETTE, replace=False)
    chosen = assigned[rows]
    if not 2 <= len(np.unique(chosen)) < len(rows):
        return float("nan")
    return float(load_library("sklearn.metrics").silhouette_score(matrix[rows], chosen))


def _compare(assigned: NDArray[np.intp], names: NDArray[np.intp], rng: np.random.Generator) -> list[Figure]:
    metrics = load_library("sklearn.metrics")
    shuffles = [rng.permutation(names) for _ in range(_SHUFFLES)]
    measures = {"NMI": metrics.normalized_mutual_info_score, "ARI": metrics.adjusted_rand_score}
    return [
        Figure(
            name, float(measure(names, assigned)), len(names),
            float(np.mean([measure(each, assigned) for each in shuffles])), "labels in random order",
        )
        for name, measure in measures.items()
    ]  # fmt: skip
