from __future__ import annotations

import numpy as np
import pytest

from vecstore import Metric
from vecstore.metric import score_rows

ROWS = np.array([[3.0, 4.0], [-3.0, -4.0], [4.0, -3.0], [6.0, 8.0]], np.float16)
QUERY = np.array([3.0, 4.0], np.float32)


@pytest.mark.parametrize(
    "metric, expected, distances",
    [
        (Metric.COSINE, [1, -1, 0, 1], [0, 2, 1, 0]),
        (Metric.IP, [25, -25, 0, 50], [-25, 25, 0, -50]),
        (Metric.L2, [0, -10, -(50**0.5), -5], [0, 10, 50**0.5, 5]),
    ],
)
def test_the_formulas(metric: Metric, expected: list[float], distances: list[float]) -> None:
    found = score_rows(metric, ROWS, QUERY)
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx(expected)
    assert [metric.distance(score) for score in found] == pytest.approx(distances)


def test_half_precision_does_not_overflow() -> None:
    assert score_rows(Metric.IP, np.array([[65504.0, 65504.0]], np.float16), np.array([65504.0, 65504.0], np.float16))[
        0
    ] == (2 * 65504.0**2)


def test_a_cosine_stays_within_its_bounds() -> None:
    rows = np.random.default_rng(1).normal(size=(1000, 7))
    for row in rows[:50]:
        found = score_rows(Metric.COSINE, rows, row)
        assert found.min() >= -1
        assert found.max() <= 1


def test_metrics_are_their_names() -> None:
    assert [f"{metric}" for metric in Metric] == ["cosine", "ip", "l2"]
    assert Metric("l2") is Metric.L2
