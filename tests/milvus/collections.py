"""Collections of a few records, for tests to look at."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from vecstore import HNSW, MilvusIndex, Schema
from vecstore.backends.milvus.answers import read_columns
from vecstore.backends.milvus.client import MilvusClient
from vecstore.backends.milvus.collection import Collection
from vecstore.backends.milvus.fields import ID, STAMP, plan_layout
from vecstore.backends.milvus.filters import write_literal
from vecstore.backends.milvus.indexes import IndexPlan, plan_index
from vecstore.backends.milvus.messages import STRONG, make_query_request

FLAT = MilvusIndex("FLAT")


def make_plan(schema: Schema, index: HNSW | MilvusIndex = FLAT) -> IndexPlan:
    return plan_index(index, dim=schema.width, metric=schema.metric)


@contextmanager
def open_collection(client: MilvusClient, schema: Schema, index: HNSW | MilvusIndex = FLAT) -> Iterator[Collection]:
    """Make a collection of a new name, and drop it at the end."""
    collection = Collection(client, f"t_{secrets.token_hex(8)}", plan_layout(schema))
    collection.create(make_plan(schema, index))
    try:
        yield collection
    finally:
        collection.drop()


def draw_vectors(rows: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors that no index finds without effort: in no clusters."""
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def fill(collection: Collection, ids: Sequence[str], vectors: NDArray[np.float32], stamp: int = 0) -> int:
    """Write records without metadata, and return the timestamp."""
    return collection.upsert(ids, vectors, {}, [stamp] * len(ids))


def list_all(collection: Collection, after: int = STRONG) -> dict[str, int]:
    """Return all ids with their stamps, page by page, in the order of their bytes."""
    found, start = dict[str, int](), ""
    settings = {"limit": 500, "iterator": "True", "reduce_stop_for_best": "True"}
    while True:
        where = f"{ID} > {write_literal(start)}"
        request = make_query_request(collection.name, where, [ID, STAMP], after, settings)
        columns = read_columns(collection._client.call("Query", request))
        page = dict(zip(columns.get(ID, []), columns.get(STAMP, []), strict=True))
        if not page:
            return dict(sorted(found.items(), key=lambda each: each[0].encode()))
        found |= page
        start = max(page, key=str.encode)
