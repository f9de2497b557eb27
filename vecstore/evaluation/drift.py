"""Drift: whether two sets of vectors come from one distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import check_whole
from ..errors import InvalidArgument
from .figures import Figure, FloatArray, check_matrix, check_seed, compute_auc, load_library

FEWEST = 10
MMD_ROWS = 1_000
"""Records of each side of which MMD² is computed: it compares all pairs, and each permutation again."""
_SPLITS = 10
_BINS = 20
_PERMUTATIONS = 200


@dataclass(frozen=True, slots=True)
class AxisDrift:
    """How far apart two sets are along one principal axis.

    Attributes
    ----------
    axis : int
        From 1, the axis of the largest spread.
    share : float
        Of the spread of both sets together.
    js, kl : float
        Jensen–Shannon and Kullback–Leibler divergence, in bits.
    """

    axis: int
    share: float
    js: float
    kl: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How far two sets of vectors are apart.

    Attributes
    ----------
    figures : tuple of Figure
        Mean JS and KL over the axes, MMD², and the AUC of a classifier that tells the sets apart.
    axes : tuple of AxisDrift
    p : float
        How often a random division of the same vectors has as large an MMD²; at least 1/201.
    """

    figures: tuple[Figure, ...]
    axes: tuple[AxisDrift, ...]
    p: float


def measure_drift(before: ArrayLike, after: ArrayLike, *, axes: int = 10, seed: int = 0) -> Drift:
    """Compare two sets of vectors.

    Parameters
    ----------
    before, after : array_like, shape (n, dim) and (m, dim)
        At least ten each.
    axes : int
        Principal axes of both sets together along which they are compared.
    seed : int

    Raises
    ------
    InvalidArgument, MissingExtra

    Notes
    -----
    JS and KL are defined for distributions, so vectors are projected on the axes and counted in 20 bins that both sets
    share; half a case is added to each bin, without which KL is often infinite. KL is that of ``after`` from
    ``before``. The kernel of MMD² is Gaussian with the median distance as its width. The baselines of all three are
    random divisions of the same vectors, whose divergences are above 0, too, because the sets are finite. The
    classifier is a logistic regression in five folds; 0.5 means that it cannot tell the sets apart.

    References
    ----------
    J. Lin, *Divergence measures based on the Shannon entropy*, 1991. A. Gretton et al., *A kernel two-sample test*,
    JMLR 13, 2012. D. Lopez-Paz, M. Oquab, *Revisiting classifier two-sample tests*, ICLR 2017.
    """
    first, second = check_matrix("before", before, FEWEST), check_matrix("after", after, FEWEST)
    if first.shape[1] != second.shape[1]:
        raise InvalidArgument(f"Vectors of {first.shape[1]} and of {second.shape[1]} dimensions cannot be compared.")
    axes, seed = check_whole("axes", axes), check_seed(seed)
    rng = np.random.default_rng(seed)
    both, count = np.concatenate([first, second]), len(first)
    projected, shares = project_on_axes(both, axes)
    found = [_compare_axis(column, count) for column in projected.T]
    splits = []
    for _ in range(_SPLITS):
        mixed = projected[rng.permutation(len(both))]
        splits.append(np.mean([_compare_axis(column, count) for column in mixed.T], axis=0))
    js, kl = np.mean(found, axis=0).tolist()
    js_chance, kl_chance = np.mean(splits, axis=0).tolist()
    mmd, chance, p, rows = _measure_mmd(first, second, rng)
    against = "random division"
    figures = (
        Figure("JS divergence (bits)", js, len(both), js_chance, against),
        Figure("KL divergence (bits)", kl, len(both), kl_chance, against),
        Figure("MMD²", mmd, rows, chance, against),
        Figure("classifier AUC", _classify(both, count, seed), len(both), 0.5, "chance"),
    )
    parts = tuple(
        AxisDrift(number, float(share), js, kl)
        for number, (share, (js, kl)) in enumerate(zip(shares, found, strict=True), 1)
    )
    return Drift(figures, parts, p)


