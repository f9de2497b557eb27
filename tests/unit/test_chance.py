from __future__ import annotations

from math import comb

import pytest

from vecstore.testing.chance import ALARM, fewest_hits, lowest_mean


@pytest.mark.parametrize("trials, share", [(20, 0.9), (40, 0.97), (300, 0.3), (600, 0.98)])
def test_fewer_hits_are_less_likely_than_the_alarm(trials: int, share: float) -> None:
    fewest = fewest_hits(trials, share)
    tail = [comb(trials, hits) * share**hits * (1 - share) ** (trials - hits) for hits in range(fewest + 1)]
    assert sum(tail[:-1]) <= ALARM < sum(tail)


def test_certain_and_impossible_hits() -> None:
    assert fewest_hits(50, 1.0) == 50
    assert fewest_hits(50, 0.0) == 0


def test_a_sample_without_spread_has_to_reach_the_mean() -> None:
    assert lowest_mean([0.5] * 10, 0.98) == 0.98
    assert 0.9 < lowest_mean([1.0, 0.9] * 100, 0.98) < 0.98


def test_one_answer_that_misses_a_hit_is_no_alarm() -> None:
    assert lowest_mean([0.9], 0.99) <= 0.9
    assert lowest_mean([0.9] * 2, 0.99) <= 0.9
    assert lowest_mean([0.9] * 5, 0.99) == 0.99
    assert lowest_mean([0.1] * 4, 0.99) > 0.1
