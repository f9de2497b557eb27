"""Rankings against judgements: pytrec_eval computes the same, ties included."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import pytrec_eval

from vecstore import InvalidArgument
from vecstore.evaluation import compare_rankings, evaluate_rankings, order_scores
from vecstore.evaluation.figures import average

K = 7
NAMES = {
    "nDCG": f"ndcg_cut_{K}", "MRR": "recip_rank",
    "MAP": f"map_cut_{K}", "P": f"P_{K}", "recall": f"recall_{K}",
}  # fmt: skip


def draw_run(seed: int) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """Draw scores with many ties, some of which differ beyond single precision only, and graded judgements."""
    rng = np.random.default_rng(seed)
    ids = [f"d{number}" for number in range(30)]
    run, qrels = {}, {}
    for query in (f"q{number}" for number in range(12)):
        shown = rng.choice(ids, 20, replace=False).tolist()
        run[query] = {id_: float(rng.integers(0, 6)) + 1e-12 * float(rng.random()) for id_ in shown}
        judged = rng.choice(ids, 9, replace=False).tolist()
        qrels[query] = {id_: int(rng.integers(0, 4)) for id_ in judged} | {str(judged[0]): 2}
    return run, qrels


def ask_oracle(
    run: Mapping[str, Mapping[str, float]], qrels: Mapping[str, Mapping[str, int]]
) -> dict[str, list[float]]:
    asked = {f"ndcg_cut.{K}", f"map_cut.{K}", f"P.{K}", f"recall.{K}", "recip_rank"}
    found = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run)
    rows: dict[str, list[float]] = {}
    for measure, name in NAMES.items():
        values = [found[query][name if measure != "MRR" else "recip_rank"] for query in qrels]
        # The oracle has no cut for the reciprocal rank.
        rows[measure] = [value if measure != "MRR" or value > 1 / (K + 0.5) else 0.0 for value in values]
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_every_measure_equals_the_oracle(seed: int) -> None:
    run, qrels = draw_run(seed)
    quality = evaluate_rankings({query: order_scores(scores) for query, scores in run.items()}, qrels, K, rounds=10)
    expected = ask_oracle(run, qrels)
    for measure, values in quality.values.items():
        np.testing.assert_allclose(values, expected[measure], atol=1e-9, err_msg=measure)
    assert quality.queries == tuple(qrels)


def test_values_worked_out_by_hand() -> None:
    quality = evaluate_rankings({"q": ["a", "x", "b"]}, {"q": {"a": 1, "b": 1, "c": 1, "x": 0}}, 3, size=6)
    found = {figure.name: figure.value for figure in quality.figures}
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert found["nDCG@3"] == pytest.approx((1 + 1 / 2) / ideal)
    assert found["MRR@3"] == 1
    assert found["MAP@3"] == pytest.approx((1 + 2 / 3) / 3)
    assert [found["P@3"], found["recall@3"]] == pytest.approx([2 / 3, 2 / 3])


def test_the_baseline_is_what_a_random_order_gets() -> None:
    """The closed form of each measure equals its mean over 4,000 orders, within five standard errors."""
    rng = np.random.default_rng(1)
    ids = [f"d{number}" for number in range(8)]
    qrels = {"q": {"d0": 2, "d3": 1, "d5": 1}}
    queries = {f"q{number}": qrels["q"] for number in range(4_000)}
    rankings = {query: [ids[place] for place in rng.permutation(8)] for query in queries}
    quality = evaluate_rankings(rankings, queries, 4, size=8, rounds=1)
    for figure, values in zip(quality.figures, quality.values.values(), strict=True):
        error = float(np.std(values)) / np.sqrt(len(values))
        assert abs(figure.value - figure.baseline) < 5 * error, figure.name


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for trial in range(100):
        figure = average("share", rng.random(60) < 0.4, 0.4, "the truth", seed=trial, rounds=200)
        assert figure.low is not None
        assert figure.high is not None
        covered += figure.low <= 0.4 <= figure.high
    assert covered >= 85  # of 100 at 95 %: fewer by chance less than once in 10,000 runs


def test_queries_without_a_ranking_count_as_nothing_found() -> None:
    quality = evaluate_rankings({"p": ["a"]}, {"p": {"a": 1}, "q": {"a": 1}, "r": {"a": 0}}, 1)
    assert [figure.value for figure in quality.figures] == [0.5] * 5
    assert (quality.unanswered, quality.without_relevant) == (1, 1)
    assert quality.list_worst(1) == [("q", 0.0)]


def test_a_comparison_is_paired() -> None:
    """Each query gains the same little, so a paired interval excludes 0, although queries differ much."""
    qrels = {f"q{number}": {f"r{part}": 1 for part in range(1 + number % 9)} for number in range(30)}
    better = {query: ["r0", "x", "y"] for query in qrels}
    worse = {query: ["x", "r0", "y"] for query in qrels}
    figures = {figure.name: figure for figure in compare_rankings(better, worse, qrels, 3)}
    assert figures["MRR@3 difference"].value == pytest.approx(0.5)
    assert figures["nDCG@3 difference"].low is not None
    assert figures["nDCG@3 difference"].low > 0
    assert figures["P@3 difference"].value == 0


@pytest.mark.parametrize(
    "rankings, qrels, k, names",
    [
        ({"q": ["a"]}, {}, 3, "Queries"),
        ({"q": ["a"]}, {"q": {"a": 0}}, 3, "Queries"),
        ({"q": ["a", "a"]}, {"q": {"a": 1}}, 3, "twice"),
        ({"q": ["a"]}, {"q": {"a": 1}}, 0, "k must be"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    rankings: Mapping[str, list[str]], qrels: Mapping[str, Mapping[str, int]], k: int, names: str
) -> None:
    with pytest.raises(InvalidArgument, match=names):
        evaluate_rankings(rankings, qrels, k)
