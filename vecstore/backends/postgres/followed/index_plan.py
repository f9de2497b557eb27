"""The index of a schema, as a server of Milvus has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vecstore.errors import Unsupported
from vecstore.index_options import HNSW, Flat

if TYPE_CHECKING:
    from vecstore.backends.milvus.indexes import IndexPlan, Version
    from vecstore.schema import Schema

_GRAPH_BOUNDS = ((4, 64), (8, 512))
"""Bounds of ``m`` and ``ef_construction`` that every server takes."""


def plan_for(schema: Schema, version: Version) -> IndexPlan:
    """Return the index that a schema describes.

    Any graph that a schema may ask for is built: beyond what the server takes, the nearest that it does.

    Raises
    ------
    Unsupported, InvalidArgument
        The server has no such kind.
    """
    from vecstore.backends.milvus.indexes import plan_index

    index = schema.index
    if isinstance(index, Flat):
        raise TypeError("Flat() asks nothing of Milvus")
    try:
        return plan_index(index, dim=schema.width, metric=schema.metric, version=version)
    except Unsupported:
        if not isinstance(index, HNSW):
            raise
    (least_m, most_m), (least_ef, most_ef) = _GRAPH_BOUNDS
    ef_construction = min(most_ef, max(least_ef, index.list_ef_constructions()[0]))
    nearest = HNSW(min(most_m, max(least_m, index.m)), ef_construction, index.target_recall)
    return plan_index(nearest, dim=schema.width, metric=schema.metric, version=version)
