"""Which strategy a search takes, and when an index is built."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vecstore.backends.file.index.index_file import IndexRow
from vecstore.backends.file.index.index_policy import Need, assess_need
from vecstore.backends.file.search.plan import Plan, Strategy, choose_plan, count_rescored
from vecstore.index_options import HNSW, Flat, IndexOptions

ROWS = 62_666


def plan(*, k: int = 10, ef: int | None = 64, rows: int = ROWS, share: float = 1.0, filtered: bool = True) -> Plan:
    return choose_plan(k=k, ef=ef, rows=rows, matching=round(rows * share), filtered=filtered)


def test_without_a_filter_the_graph_is_searched_with_the_calibrated_effort() -> None:
    assert plan(filtered=False) == Plan(Strategy.GRAPH, 64, count_rescored(10), count_rescored(10))


def test_without_a_calibrated_effort_the_answer_is_exact() -> None:
    assert plan(ef=None, filtered=False).strategy is Strategy.CODES


@pytest.mark.parametrize(
    "share, strategy",
    [
        (0.0001, Strategy.DIRECT),
        (0.004, Strategy.DIRECT),
        (0.017, Strategy.CODES),
        (0.046, Strategy.CODES),
        (0.9, Strategy.GRAPH),
    ],
)
def test_few_matching_rows_are_compared_many_are_searched_along_the_graph(share: float, strategy: Strategy) -> None:
    assert plan(share=share).strategy is strategy


def test_the_less_matches_the_more_candidates() -> None:
    most, half = plan(share=0.9), plan(share=0.5)
    assert half.strategy is Strategy.GRAPH
    assert half.ef == half.candidates == 128
    assert most.ef < half.ef


def test_removed_rows_take_candidates_too() -> None:
    assert plan(share=0.8, filtered=False) == Plan(Strategy.GRAPH, 80, 80, count_rescored(10))


def test_an_effort_that_costs_more_than_a_scan_is_not_spent() -> None:
    assert plan(rows=10_000, ef=1_000, filtered=False).strategy is Strategy.CODES
    assert plan(k=5_000, filtered=False).strategy is Strategy.CODES


def test_a_good_part_of_all_rows_is_not_looked_for_by_candidates() -> None:
    assert plan(k=10_000, rows=20_000, ef=None, filtered=False).strategy is Strategy.PLAIN


BUILT = IndexRow("0" * 32, 1, 1, n=20_000, last=20_000, m=16, ef_construction=200)


@pytest.mark.parametrize(
    "options, index, rows, tail, need",
    [
        (Flat(), None, 50_000, 0, Need.NOTHING),
        (Flat(), BUILT, 20_000, 0, Need.REMOVAL),
        (HNSW(), None, 9_999, 0, Need.NOTHING),
        (HNSW(), None, 10_000, 0, Need.BUILDING),
        (HNSW(m=8), BUILT, 20_000, 0, Need.BUILDING),
        (HNSW(target_recall=0.5), BUILT, 20_000, 0, Need.NOTHING),
        (HNSW(), BUILT, 21_000, 1_000, Need.NOTHING),
        (HNSW(), BUILT, 21_250, 1_250, Need.GROWING),
        (HNSW(), BUILT, 14_000, 0, Need.NOTHING),
        (HNSW(), BUILT, 13_000, 0, Need.BUILDING),
        (HNSW(), BUILT, 14_000, 1_250, Need.BUILDING),
        (HNSW(), BUILT, 5_000, 0, Need.NOTHING),
    ],
)
def test_what_an_index_needs(options: IndexOptions, index: IndexRow | None, rows: int, tail: int, need: Need) -> None:
    assert assess_need(options, index, rows, tail, 10_000) is need


def test_a_small_least_lets_small_indexes_grow() -> None:
    small = replace(BUILT, n=100, last=100)
    assert assess_need(HNSW(), small, 131, 31, 32) is Need.NOTHING
    assert assess_need(HNSW(), small, 132, 32, 32) is Need.GROWING
