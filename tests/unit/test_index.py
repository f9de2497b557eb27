from __future__ import annotations

from typing import Any

import pytest

from vecstore import HNSW, Flat, InvalidArgument, MilvusIndex, Schema, Unsupported
from vecstore.capabilities import Capabilities
from vecstore.index_options import IndexOptions, from_dict, to_dict


@pytest.mark.parametrize(
    "options",
    [
        Flat(), HNSW(), HNSW(2, 4, 1), HNSW(ef_construction=None), HNSW(100, 1000, 0.5), MilvusIndex("FLAT"),
        MilvusIndex("IVF_PQ", nlist=64, m=8, nbits=4, target_recall=0.9), MilvusIndex("hnsw", m=8, ef_construction=16),
    ],
    ids=str,
)  # fmt: skip
def test_options_come_back(options: IndexOptions) -> None:
    assert from_dict(to_dict(options)) == options
    assert to_dict(options)["kind"] == options.kind
    assert isinstance(options, HNSW) or None not in to_dict(options).values()


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


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("IVF_FLAT", {"nlist": 0}), ("IVF_FLAT", {"nlist": 65_537}), ("IVF_FLAT", {"nlist": 12.0}),
        ("FLAT", {"nlist": 4}), ("IVF_PQ", {"nbits": 17}), ("HNSW", {"m": 1}), ("HNSW", {"m": 101}),
        ("HNSW", {"ef_construction": 31}), ("HNSW", {"m": 8, "ef_construction": 15}), ("IVF_FLAT", {"m": 4}),
        ("DISKANN", {"ef_construction": 64}),
        ("FLAT", {"target_recall": 0}), ("GPU_CAGRA", {"graph_degree": 1}),
    ],
)  # fmt: skip
def test_the_options_of_milvus_are_those_of_the_kind(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=list(wrong)[-1]):
        MilvusIndex(name, **wrong)


def test_an_option_of_another_kind_is_to_be_left_out() -> None:
    with pytest.raises(InvalidArgument, match=r"^IVF_FLAT takes nlist\. Leave m out\.$"):
        MilvusIndex("IVF_FLAT", m=4)


@pytest.mark.parametrize("name, words", [("IVF_FLT", "IVF_FLAT"), ("", "no index"), (3, "str such as"), (None, "None")])
def test_unknown_kinds_of_milvus_are_refused(name: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        MilvusIndex(name)


def test_an_index_of_milvus_in_a_place_without_one() -> None:
    place = Capabilities("file", 16_000, 16_000)
    schema = Schema(dim=3, index=MilvusIndex("IVF_FLAT", target_recall=0.9))
    with pytest.raises(Unsupported, match=r"IVF_FLAT of Milvus.*vectors=milvus"):
        place.check_schema(schema)
    assert place.fit(schema).index == schema.make_portable().index == HNSW(target_recall=0.9)
    behind = Capabilities("postgres", 16_000, 4_000, indexes=("flat", "hnsw", "milvus"))
    behind.check_schema(schema)
    assert behind.fit(schema) == schema


def test_an_index_of_milvus_is_shown_as_it_is_written() -> None:
    assert repr(MilvusIndex("ivf_flat", nlist=128)) == "MilvusIndex('IVF_FLAT', nlist=128)"
    assert repr(MilvusIndex("FLAT", target_recall=0.9)) == "MilvusIndex('FLAT', target_recall=0.9)"
