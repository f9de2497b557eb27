"""The index over the hashes of a generation, as the words that make it."""

from __future__ import annotations

import numpy as np

from vecstore.index import HNSW, Flat, IndexOptions
from vecstore.schema import Schema

from .fields import form
from .metrics import METRICS
from .rows import HAS, ID, VECTOR, attribute

MAX_FIELDS = 1_000
"""Declared fields of a store; an index has 1,024 attributes at most."""
_BLOCK_BYTES = 4 << 20
_BLOCK_ROWS = 1_024


def creation(name: str, prefix: str, schema: Schema, index: IndexOptions) -> list[str]:
    """Return the command that makes an index of this kind over all hashes whose key begins with ``prefix``."""
    tags = ("TAG", "CASESENSITIVE")
    words = ["FT.CREATE", name, "ON", "HASH", "PREFIX", "1", prefix, "STOPWORDS", "0", "SCHEMA", HAS, *tags, ID, *tags]
    for field_name, field in schema.fields.items():
        indexed = form(field).indexed
        words += [attribute(field_name), *(tags if indexed == "TAG" else (indexed,))]
    settings = _settings(schema, index)
    return [*words, VECTOR, "VECTOR", "HNSW" if isinstance(index, HNSW) else "FLAT", str(len(settings)), *settings]


def _settings(schema: Schema, index: IndexOptions) -> list[str]:
    dtype = schema.dtype.upper()
    common = ["TYPE", dtype, "DIM", str(schema.width), "DISTANCE_METRIC", METRICS[schema.metric].name]
    if isinstance(index, Flat):
        # The engine takes memory a block at a time, 1,024 vectors by default: 65 MB for one of 16,000 dimensions.
        width = schema.width * np.dtype(schema.dtype).itemsize
        return [*common, "BLOCK_SIZE", str(max(16, min(_BLOCK_ROWS, _BLOCK_BYTES // width)))]
    return [*common, "M", str(index.m), "EF_CONSTRUCTION", str(index.ef_construction)]
