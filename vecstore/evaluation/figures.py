"""Figures: what was measured, beside what would come out without any merit, and how many cases it rests on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import check_whole
from ..errors import InvalidArgument, MissingExtra

FloatArray = NDArray[np.float64]
ROUNDS = 1_000
"""Resamples of a bootstrap: the ends of a 95 % interval then move by about a tenth of its width between seeds."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes
    ----------
    name : str
        What was measured, such as ``"nDCG@10"``.
    value : float
    n : int
        How many cases the value rests on: queries, pairs, records.
    baseline : float
        The same measure of something that knows nothing; a value is good only beside it.
    against : str
        What the baseline is, such as ``"random order"``.
    low, high : float or None
        The ends of a 95 % bootstrap interval, where one was computed.
    """

    name: str
    value: float
    n: int
    baseline: float
    against: str
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the figure as data that ``json.dumps`` takes; what is not a number becomes None."""
        parts = {"name": self.name, "value": self.value, "low": self.low, "high": self.high}
        parts |= {"baseline": self.baseline, "against": self.against, "n": self.n}
        return {
            key: None if isinstance(each, float) and not math.isfinite(each) else each for key, each in parts.items()
        }


def draw_intervals(
    compute: Callable[[NDArray[np.intp]], float], n: int, *, seed: int = 0, rounds: int = ROUNDS
) -> tuple[float, float]:
    """Return the ends of the 95 % percentile bootstrap interval of a statistic.

    Parameters
    ----------
    compute : callable
        Takes the positions of a resample, shape (n,), and returns the statistic.
    n : int
        Number of cases.
    seed, rounds : int

    References
    ----------
    B. Efron, R. Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13.
    """
    rng = np.random.default_rng(seed)
    values = [compute(rng.integers(0, n, n)) for _ in range(rounds)]
    usable = [value for value in values if math.isfinite(value)]
    if not usable:
        return math.nan, math.nan
    low, high = np.percentile(usable, [2.5, 97.5])
    return float(low), float(high)


def average(
    name: str, values: ArrayLike, baseline: float, against: str, *, seed: int = 0, rounds: int = ROUNDS
) -> Figure:
    """Return the mean of the cases with its bootstrap interval."""
    cases = np.asarray(values, np.float64)
    low, high = draw_intervals(lambda rows: float(cases[rows].mean()), len(cases), seed=seed, rounds=rounds)
    return Figure(name, float(cases.mean()), len(cases), float(baseline), against, low, high)


def compute_auc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a positive case scores above a negative one; ties count half."""
    ranks, chosen = rank_values(scores), np.asarray(positive, bool)
    n, m = int(chosen.sum()), int((~chosen).sum())
    if not n or not m:
        return math.nan
    return float((ranks[chosen].sum() - n * (n + 1) / 2) / (n * m))


def rank_values(values: ArrayLike) -> FloatArray:
    """Return ranks from 1; equal values share the mean of their ranks."""
    _, places, counts = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places], np.float64)


def check_matrix(name: str, vectors: ArrayLike, least: int) -> FloatArray:
    """Return vectors as a finite matrix of at least so many rows.

    Raises
    ------
    InvalidArgument
    """
    matrix = np.asarray(vectors, np.float64)
    if matrix.ndim != 2 or not matrix.shape[1]:
        raise InvalidArgument(f"{name} must be a matrix of shape (n, dim), not of shape {matrix.shape}.")
    check_count(name, len(matrix), least)
    if not np.isfinite(matrix).all():
        raise InvalidArgument(f"{name} has NaN or infinite numbers.")
    return matrix


def check_count(name: str, count: int, least: int) -> None:
    """Check that there are enough cases for a figure to mean anything.

    Raises
    ------
    InvalidArgument
    """
    if count < least:
        raise InvalidArgument(f"{name}: {count:,} are too few. This figure needs at least {least:,}.")


def check_seed(seed: int) -> int:
    """Return a seed as an ``int`` if it is one."""
    return check_whole("seed", seed, 0, 2**32 - 1)


def load_library(name: str, extra: str = "evaluation") -> ModuleType:
    """Import a library on use.

    Raises
    ------
    MissingExtra
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        package = (error.name or name).partition(".")[0]
        raise MissingExtra({"sklearn": "scikit-learn", "umap": "umap-learn"}.get(package, package), extra) from error
