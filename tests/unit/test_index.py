from __future__ import annotations

from typing import Any

import pytest

from vecstore import HNSW, Flat, InvalidArgument
from vecstore.index_options import IndexOptions, from_dict, to_dict


@pytest.mark.parametrize(
    "options", [Flat(), HNSW(), HNSW(2, 4, 1), HNSW(ef_construction=None), HNSW(100, 1000, 0.5)], ids=str
)
def test_options_come_back(options: IndexOptions) -> None:
    assert from_dict(to_dict(options)) == options
    assert to_dict(options)["kind"] == options.kind


@pytest.mark.parametrize(
    "wrong",
    [
        {"m": 1}, {"m": 101}, {"m": 16.0}, {"m": True}, {"m": "16"}, {"ef_construction": 3}, {"ef_construction": 1001},
        {"ef_construction": 31}, {"m": 2, "ef_construction": 3}, {"target_recall": 0},
        {"target_recall": 1.01}, {"target_recall": float("nan")}, {"target_recall": "0.9"}, {"target_recall": True},
    ],
    ids=str,
)  # fmt: skip
def test_the_same_bounds_on_every_backend(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=list(wrong)[-1]):
        HNSW(**wrong)


@pytest.mark.parametrize("data", [{}, {"kind": "ivf"}, {"kind": "flat", "m": 3}, {"kind": ["flat"]}, "flat", None, 3])
def test_unknown_options_are_refused(data: Any) -> None:
    with pytest.raises(InvalidArgument):
        from_dict(data)


@pytest.mark.parametrize(
    "options, tried",
    [(HNSW(), (100, 200)), (HNSW(ef_construction=64), (64,)), (HNSW(80), (160, 200)), (HNSW(100), (200,))],
)
def test_the_effort_of_a_build_is_chosen_unless_it_is_given(options: HNSW, tried: tuple[int, ...]) -> None:
    assert options.list_ef_constructions() == tried
    assert [options.is_graph_of(options.m, each) for each in (*tried, 99)] == [True] * len(tried) + [False]
    assert not options.is_graph_of(options.m + 1, tried[0])
