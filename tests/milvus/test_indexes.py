"""What is asked of Milvus for each kind of index, before anything is asked."""

from __future__ import annotations

import pytest

from vecstore import HNSW, InvalidArgument, MilvusIndex, Unsupported
from vecstore.backends.milvus.indexes import (
    MAX_K,
    IndexPlan,
    bound_effort,
    count_candidates,
    list_efforts,
    plan_index,
    restore_plan,
    suggest_effort,
    write_search_params,
)
from vecstore.metric import Metric

V23, V24, V25 = (2, 3, 5), (2, 4, 0), (2, 5, 0)
KINDS = [
    "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN", "DISKANN", "GPU_IVF_FLAT", "GPU_IVF_PQ", "GPU_CAGRA",
    "GPU_BRUTE_FORCE",
]  # fmt: skip


def plan(options: HNSW | MilvusIndex, dim: int = 384, version: tuple[int, int, int] | None = None) -> IndexPlan:
    return plan_index(options, dim=dim, metric=Metric.COSINE, version=version)


@pytest.mark.parametrize(
    "options, name, params",
    [
        (HNSW(), "HNSW", {"M": 16, "efConstruction": 100}),
        (HNSW(m=8, ef_construction=64), "HNSW", {"M": 8, "efConstruction": 64}),
        (MilvusIndex("HNSW", m=60), "HNSW", {"M": 60, "efConstruction": 120}),
        (MilvusIndex("FLAT"), "FLAT", {}),
        (MilvusIndex("ivf_flat"), "IVF_FLAT", {"nlist": 128}),
        (MilvusIndex("IVF_SQ8", nlist=7), "IVF_SQ8", {"nlist": 7}),
        (MilvusIndex("IVF_PQ"), "IVF_PQ", {"nlist": 128, "m": 96, "nbits": 8}),
        (MilvusIndex("IVF_PQ", nlist=4, m=12, nbits=4), "IVF_PQ", {"nlist": 4, "m": 12, "nbits": 4}),
        (MilvusIndex("SCANN"), "SCANN", {"nlist": 128, "with_raw_data": True}),
        (MilvusIndex("DISKANN"), "DISKANN", {}),
        (MilvusIndex("GPU_CAGRA", graph_degree=32), "GPU_CAGRA", {"graph_degree": 32, "intermediate_graph_degree": 64}),
    ],
)
def test_options_become_parameters_of_the_server(
    options: HNSW | MilvusIndex, name: str, params: dict[str, int]
) -> None:
    made = plan(options)
    assert (made.name, dict(made.params), made.metric) == (name, params, Metric.COSINE)


@pytest.mark.parametrize("name", KINDS)
def test_what_a_server_describes_is_read_back(name: str) -> None:
    made = plan(MilvusIndex(name))
    said = {key: str(value).lower() for key, value in made.params.items()}
    assert restore_plan(name, Metric.COSINE, said) == made
    assert restore_plan("AUTOINDEX", Metric.COSINE, {}) is None


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 13, 384, 1021, 16_000])
def test_a_vector_of_any_length_has_parts(dim: int) -> None:
    parts = plan(MilvusIndex("IVF_PQ"), dim).params["m"]
    assert dim % parts == 0


def test_product_quantisation_finds_no_matches_and_a_graph_not_those_between_few_and_many() -> None:
    assert [name for name in KINDS if not plan(MilvusIndex(name)).can_mask] == ["IVF_PQ", "GPU_IVF_PQ"]
    assert [name for name in KINDS if not plan(MilvusIndex(name)).finds_matches(1.1)] == ["IVF_PQ", "GPU_IVF_PQ"]
    assert [plan(HNSW()).finds_matches(widening) for widening in (1, 5, 7, 14, 20, 1_000)] == [
        True, True, False, False, True, True,
    ]  # fmt: skip
    assert plan(MilvusIndex("IVF_FLAT")).finds_matches(10)


def test_parts_must_divide_the_dimension() -> None:
    with pytest.raises(InvalidArgument, match="7 does not divide 384"):
        plan(MilvusIndex("IVF_PQ", m=7))


@pytest.mark.parametrize("name, dim, words", [("SCANN", 7, "even"), ("SCANN", 1, "even"), ("DISKANN", 31, "from 32")])
def test_a_dimension_that_a_server_fails_with_is_refused(name: str, dim: int, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        plan(MilvusIndex(name), dim)
    plan(MilvusIndex(name), dim + 1)


@pytest.mark.parametrize(
    "options, version, words",
    [
        (MilvusIndex("GPU_CAGRA"), V23, "begins with 2.4.0"),
        (MilvusIndex("GPU_BRUTE_FORCE"), V23, "begins with 2.4.0"),
        (HNSW(m=2), V23, "m=2.*4 to 64"),
        (HNSW(m=100), V24, "m=100.*4 to 64"),
        (HNSW(m=8, ef_construction=600), V23, "ef_construction=600.*8 to 512"),
    ],
)
def test_a_server_is_not_asked_for_what_it_does_not_have(
    options: HNSW | MilvusIndex, version: tuple[int, int, int], words: str
) -> None:
    with pytest.raises(Unsupported, match=words):
        plan(options, version=version)
    plan(options, version=V25)


@pytest.mark.parametrize("k", [1, 10, 20, 21, 1_000, MAX_K])
@pytest.mark.parametrize("name", KINDS)
def test_efforts_ascend_within_their_bounds(name: str, k: int) -> None:
    made = plan(MilvusIndex(name))
    efforts = list_efforts(made, k)
    assert list(efforts) == sorted(set(efforts))
    assert bool(efforts) == (made.effort_name is not None)
    for effort in efforts:
        assert bound_effort(made, effort, k) == effort
        assert made.effort_name in write_search_params(made, effort, k)
    if efforts:
        assert bound_effort(made, 0, k) == efforts[0]
        assert bound_effort(made, 10**9, k) == efforts[-1]
        assert efforts[0] <= suggest_effort(made, k) <= efforts[-1]
    assert k <= count_candidates(made, k) <= MAX_K


def test_the_effort_has_the_name_of_its_kind() -> None:
    assert write_search_params(plan(HNSW()), 64, 10) == {"ef": 64}
    assert write_search_params(plan(HNSW()), 4, 10) == {"ef": 10}
    assert write_search_params(plan(MilvusIndex("IVF_FLAT", nlist=8)), 64, 10) == {"nprobe": 8}
    assert write_search_params(plan(MilvusIndex("SCANN")), 4, 10) == {"nprobe": 4, "reorder_k": 100}
    assert write_search_params(plan(MilvusIndex("FLAT")), 64, 10) == {}
