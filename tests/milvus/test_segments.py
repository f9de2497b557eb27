"""How searches read the rows of a collection, told from what a server says of its segments."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from vecstore import MilvusIndex
from vecstore.backends.milvus.indexes import IndexPlan, plan_index
from vecstore.backends.milvus.segments import INTERIM_ROWS, Segments, read_segments
from vecstore.backends.postgres.followed.served_index import explain_unserved, has_served_index
from vecstore.metric import Metric

HNSW = IndexPlan("HNSW", Metric.L2, MappingProxyType({"M": 16, "efConstruction": 100}))
FLAT = IndexPlan("FLAT", Metric.L2, MappingProxyType({}))


def describe(loaded: list[tuple[int, str]], growing: int = 0) -> Segments:
    """Return the segments that a server lists as loaded, by their rows and the name of their index."""
    infos = [
        milvus_pb2.QuerySegmentInfo(num_rows=rows, index_name=index, state=common_pb2.SegmentState.Sealed)
        for rows, index in loaded
    ]
    return read_segments(milvus_pb2.GetQuerySegmentInfoResponse(infos=infos), growing)


@pytest.mark.parametrize(
    "loaded, growing, expected, interim",
    [
        ([], 0, Segments(), 0),
        ([], 4_991, Segments(growing=4_991), 0),
        ([], 4_992, Segments(growing=4_992), 4_992),
        ([(9_000, "")], 0, Segments(9_000), 9_000),
        ([(9_000, "vector")], 0, Segments(9_000, 9_000), 0),
        ([(900, "")], 0, Segments(900, 900), 0),
        ([(2_000, "")], 0, Segments(2_000), 2_000),
        ([(90_000, "vector"), (10_000, "")], 6_000, Segments(100_000, 90_000, 6_000), 16_000),
    ],
)
def test_segments_are_read_through_the_index_or_not(
    loaded: list[tuple[int, str]], growing: int, expected: Segments, interim: int
) -> None:
    assert describe(loaded, growing) == expected
    assert expected.interim == interim


def test_one_removed_record_spoils_product_quantisation() -> None:
    quantised = plan_index(MilvusIndex("IVF_PQ"), dim=8, metric=Metric.L2)
    loaded = milvus_pb2.GetQuerySegmentInfoResponse(
        infos=[milvus_pb2.QuerySegmentInfo(num_rows=9_000, index_name="vector", state=common_pb2.SegmentState.Sealed)]
    )
    assert has_served_index(quantised, read_segments(loaded, 0, 9_000))
    assert not has_served_index(quantised, read_segments(loaded, 0, 8_999))
    assert "IVF_PQ" in explain_unserved(quantised, read_segments(loaded, 0, 8_999))
    assert has_served_index(HNSW, read_segments(loaded, 0, 1_000))


def test_what_is_searched_and_not_listed_is_not_served() -> None:
    assert read_segments(milvus_pb2.GetQuerySegmentInfoResponse(), 0, 9_000) == Segments(9_000)


def test_the_index_counts_unless_much_depends_on_what_it_does_not_have() -> None:
    part = Segments(200_000 - INTERIM_ROWS, 200_000 - INTERIM_ROWS, growing=INTERIM_ROWS)
    assert has_served_index(HNSW, part)
    assert has_served_index(HNSW, part, 2.0)
    assert not has_served_index(HNSW, part, 2.1)  # all that is not indexed may match
    assert not has_served_index(HNSW, Segments(20_000))
    assert has_served_index(HNSW, Segments())
    assert has_served_index(FLAT, Segments(20_000)), "it has no interim index"
