"""Exact answers in float64, and how much of them another answer has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .condition import CONDITIONS, Condition
from .corpus import Corpus, Vectors

K = 10
TIE = 1e-6
"""Scores of unit vectors that are this close count as equal: float32 arithmetic cannot tell them apart."""
_BLOCK = 16_384
_UNFILTERED = "all"

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Truth:
    """The score of the k-th nearest row of each query, for the whole corpus and under each condition."""

    floors: dict[str, Doubles]

    @classmethod
    def of(cls, corpus: Corpus, queries: Vectors, k: int = K) -> Truth:
        """Compare every query with every row."""
        masks = {condition.name: condition.mask(corpus.metadata) for condition in CONDITIONS}
        masks[_UNFILTERED] = np.ones(len(corpus), np.bool_)
        best = {name: np.full((len(queries), k), -np.inf) for name in masks}
        asked = queries.astype(np.float64)
        for start in range(0, len(corpus), _BLOCK):
            scores = asked @ corpus.vectors[start : start + _BLOCK].astype(np.float64).T
            for name, mask in masks.items():
                both = np.concatenate([best[name], scores[:, mask[start : start + _BLOCK]]], axis=1)
                best[name] = -np.partition(-both, k - 1, axis=1)[:, :k]
        return cls({name: scores.min(axis=1) for name, scores in best.items()})

    def save(self, path: Path) -> None:
        """Write the floors where `load` finds them."""
        np.savez(path, **self.floors)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what `save` wrote."""
        with np.load(path) as stored:
            return cls({name: stored[name] for name in stored.files})

    def recall(
        self, corpus: Corpus, queries: Vectors, found: Sequence[Sequence[int]], condition: Condition | None = None
    ) -> float:
        """Return the mean share of the k nearest rows that the answers have.

        Parameters
        ----------
        found : sequence of sequences of int
            For the first queries, the places of the rows that were found. A place given twice counts once,
            a row that does not match the condition not at all.
        """
        floors = self.floors[condition.name if condition else _UNFILTERED]
        shares = []
        for query, floor, places in zip(queries, floors, found, strict=False):
            distinct = sorted(set(places))
            scores = corpus.vectors[distinct].astype(np.float64) @ query.astype(np.float64)
            near = scores >= floor - TIE
            if condition is not None:
                near &= condition.mask([corpus.metadata[place] for place in distinct])
            shares.append(min(int(near.sum()), K) / K)
        return float(np.mean(shares))


def count_same_up_to_ties(corpus: Corpus, queries: Vectors, one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """Count the queries for which two answers have the same rows in the same order, equal scores aside."""
    scores = [np.einsum("qkd,qd->qk", corpus.vectors[found], queries, dtype=np.float64) for found in (one, other)]
    return int(((one == other) | (np.abs(scores[0] - scores[1]) <= TIE)).all(axis=1).sum())
