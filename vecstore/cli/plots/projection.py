"""From many dimensions to two, and how far the picture can be trusted."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument
from ...evaluation import project_on_axes
from ...evaluation.figures import load_library

FloatArray = NDArray[np.float64]
METHODS = ("pca", "tsne", "umap")
_CHECKED = 2_000
_NEAR = 10
_FEWEST = 10
"""Fewer points than this are drawn by PCA: t-SNE and UMAP would arrange noise."""
_AXES = 50
"""t-SNE and UMAP start from so many principal axes, which is quicker and hardly another picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Points of a picture.

    Attributes
    ----------
    points : ndarray, shape (n, 2), float64
    method : str
        For people, with what PCA keeps of the spread.
    trustworthiness : float
        From 0 to 1: how far neighbours in the picture are neighbours in truth; NaN for fewer than four points.
    """

    points: FloatArray
    method: str
    trustworthiness: float


def project(vectors: NDArray[np.float32] | FloatArray, method: str, seed: int) -> Projection:
    """Project vectors to two dimensions.

    Raises
    ------
    InvalidArgument, MissingExtra
    """
    if method not in METHODS:
        raise InvalidArgument(f"method must be one of {', '.join(METHODS)}, not {method!r}.")
    if method == "pca" or len(vectors) < _FEWEST:
        points, shares = project_on_axes(vectors, 2)
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
        kept = " + ".join(f"{share:.0%}" for share in shares)
        few = f", as {len(vectors)} points are too few for {method}" if method != "pca" else ""
        title = f"PCA{few} ({kept} of the spread)"
    else:
        axes, _ = project_on_axes(vectors, _AXES)
        points = _run_tsne(axes, seed) if method == "tsne" else _run_umap(axes, seed)
        title = {"tsne": "t-SNE", "umap": "UMAP"}[method]
    return Projection(points, title, measure_trust(vectors, points, seed))


def _run_tsne(axes: FloatArray, seed: int) -> FloatArray:
    manifold = load_library("sklearn.manifold", "plot")
    perplexity = min(30.0, (len(axes) - 1) / 3)
    start = "pca" if axes.shape[1] >= 2 else "random"
    model = manifold.TSNE(2, perplexity=perplexity, init=start, random_state=seed)
    return np.asarray(model.fit_transform(axes.astype(np.float32)), np.float64)


def _run_umap(axes: FloatArray, seed: int) -> FloatArray:
    umap = load_library("umap", "umap")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells that a seed costs its threads
        model = umap.UMAP(n_neighbors=min(15, len(axes) - 1), random_state=seed, n_jobs=1)
        return np.asarray(model.fit_transform(axes), np.float64)


def measure_trust(vectors: NDArray[np.float32] | FloatArray, points: FloatArray, seed: int = 0) -> float:
    """Return the trustworthiness of up to 2,000 points, of their ten nearest neighbours.

    References
    ----------
    J. Venna, S. Kaski, *Neighborhood preservation in nonlinear projection methods*, ICANN 2001.
    """
    rows = np.arange(len(points))
    if len(rows) > _CHECKED:
        rows = np.random.default_rng(seed).choice(rows, _CHECKED, replace=False)
    count = len(rows)
    near = min(_NEAR, (count - 1) // 2)
    if near < 1 or count < 4:
        return math.nan
    true, shown = (_compare_all(np.asarray(each, np.float64)[rows]) for each in (vectors, points))
    ranks = np.empty((count, count), np.int32)
    np.put_along_axis(ranks, np.argsort(true, axis=1, kind="stable"), np.arange(1, count + 1)[None], axis=1)
    neighbours = np.argsort(shown, axis=1, kind="stable")[:, :near]
    strange = np.maximum(np.take_along_axis(ranks, neighbours, axis=1) - near, 0).sum()
    return 1 - 2 * float(strange) / (count * near * (2 * count - 3 * near - 1))


def _compare_all(rows: FloatArray) -> FloatArray:
    rows = rows - rows.mean(axis=0)
    squares = (rows**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * rows @ rows.T
    np.fill_diagonal(distances, np.inf)
    return np.asarray(distances, np.float64)
