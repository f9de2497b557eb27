"""How good rankings are: nDCG, MRR, MAP, precision and recall, from judgements of relevance (qrels)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import check_whole
from ..errors import InvalidArgument
from .figures import ROUNDS, Figure, FloatArray, average, check_count, check_seed

if TYPE_CHECKING:
    from ..filters import Filter
    from ..store import VectorStore

Qrels = Mapping[str, Mapping[str, int]]
Rankings = Mapping[str, Sequence[str]]
MEASURES = ("nDCG", "MRR", "MAP", "P", "recall")


@dataclass(frozen=True, slots=True, eq=False)
class RankingQuality:
    """How good the rankings of several queries are.

    Attributes
    ----------
    figures : tuple of Figure
        nDCG, MRR, MAP, precision and recall, each at ``k``.
    queries : tuple of str
        The judged queries, in order.
    values : mapping of str to ndarray, shape (queries,), float64
        Each measure of each query.
    without_relevant : int
        Queries that were left out because nothing is relevant to them.
    unanswered : int
        Judged queries without a ranking; they count as 0.
    """

    figures: tuple[Figure, ...]
    queries: tuple[str, ...]
    values: Mapping[str, FloatArray]
    without_relevant: int
    unanswered: int

    def list_worst(self, count: int = 5, measure: str = "nDCG") -> list[tuple[str, float]]:
        """Return the queries with the lowest values, the lowest first."""
        values = self.values[measure]
        order = np.argsort(values, kind="stable")[:count]
        return [(self.queries[row], float(values[row])) for row in order]


def order_scores(scores: Mapping[str, float]) -> list[str]:
    """Return ids by descending score, equal scores by descending id.

    That is the order of ``trec_eval``, which reads scores in single precision, so nearly equal ones are equal.
    """
    return sorted(scores, key=lambda id_: (np.float32(scores[id_]), id_), reverse=True)


def evaluate_rankings(
    rankings: Rankings, qrels: Qrels, k: int = 10, *, size: int | None = None, seed: int = 0, rounds: int = ROUNDS
) -> RankingQuality:
    """Compare rankings with judgements.

    Parameters
    ----------
    rankings : mapping of query to sequence of ids
        The best first.
    qrels : mapping of query to mapping of id to int
        A positive number is relevant, a larger one more so; what is not named is not relevant.
    k : int
        Measures look at the first ``k`` ids.
    size : int, optional
        How many records were ranked, for the baseline: the expected value of a random order of all of them. Without
        it, the number of distinct ids that occur.
    seed, rounds : int
        Of the bootstrap over queries.

    Raises
    ------
    InvalidArgument
        Nothing is judged relevant, or an id stands twice in a ranking.

    Notes
    -----
    The gain is the judgement itself and the discount log2(rank + 1), as in ``trec_eval``'s ``ndcg_cut``. MAP divides by
    all relevant ids, also those beyond ``k``. MRR is 0 where the first relevant id comes after ``k``.

    References
    ----------
    K. Järvelin, J. Kekäläinen, *Cumulated gain-based evaluation of IR techniques*, ACM TOIS 20(4), 2002.
    """
    k, seed = check_whole("k", k), check_seed(seed)
    judged = [query for query, ids in qrels.items() if any(grade > 0 for grade in ids.values())]
    check_count("Queries with a relevant record", len(judged), 1)
    for query in judged:
        if len(set(rankings.get(query, ()))) < len(rankings.get(query, ())):
            raise InvalidArgument(f"The ranking of query {query!r} has an id twice.")
    if size is None:
        size = len({id_ for query in judged for id_ in (*rankings.get(query, ()), *qrels[query])})
    rows = np.array([_measure(rankings.get(query, ()), qrels[query], k) for query in judged])
    chances = np.array([_expect(qrels[query], k, size) for query in judged]).mean(axis=0)
    names = _name_measures(k)
    figures = tuple(
        average(name, rows[:, place], chances[place], "random order", seed=seed, rounds=rounds)
        for place, name in enumerate(names)
    )
    values = MappingProxyType({name: rows[:, place] for place, name in enumerate(MEASURES)})
    unanswered = sum(query not in rankings for query in judged)
    return RankingQuality(figures, tuple(judged), values, len(qrels) - len(judged), unanswered)


def compare_rankings(
    rankings: Rankings, others: Rankings, qrels: Qrels, k: int = 10, *, seed: int = 0, rounds: int = ROUNDS
) -> tuple[Figure, ...]:
    """Return how much better rankings are than others, with the interval of a paired bootstrap over queries.

    The value of each figure is the mean difference and its baseline is 0: an interval that holds 0 decides nothing.

    References
    ----------
    T. Sakai, *Evaluating evaluation metrics based on the bootstrap*, SIGIR 2006.
    """
    first = evaluate_rankings(rankings, qrels, k, seed=seed, rounds=1)
    second = evaluate_rankings(others, qrels, k, seed=seed, rounds=1)
    return tuple(
        average(
            f"{name} difference", first.values[measure] - second.values[measure], 0.0, "no difference",
            seed=seed, rounds=rounds,
        )
        for name, measure in zip(_name_measures(k), MEASURES, strict=True)
    )  # fmt: skip


def evaluate_search(
    store: VectorStore,
    queries: Mapping[str, Any],
    qrels: Qrels,
    k: int = 10,
    *,
    where: Filter | Mapping[str, Any] | None = None,
    ef: int | None = None,
    exact: bool = False,
    seed: int = 0,
) -> tuple[RankingQuality, Rankings]:
    """Search a store for queries, and compare what comes back with judgements.

    Parameters
    ----------
    store : VectorStore
    queries : mapping of query to str or array_like
        Texts, which need an embedder, or vectors.
    qrels, k, seed
        See `evaluate_rankings`.
    where, ef, exact
        See `VectorStore.search`.

    Returns
    -------
    RankingQuality
    mapping of query to sequence of ids
        For `compare_rankings`.
    """
    asked = [query for query in qrels if query in queries]
    check_count("Queries that are both given and judged", len(asked), 1)
    found = store.search_many([queries[query] for query in asked], k, where=where, ef=ef, exact=exact, include=())
    rankings = {query: [hit.id for hit in hits] for query, hits in zip(asked, found, strict=True)}
    return evaluate_rankings(rankings, qrels, k, size=store.count(where), seed=seed), rankings


def _name_measures(k: int) -> list[str]:
    return [f"{name}@{k}" for name in MEASURES]


def _measure(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> list[float]:
    """Return the measures of one query in the order of `MEASURES`."""
    gains = np.array([max(0, grades.get(id_, 0)) for id_ in ranking[:k]], np.float64)
    ideal = np.sort([float(grade) for grade in grades.values() if grade > 0])[::-1]
    right = gains > 0
    hits = np.flatnonzero(right)
    precisions = np.cumsum(right) / np.arange(1, len(right) + 1)
    dcg = float((gains * _discounts(len(gains))).sum())
    best = float((ideal[:k] * _discounts(min(k, len(ideal)))).sum())
    mrr = 1 / (float(hits[0]) + 1) if len(hits) else 0.0
    return [dcg / best, mrr, float(precisions[right].sum()) / len(ideal), len(hits) / k, len(hits) / len(ideal)]


def _expect(grades: Mapping[str, int], k: int, size: int) -> list[float]:
    """Return the expected measures of a random order of ``size`` ids, in closed form."""
    ideal = np.sort([float(grade) for grade in grades.values() if grade > 0])[::-1]
    relevant = len(ideal)
    size = max(size, relevant)
    depth = min(k, size)
    ranks = np.arange(1, depth + 1)
    share = relevant / size
    best = float((ideal[:k] * _discounts(min(k, relevant))).sum())
    ndcg = float(ideal.sum()) / size * float(_discounts(depth).sum()) / best
    # The first relevant id is at a rank if all before it are others.
    others, left = size - relevant, np.arange(depth)
    before = np.concatenate([[1.0], np.cumprod(np.maximum(others - left, 0) / (size - left))])[:depth]
    mrr = float((before * relevant / (size - left) / ranks).sum())
    pair = relevant * (relevant - 1) / (size * (size - 1)) if size > 1 else 0.0
    ap = float(((share + (ranks - 1) * pair) / ranks).sum()) / relevant
    return [ndcg, mrr, ap, share * depth / k, depth / size]


def _discounts(count: int) -> FloatArray:
    return 1 / np.log2(np.arange(2, count + 2, dtype=np.float64))
