"""Similarity of pairs: correlation of a model's scores with what people said, and analogies."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidArgument
from .figures import (
    ROUNDS,
    Figure,
    FloatArray,
    average,
    check_count,
    check_matrix,
    check_seed,
    draw_intervals,
    rank_values,
)
from .nearest import scale_rows

FEWEST_PAIRS = 3


def correlate(
    scores: ArrayLike, judgements: ArrayLike, *, beside: ArrayLike | None = None, against: str = "no relation",
    seed: int = 0, rounds: int = ROUNDS,
) -> tuple[Figure, Figure]:  # fmt: skip
    """Return the Spearman and the Pearson correlation of scores with judgements.

    Parameters
    ----------
    scores, judgements : array_like, shape (n,)
        At least three pairs, neither constant.
    beside : array_like, shape (n,), optional
        Scores of something simpler, whose correlations are the baselines; without it they are 0.
    against : str
        What that simpler thing is.
    seed, rounds : int
        Of the bootstrap over pairs.

    Raises
    ------
    InvalidArgument

    References
    ----------
    C. Spearman, *The proof and measurement of association between two things*, 1904. Ties share their mean rank.
    """
    found, truth = np.asarray(scores, np.float64), np.asarray(judgements, np.float64)
    if found.shape != truth.shape or found.ndim != 1:
        raise InvalidArgument(f"There must be a judgement for each score, not {truth.shape} for {found.shape}.")
    check_count("Pairs", len(found), FEWEST_PAIRS)
    if not (np.isfinite(found).all() and np.isfinite(truth).all()):
        raise InvalidArgument("Scores and judgements must be finite numbers.")
    if not (np.ptp(found) and np.ptp(truth)):
        raise InvalidArgument("All scores or all judgements are equal: there is nothing to correlate.")
    simple = None if beside is None else np.asarray(beside, np.float64)
    seed = check_seed(seed)
    figures = []
    for name, compute in (("Spearman", compute_spearman), ("Pearson", compute_pearson)):
        resample = partial(_correlate_rows, compute, found, truth)
        low, high = draw_intervals(resample, len(found), seed=seed, rounds=rounds)
        chance = 0.0 if simple is None else compute(simple, truth)
        chance = 0.0 if math.isnan(chance) else chance
        figures.append(Figure(name, compute(found, truth), len(found), chance, against, low, high))
    return figures[0], figures[1]


def _correlate_rows(
    compute: Callable[[FloatArray, FloatArray], float], a: FloatArray, b: FloatArray, rows: NDArray[np.intp]
) -> float:
    return compute(a[rows], b[rows])


def compute_pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Return the correlation of two rows of numbers; NaN if one is constant."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    x, y = x - x.mean(), y - y.mean()
    lengths = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / lengths if lengths > 0 else math.nan


def compute_spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Return the correlation of the ranks of two rows of numbers; NaN if one is constant."""
    return compute_pearson(rank_values(a), rank_values(b))


def measure_overlap(first: Sequence[str], second: Sequence[str]) -> FloatArray:
    """Return the share of common words of each pair of texts: what a comparison without a model would say."""
    pairs = [({*_split(a)}, {*_split(b)}) for a, b in zip(first, second, strict=True)]
    return np.array([len(a & b) / len(a | b) if a | b else 0.0 for a, b in pairs])


def _split(text: str) -> list[str]:
    return re.findall(r"\w", text) if not text.isascii() else re.findall(r"\w+", text.lower())


@dataclass(frozen=True, slots=True)
class Analogies:
    """How many analogies a model solves.

    Attributes
    ----------
    figures : tuple of Figure
        Over all questions first, then one for each section.
    words : int
        Size of the vocabulary from which answers are taken: shares of different vocabularies cannot be compared.
    unknown : int
        Questions that were left out, because a word has no vector.
    """

    figures: tuple[Figure, ...]
    words: int
    unknown: int


def solve_analogies(
    words: Sequence[str], vectors: ArrayLike, questions: Mapping[str, Sequence[tuple[str, str, str, str]]], *,
    seed: int = 0, rounds: int = ROUNDS,
) -> Analogies:  # fmt: skip
    """Answer "a is to b as c is to …" with the word nearest to b − a + c (3CosAdd), and count the right ones.

    Parameters
    ----------
    words : sequence of str
    vectors : array_like, shape (n, dim)
        One for each word.
    questions : mapping of section to sequence of (a, b, c, d)
    seed, rounds : int
        Of the bootstrap over questions.

    Notes
    -----
    The words of the question are no answers. The baseline is the word nearest to c, which ignores a and b: where words
    of a pair are near each other anyway, it solves many questions.

    References
    ----------
    T. Mikolov et al., *Linguistic regularities in continuous space word representations*, NAACL 2013.
    O. Levy, Y. Goldberg, *Linguistic regularities in sparse and explicit word representations*, CoNLL 2014.
    """
    matrix = scale_rows(check_matrix("vectors", vectors, 4))
    places = {word: row for row, word in enumerate(words)}
    if not len(places) == len(words) == len(matrix):
        raise InvalidArgument(f"There must be one vector for each of {len(words):,} different words.")
    seed = check_seed(seed)
    known = {
        section: np.array([[places[word] for word in each] for each in asked if all(word in places for word in each)])
        for section, asked in questions.items()
    }
    total = sum(map(len, questions.values()))
    used = {section: rows for section, rows in known.items() if len(rows)}
    check_count("Questions whose four words have vectors", sum(map(len, used.values())), 1)
    right = {section: _answer(matrix, rows) for section, rows in used.items()}
    alone = {section: _answer(matrix, rows, alone=True) for section, rows in used.items()}
    sections = {"all": (np.concatenate(list(right.values())), np.concatenate(list(alone.values())))}
    sections |= {section: (right[section], alone[section]) for section in used if len(used) > 1}
    figures = tuple(
        average(f"analogies, {section}", found, simple.mean(), "nearest to the third word", seed=seed, rounds=rounds)
        for section, (found, simple) in sections.items()
    )
    return Analogies(figures, len(words), total - sum(map(len, used.values())))


def _answer(matrix: FloatArray, rows: NDArray[np.intp], *, alone: bool = False) -> NDArray[np.bool_]:
    right = np.empty(len(rows), bool)
    for start in range(0, len(rows), 512):
        a, b, c, d = rows[start : start + 512].T
        targets = matrix[c] if alone else matrix[b] - matrix[a] + matrix[c]
        scores = targets @ matrix.T
        own = np.arange(len(a))
        for each in (a, b, c):
            scores[own, each] = -np.inf
        right[start : start + 512] = scores.argmax(axis=1) == d
    return right
