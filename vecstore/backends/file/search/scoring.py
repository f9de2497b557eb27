"""The scores of hits: every one is computed in float64 from the stored vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vecstore.rows.vectors import compute_norms

from ..metrics import Doubles, MetricForm, Singles
from ..vectors.vectors import SOME, Vectors
from .faiss_threads import count_cores, in_parallel

_PAIRS = SOME
"""Pairs that are scored in one step: their vectors stay in the processor's cache, and those of a large store are not
read through the map, which would take all of it into the memory of this process."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """How the rows of one commit are scored."""

    form: MetricForm
    vectors: Vectors

    def score(self, query: Singles, rids: NDArray[np.int64]) -> Doubles:
        """Score rows against one query."""
        if len(rids) > _PAIRS:
            return self.score_pairs(query[None, :], rids, np.zeros(len(rids), np.int64))
        vectors = self.vectors.gather(rids).astype(np.float64)
        asked = query.astype(np.float64)[None, :]
        return self.form.score_pairs(vectors, asked, compute_norms(vectors), compute_norms(asked))

    def score_each(self, queries: Singles, found: Sequence[tuple[NDArray[np.int64], int]]) -> Sequence[Doubles]:
        """Score the rows that were found for each query; rids come first in ``found``."""
        if len(queries) == 1:
            return [self.score(queries[0], found[0][0])]
        sizes = [len(rids) for rids, _ in found]
        owners = np.repeat(np.arange(len(queries)), sizes)
        scores = self.score_pairs(queries, np.concatenate([rids for rids, _ in found]), owners)
        return np.split(scores, np.cumsum(sizes)[:-1])

    def score_pairs(self, queries: Singles, rids: NDArray[np.int64], owners: NDArray[np.int64]) -> Doubles:
        """Score rows against the queries of those numbers."""
        asked = queries.astype(np.float64)
        norms = compute_norms(asked)
        steps = [slice(start, start + _PAIRS) for start in range(0, len(rids), _PAIRS)]
        result = np.empty(len(rids))
        if len(steps) <= 1:
            self._score_steps(asked, norms, rids, owners, steps, result)
            return result
        hands = range(count_cores())
        in_parallel(
            [
                partial(self._score_steps, asked, norms, rids, owners, steps[hand :: len(hands)], result)
                for hand in hands
            ]
        )
        return result

    def _score_steps(
        self,
        queries: Doubles,
        norms: Doubles,
        rids: NDArray[np.int64],
        owners: NDArray[np.int64],
        steps: Sequence[slice],
        result: Doubles,
    ) -> None:
        """Put the scores of some of the pairs into ``result``."""
        for some in steps:
            vectors = self.vectors.gather(rids[some]).astype(np.float64)
            whose = owners[some]
            result[some] = self.form.score_pairs(vectors, queries[whose], compute_norms(vectors), norms[whose])
