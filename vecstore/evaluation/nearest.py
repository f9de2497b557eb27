"""Nearest neighbours within a sample, by comparing all pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metric import Metric
from .figures import FloatArray

_BLOCK = 512
"""Rows at once: with 5,000 others a block of scores takes 20 MB."""


def scale_rows(vectors: FloatArray) -> FloatArray:
    """Return rows at length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float64)


def prepare(vectors: ArrayLike, metric: Metric | str = Metric.COSINE) -> FloatArray:
    """Return vectors whose Euclidean geometry is the metric's: at length 1 for cosine."""
    matrix = np.asarray(vectors, np.float64)
    return scale_rows(matrix) if Metric(metric) is Metric.COSINE else matrix


def score_pairs(rows: FloatArray, others: FloatArray, metric: Metric | str) -> FloatArray:
    """Return the score of each row with each other, shape (n, m); larger is nearer. Rows come from `prepare`."""
    products = rows @ others.T
    if Metric(metric) is not Metric.L2:
        return np.asarray(products, np.float64)
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None] - 2 * products
    return np.asarray(-np.sqrt(np.maximum(squares, 0)), np.float64)


def find_nearest(
    vectors: ArrayLike, k: int, metric: Metric | str = Metric.COSINE
) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the ``k`` nearest others of each row, nearest first, and their scores.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
    k : int
        Below n.
    metric : Metric

    Returns
    -------
    places : ndarray, shape (n, k), intp
    scores : ndarray, shape (n, k), float64
    """
    matrix = prepare(vectors, metric)
    count = len(matrix)
    places = np.empty((count, k), np.intp)
    scores = np.empty((count, k), np.float64)
    for start in range(0, count, _BLOCK):
        block = score_pairs(matrix[start : start + _BLOCK], matrix, metric)
        own = np.arange(len(block))
        block[own, own + start] = -np.inf
        near = np.argpartition(-block, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(block, near, axis=1)
        # Of equal scores the first row comes first, so that an answer does not depend on the partition.
        order = np.lexsort((near, -found), axis=1)
        places[start : start + _BLOCK] = np.take_along_axis(near, order, axis=1)
        scores[start : start + _BLOCK] = np.take_along_axis(found, order, axis=1)
    return places, scores
