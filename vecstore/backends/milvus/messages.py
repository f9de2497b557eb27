"""Requests to Milvus, from plain Python and numpy: pure.

Vectors go into a message as the bytes that its wire form has anyway; protobuf would take them apart number by number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from .fields import ID, STAMP, VECTOR, CollectionColumn, CollectionLayout
from .indexes import METRICS, IndexPlan, write_search_params

INDEX = "vector"
"""Name of the index of a collection."""
STRONG = 0
"""As a timestamp: after everything that was written before the request."""
_FLOATS_TAG = b"\x0a"  # field 1, a packed list
_LOW_BITS = 0x7F


def make_pairs(values: Mapping[str, object]) -> list[common_pb2.KeyValuePair]:
    """Return settings as the protocol has them."""
    return [common_pb2.KeyValuePair(key=key, value=str(value)) for key, value in values.items()]


def make_create_request(name: str, layout: CollectionLayout, shards: int) -> milvus_pb2.CreateCollectionRequest:
    """Return the request for a collection with the columns of a layout."""
    schema = schema_pb2.CollectionSchema(name=name, autoID=False)
    for column in layout.list_columns():
        schema.fields.append(
            schema_pb2.FieldSchema(
                name=column.name,
                data_type=schema_pb2.DataType.Value(column.type),
                is_primary_key=column.name == ID,
                element_type=schema_pb2.DataType.Value(column.element or "None"),
                type_params=make_pairs(column.settings),
            )
        )
    return milvus_pb2.CreateCollectionRequest(
        collection_name=name,
        schema=schema.SerializeToString(),
        shards_num=shards,
        consistency_level=common_pb2.ConsistencyLevel.Strong,
    )


def make_index_request(name: str, plan: IndexPlan) -> milvus_pb2.CreateIndexRequest:
    """Return the request for the index of a collection."""
    settings = {
        "index_type": plan.name,
        "metric_type": METRICS[plan.metric],
        "params": json.dumps(dict(plan.params)),
    }
    return milvus_pb2.CreateIndexRequest(
        collection_name=name, field_name=VECTOR, index_name=INDEX, extra_params=make_pairs(settings)
    )


def make_upsert_request(
    name: str,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    stamps: Sequence[int],
    columns: Iterable[tuple[CollectionColumn, Sequence[Any]]],
) -> milvus_pb2.UpsertRequest:
    """Return the request that replaces records by id."""
    data = [
        _make_column(CollectionColumn(ID, "VarChar"), ids),
        _make_vectors(vectors),
        _make_column(CollectionColumn(STAMP, "Int64"), stamps),
        *(_make_column(column, values) for column, values in columns),
    ]
    return milvus_pb2.UpsertRequest(
        collection_name=name,
        fields_data=data,
        num_rows=len(ids),
        hash_keys=[0] * len(ids),  # the server computes them anew and wants as many as rows
    )


def _make_vectors(vectors: NDArray[np.float32]) -> schema_pb2.FieldData:
    data = schema_pb2.FieldData(type=schema_pb2.DataType.FloatVector, field_name=VECTOR)
    data.vectors.dim = vectors.shape[1]
    data.vectors.float_vector.MergeFromString(_pack_floats(vectors))
    return data


def _pack_floats(values: NDArray[np.float32]) -> bytes:
    """Return the wire form of a message whose field 1 is a packed list of floats."""
    raw = np.ascontiguousarray(values, dtype="<f4").tobytes()
    length, rest = bytearray(), len(raw)
    while rest > _LOW_BITS:
        length.append(rest & _LOW_BITS | _LOW_BITS + 1)
        rest >>= 7
    length.append(rest)
    return b"".join((_FLOATS_TAG, bytes(length), raw))


def _make_column(column: CollectionColumn, values: Sequence[Any]) -> schema_pb2.FieldData:
    data = schema_pb2.FieldData(type=schema_pb2.DataType.Value(column.type), field_name=column.name)
    if column.type == "Array":
        data.scalars.array_data.element_type = schema_pb2.DataType.VarChar
        data.scalars.array_data.data.extend(
            schema_pb2.ScalarField(string_data=schema_pb2.StringArray(data=each)) for each in values
        )
    elif column.type == "VarChar":
        data.scalars.string_data.data.extend(values)
    elif column.type == "Int64":
        data.scalars.long_data.data.extend(values)
    elif column.type == "Double":
        data.scalars.double_data.data.extend(values)
    else:
        data.scalars.bool_data.data.extend(values)
    return data


def make_delete_request(name: str, expression: str) -> milvus_pb2.DeleteRequest:
    """Return the request that deletes what an expression matches."""
    return milvus_pb2.DeleteRequest(collection_name=name, expr=expression)


def make_search_request(
    name: str, plan: IndexPlan, queries: NDArray[np.float32], k: int, where: str, effort: int | None, after: int
) -> milvus_pb2.SearchRequest:
    """Return the request for the nearest records of some queries.

    Parameters
    ----------
    after : int
        What was written up to this timestamp is found; `STRONG` means everything.
    """
    settings = {
        "anns_field": VECTOR,
        "topk": k,
        "metric_type": METRICS[plan.metric],
        "round_decimal": -1,
        "ignore_growing": "false",
        "params": json.dumps(write_search_params(plan, effort, k)),
    }
    held = common_pb2.PlaceholderValue(
        tag="$0",
        type=common_pb2.PlaceholderType.FloatVector,
        values=[row.tobytes() for row in np.ascontiguousarray(queries, dtype="<f4")],
    )
    return milvus_pb2.SearchRequest(
        collection_name=name,
        dsl=where,
        dsl_type=common_pb2.DslType.BoolExprV1,
        placeholder_group=common_pb2.PlaceholderGroup(placeholders=[held]).SerializeToString(),
        nq=len(queries),
        output_fields=[STAMP],
        search_params=make_pairs(settings),
        **_make_consistency(after),
    )


def make_query_request(
    name: str, where: str, output: Sequence[str], after: int, settings: Mapping[str, object]
) -> milvus_pb2.QueryRequest:
    """Return the request for columns of the records that an expression matches."""
    return milvus_pb2.QueryRequest(
        collection_name=name,
        expr=where,
        output_fields=output,
        query_params=make_pairs(settings),
        **_make_consistency(after),
    )


def _make_consistency(after: int) -> dict[str, Any]:
    level = common_pb2.ConsistencyLevel
    if after == STRONG:
        return {"guarantee_timestamp": 0, "consistency_level": level.Strong, "use_default_consistency": False}
    return {"guarantee_timestamp": after, "consistency_level": level.Customized, "use_default_consistency": False}