def project_on_axes(vectors: ArrayLike, axes: int) -> tuple[FloatArray, FloatArray]:
    """Return vectors on their principal axes, and the share of the spread of each axis.

    The direction of an axis, which is arbitrary, is such that its largest weight is positive.

    Returns
    -------
    ndarray, shape (n, axes or fewer), float64
    ndarray, shape (axes or fewer,), float64
    """
    matrix = np.asarray(vectors)
    centred = matrix - matrix.mean(axis=0, dtype=np.float64).astype(matrix.dtype)
    spreads, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    total = float(spreads.clip(0).sum())
    kept = directions[:, ::-1][:, :axes]
    kept = kept * np.where(np.take_along_axis(kept, np.abs(kept).argmax(axis=0)[None], axis=0) < 0, -1, 1)
    shares = spreads[::-1][:axes].clip(0) / total if total > 0 else np.zeros(kept.shape[1])
    return np.asarray(centred @ kept.astype(matrix.dtype), np.float64), np.asarray(shares, np.float64)


def _compare_axis(column: FloatArray, count: int) -> tuple[float, float]:
    """Return JS and KL in bits of the first ``count`` numbers and the rest."""
    low, high = float(column.min()), float(column.max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    counts = [np.histogram(part, edges)[0] + 0.5 for part in (column[:count], column[count:])]
    before, after = (each / each.sum() for each in counts)
    middle = (before + after) / 2
    js = (_diverge(before, middle) + _diverge(after, middle)) / 2
    return js, _diverge(after, before)


def _diverge(p: FloatArray, q: FloatArray) -> float:
    return float((p * np.log2(p / q)).sum())


def _measure_mmd(first: FloatArray, second: FloatArray, rng: np.random.Generator) -> tuple[float, float, float, int]:
    """Return the unbiased MMD², the mean of random divisions, how often these are as large, and the records used."""
    sides = [
        side[np.sort(rng.choice(len(side), MMD_ROWS, replace=False))] if len(side) > MMD_ROWS else side
        for side in (first, second)
    ]
    both, n, m = np.concatenate(sides), len(sides[0]), len(sides[1])
    squares = (both**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * both @ both.T, 0)
    width = float(np.median(distances[np.triu_indices(len(both), 1)]))
    kernel = np.exp(-distances / (width if width > 0 else 1.0))
    np.fill_diagonal(kernel, 0)
    divisions = np.zeros((len(both), _PERMUTATIONS + 1))
    divisions[:n, 0] = 1
    for column in range(1, _PERMUTATIONS + 1):
        divisions[rng.permutation(len(both))[:n], column] = 1
    to_first = kernel @ divisions
    within = (divisions * to_first).sum(axis=0)
    across = to_first.sum(axis=0) - within
    others = kernel.sum() - within - 2 * across
    values = within / (n * (n - 1)) + others / (m * (m - 1)) - 2 * across / (n * m)
    p = (1 + int((values[1:] >= values[0]).sum())) / (_PERMUTATIONS + 1)
    return float(values[0]), float(values[1:].mean()), p, n + m


def _classify(both: FloatArray, count: int, seed: int) -> float:
    linear, selection = load_library("sklearn.linear_model"), load_library("sklearn.model_selection")
    spread = both.std(axis=0)
    scaled = (both - both.mean(axis=0)) / np.where(spread > 0, spread, 1)
    side = np.arange(len(both)) >= count
    folds = selection.StratifiedKFold(5, shuffle=True, random_state=seed)
    # Of few records in many dimensions, an unpenalised model says nothing; this penalty does not hurt many records.
    model = linear.LogisticRegression(C=0.1, max_iter=1_000)
    said = selection.cross_val_predict(model, scaled, side, cv=folds, method="decision_function")
    return compute_auc(said, side)
