"""When an index is built: by the catalogue's options, and asked for only as often as writes make it worthwhile."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import pytest

from vecstore.backend import Generation, Progress
from vecstore.backends.shared.index_policy import IndexUpkeep, choose_graph, count_held_out
from vecstore.index_options import HNSW, Flat, IndexOptions
from vecstore.schema import Schema

HELD = Generation("0" * 32, Schema(2, index=HNSW()))
"""What a caller believes."""


@dataclass
class Engine(IndexUpkeep):
    options: IndexOptions
    rows: int = 0
    ef: int | None = None
    graph: HNSW | None = None
    counts: int = 0
    built: list[HNSW | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(100)

    def _has_graph(self, generation: Generation) -> bool:
        return self.graph is not None

    def _count_up_to(self, generation: Generation, most: int) -> int:
        self.counts += 1
        return self.rows

    def _read_description(self, generation: Generation) -> Generation:
        return replace(generation, schema=generation.schema.with_index(self.options), ef=self.ef)

    def _lock(self, generation: Generation) -> nullcontext[None]:
        return nullcontext()

    def _replace(self, generation: Generation, graph: HNSW | None, on_progress: Progress | None) -> None:
        self.graph = graph
        self.built.append(graph)


@pytest.mark.parametrize(
    "options, rows, expected",
    [(Flat(), 100, None), (HNSW(), 99, None), (HNSW(m=4), 100, HNSW(4, 100)), (HNSW(4, 9), 100, HNSW(4, 9))],
)
def test_a_graph_needs_options_and_rows(options: IndexOptions, rows: int, expected: HNSW | None) -> None:
    assert choose_graph(options, rows, 100) == expected


def test_an_old_handle_builds_nothing_that_the_catalogue_does_not_ask_for() -> None:
    engine = Engine(Flat(), rows=500)
    assert not engine.tend(HELD, None)
    engine.build(HELD, None)
    assert engine.built == [None]


def test_other_options_of_the_catalogue_are_those_that_are_built() -> None:
    engine = Engine(HNSW(m=4), rows=500)
    assert engine.tend(HELD, None)
    assert engine.tend(HELD, None), "it was not calibrated"
    engine.ef = 64
    assert not engine.tend(HELD, None)
    counts = engine.counts
    assert not engine.tend(HELD, None)
    assert engine.counts == counts
    assert engine.built == [HNSW(4, 100)]


def test_a_small_store_is_counted_only_after_a_quarter_of_the_missing_rows() -> None:
    engine = Engine(HNSW(), rows=20)
    for _ in range(20):
        assert not engine.tend(HELD, None)
        engine.note_written(HELD, 1)
    assert engine.counts == 1
    assert not engine.tend(HELD, None)
    assert engine.counts == 2


def test_a_second_build_takes_more_effort_where_the_options_leave_it_open() -> None:
    assert choose_graph(HNSW(), 100, 100, 200) == HNSW(ef_construction=200)
    assert choose_graph(HNSW(), 100, 100, 64) == HNSW(ef_construction=100)
    assert choose_graph(HNSW(ef_construction=50), 100, 100, 200) == HNSW(ef_construction=50)


@pytest.mark.parametrize("rows, expected", [(1_999, 0), (2_000, 200), (5_005, 500), (10_000, 1_000), (10**7, 1_000)])
def test_one_row_in_ten_is_held_out_at_most(rows: int, expected: int) -> None:
    assert count_held_out(rows) == expected
