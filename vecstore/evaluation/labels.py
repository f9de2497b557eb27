"""Retrieval by label: whether the neighbours of a record carry its label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import check_whole
from ..errors import InvalidArgument
from ..metric import Metric
from .figures import ROUNDS, Figure, average, check_count, check_matrix, check_seed
from .nearest import find_nearest

FEWEST = 3


def measure_neighbours(
    vectors: ArrayLike, labels: Sequence[str], k: int = 10, *, metric: Metric | str = Metric.COSINE,
    seed: int = 0, rounds: int = ROUNDS,
) -> tuple[Figure, Figure]:  # fmt: skip
    """Return how many of the ``k`` nearest others have a record's label, and how often the nearest one has it.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
    labels : sequence of str
        At least two different ones.
    k : int
        Less where there are fewer others.
    metric : Metric
    seed, rounds : int
        Of the bootstrap over records.

    Returns
    -------
    Figure
        P@k. Its baseline is chance: the mean share of others with the same label.
    Figure
        The accuracy of the nearest neighbour as a classifier. Its baseline is the most frequent label.
    """
    matrix = check_matrix("vectors", vectors, FEWEST)
    names = check_labels(labels, len(matrix))
    k = min(check_whole("k", k), len(matrix) - 1)
    seed = check_seed(seed)
    near, _ = find_nearest(matrix, k, metric)
    same = names[near] == names[:, None]
    counts = Counter(names.tolist())
    chance = sum(count * (count - 1) for count in counts.values()) / (len(names) * (len(names) - 1))
    most = max(counts.values()) / len(names)
    return (
        average(f"P@{k}", same.mean(axis=1), chance, "chance", seed=seed, rounds=rounds),
        average("1-NN accuracy", same[:, 0], most, "most frequent label", seed=seed, rounds=rounds),
    )


def check_labels(labels: Sequence[object], count: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return labels as numbers, the same for the same label.

    Raises
    ------
    InvalidArgument
    """
    if len(labels) != count:
        raise InvalidArgument(f"There must be one label for each of {count:,} vectors, not {len(labels):,} labels.")
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    check_count("Different labels", len(numbers), 2)
    return np.array([numbers[label] for label in labels], np.intp)
