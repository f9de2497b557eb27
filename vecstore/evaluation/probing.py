"""Linear probes: how well a label or a number can be read off the vectors."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .figures import (
    ROUNDS,
    Figure,
    FloatArray,
    average,
    check_count,
    check_matrix,
    check_seed,
    draw_intervals,
    load_library,
)
from .labels import check_labels

FOLDS = 5


def probe_labels(
    vectors: ArrayLike, labels: Sequence[str], *, seed: int = 0, rounds: int = ROUNDS
) -> tuple[tuple[Figure, Figure], int]:
    """Fit a logistic regression on four fifths of the records and test it on the last, five times.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
    labels : sequence of str
    seed, rounds : int
        Of the division into fifths and of the bootstrap over records.

    Returns
    -------
    (Figure, Figure)
        Accuracy, and the mean over labels of their F1. The baseline is to always say the most frequent label.
    int
        Records that were left out, because fewer than five have their label.

    Raises
    ------
    InvalidArgument, MissingExtra

    References
    ----------
    G. Alain, Y. Bengio, *Understanding intermediate layers using linear classifier probes*, 2016.
    """
    matrix, seed = check_matrix("vectors", vectors, 2 * FOLDS), check_seed(seed)
    check_labels(labels, len(matrix))
    counts = Counter(labels)
    rows = [row for row, label in enumerate(labels) if counts[label] >= FOLDS]
    kept = [labels[row] for row in rows]
    check_count(f"Labels of at least {FOLDS} records", len(set(kept)), 2)
    names = check_labels(kept, len(kept))
    linear, selection = load_library("sklearn.linear_model"), load_library("sklearn.model_selection")
    metrics = load_library("sklearn.metrics")
    folds = selection.StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A probe that has not converged after 60 rounds is a probe all the same: its accuracy is measured.
        warnings.simplefilter("ignore", load_library("sklearn.exceptions").ConvergenceWarning)
        model = linear.LogisticRegression(C=0.1, max_iter=60, tol=1e-3)
        said = np.asarray(selection.cross_val_predict(model, _standardise(matrix[rows]), names, cv=folds))
    majority = np.full(len(names), np.bincount(names).argmax())
    f1 = [float(metrics.f1_score(names, each, average="macro", zero_division=0)) for each in (said, majority)]
    against = "most frequent label"
    accuracy = average(
        "probe accuracy", said == names, float((majority == names).mean()), against, seed=seed, rounds=rounds
    )
    return (accuracy, Figure("probe macro F1", f1[0], len(names), f1[1], against)), len(labels) - len(kept)


def probe_numbers(
    vectors: ArrayLike, numbers: ArrayLike, *, seed: int = 0, rounds: int = ROUNDS
) -> tuple[Figure, Figure]:
    """Fit a ridge regression on four fifths of the records and test it on the last, five times.

    Returns
    -------
    Figure
        R², the share of the variance that is explained; below 0 is worse than the mean.
    Figure
        Mean absolute error. The baseline of both is to always say the mean of the other four fifths.

    Raises
    ------
    InvalidArgument
    """
    matrix, seed = check_matrix("vectors", vectors, 2 * FOLDS), check_seed(seed)
    truth = check_matrix("numbers", np.asarray(numbers, np.float64)[:, None], 2 * FOLDS)[:, 0]
    check_count("Different numbers", len(np.unique(truth)), 2)
    part = np.random.default_rng(seed).permutation(np.arange(len(truth)) % FOLDS)
    said, means = np.empty(len(truth)), np.empty(len(truth))
    for fold in range(FOLDS):
        train, test = part != fold, part == fold
        said[test] = _fit_ridge(matrix[train], truth[train], matrix[test])
        means[test] = truth[train].mean()
    against = "mean of the other records"

    low, high = draw_intervals(lambda rows: _explain(truth[rows], said[rows]), len(truth), seed=seed, rounds=rounds)
    error = average(
        "probe mean absolute error", np.abs(said - truth), float(np.abs(means - truth).mean()), against,
        seed=seed, rounds=rounds,
    )  # fmt: skip
    return Figure("probe R²", _explain(truth, said), len(truth), _explain(truth, means), against, low, high), error


def _fit_ridge(matrix: FloatArray, truth: FloatArray, asked: FloatArray) -> FloatArray:
    """Return what a ridge regression says, with the penalty whose leave-one-out error is the smallest.

    That error has a closed form, see T. Hastie et al., *The Elements of Statistical Learning*, 2009, section 7.10.
    """
    middle, spread, mean = matrix.mean(axis=0), matrix.std(axis=0), truth.mean()
    scale = np.where(spread > 0, spread, 1)
    left, sizes, right = np.linalg.svd((matrix - middle) / scale, full_matrices=False)
    turned = left.T @ (truth - mean)

    def measure(penalty: float) -> float:
        kept = sizes**2 / (sizes**2 + penalty)
        leverage = (left**2) @ kept + 1 / len(truth)
        return float((((truth - mean - left @ (kept * turned)) / np.maximum(1 - leverage, 1e-9)) ** 2).mean())

    penalty = min((float(each) for each in np.logspace(-2, 5, 15)), key=measure)
    weights = right.T @ (sizes / (sizes**2 + penalty) * turned)
    return np.asarray(mean + (asked - middle) / scale @ weights, np.float64)


def _explain(truth: FloatArray, guesses: FloatArray) -> float:
    """Return R²; NaN if the truth is constant."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float(((truth - guesses) ** 2).sum()) / spread if spread else math.nan


def _standardise(matrix: FloatArray) -> ArrayLike:
    spread = matrix.std(axis=0)
    return np.asarray((matrix - matrix.mean(axis=0)) / np.where(spread > 0, spread, 1), np.float32)
