"""The index over the hashes of a generation: the command that makes it, and what FT.INFO says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import redis

from vecstore.errors import IndexNotReady
from vecstore.index_options import HNSW, Flat, IndexOptions
from vecstore.schema import Schema

from .failures import translate
from .fields import FIELDS
from .filters import KEYS
from .metrics import METRICS
from .rows import HAS, ID, VECTOR, to_attribute

MAX_FIELDS = 1_000
"""Declared fields of a store; an index has 1,024 attributes at most."""
_BLOCK_BYTES = 4 << 20
_BLOCK_ROWS = 1_024


def make_index_command(name: str, prefix: str, schema: Schema, index: IndexOptions) -> list[str]:
    """Return the command that makes an index over all hashes whose key begins with ``prefix``."""
    tags = ("TAG", "CASESENSITIVE")
    words = ["FT.CREATE", name, "ON", "HASH", "PREFIX", "1", prefix, "STOPWORDS", "0", "SCHEMA", HAS, *tags, ID, *tags]
    for field_name, field in schema.fields.items():
        indexed = FIELDS[field.kind].indexed
        words += [to_attribute(field_name), *(tags if indexed == "TAG" else (indexed,))]
    if schema.dynamic:
        words += [KEYS, *tags]
    settings = _make_settings(schema, index)
    return [*words, VECTOR, "VECTOR", "HNSW" if isinstance(index, HNSW) else "FLAT", str(len(settings)), *settings]


def _make_settings(schema: Schema, index: IndexOptions) -> list[str]:
    dtype = schema.dtype.upper()
    common = ["TYPE", dtype, "DIM", str(schema.width), "DISTANCE_METRIC", METRICS[schema.metric].name]
    if isinstance(index, Flat):
        # The engine allocates blocks, of 1,024 vectors by default: 65 MB for vectors of 16,000 dimensions.
        width = schema.width * np.dtype(schema.dtype).itemsize
        return [*common, "BLOCK_SIZE", str(max(16, min(_BLOCK_ROWS, _BLOCK_BYTES // width)))]
    return [*common, "M", str(index.m), "EF_CONSTRUCTION", str(index.ef_construction)]


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """An index as FT.INFO describes it.

    Attributes
    ----------
    complete : bool
        Whether all hashes have been read into it.
    records : int
        Hashes in it.
    failures : int
        Hashes that it refused.
    failed : str
        The key of the last of them.
    bytes : int
        Memory that it takes.
    ef_construction : int or None
        Of its graph, if it has one.
    """

    complete: bool
    records: int
    failures: int
    failed: str
    bytes: int
    ef_construction: int | None = None

    @classmethod
    def decode(cls, reply: Any) -> IndexInfo | None:
        """Read a reply; None if there is no such index."""
        if isinstance(reply, redis.RedisError):
            error = translate(reply)
            if isinstance(error, IndexNotReady):
                return None
            raise error from reply
        info = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
        errors = info.get(b"Index Errors", {})
        megabytes = sum(_to_number(info.get(name)) for name in (b"vector_index_sz_mb", b"total_index_memory_sz_mb"))
        return cls(
            complete=not int(_to_number(info.get(b"indexing"))) and _to_number(info.get(b"percent_indexed", 1)) >= 1,
            records=int(_to_number(info.get(b"num_docs"))),
            failures=int(_to_number(info.get(b"hash_indexing_failures"))),
            failed=errors.get(b"last indexing error key", b"").decode(errors="replace") if errors else "",
            bytes=int(megabytes * (1 << 20)),
            ef_construction=_find_ef_construction(info.get(b"attributes", ())),
        )


def _find_ef_construction(attributes: Sequence[Any]) -> int | None:
    """Return the setting of the vectors' graph, from the attributes that an index has."""
    for each in attributes:
        described = each if isinstance(each, dict) else dict(zip(each[::2], each[1::2], strict=False))
        if (value := described.get(b"ef_construction")) is not None:
            return int(value)
    return None


def _to_number(value: Any) -> float:
    return float(value or 0)
