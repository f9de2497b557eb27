"""Reading and sending records as the other engine holds them: ids, vectors and declared fields of what has a vector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import BigInteger, Select, Text, cast, select

from vecstore.backend import Include, Rows

from ..generation_table import Layout
from ..reads import is_searchable, select_columns
from ..statements import Statement, compile_statement, make_parameter
from ..writes import match_any

if TYPE_CHECKING:
    from vecstore.backends.milvus.collection import Collection

RECORDS: Include = frozenset({"vector", "metadata"})


@lru_cache(maxsize=256)
def compile_records(layout: Layout) -> Statement:
    """Read those of some ids."""
    return compile_statement(_select(layout).where(is_searchable(layout, layout.table.c.id == match_any("ids"))))


@lru_cache(maxsize=256)
def compile_page(layout: Layout) -> Statement:
    """Read the first ones beyond an id, in the order of ids."""
    id_ = layout.table.c.id
    rows = _select(layout).where(is_searchable(layout, id_ > cast(make_parameter("after", Text()), Text())))
    return compile_statement(rows.order_by(id_).limit(make_parameter("limit", BigInteger())))


def _select(layout: Layout) -> Select[Any]:
    shown = (value.label(name) for name, value in select_columns(layout, RECORDS).items())
    return select(layout.table.c.id, layout.table.c.version, *shown)


def send_rows(collection: Collection, rows: Rows, stamps: Sequence[int]) -> int:
    """Send records; return the timestamp that the engine has them by."""
    if not len(rows):
        return 0
    return collection.upsert(rows.ids, np.asarray(rows.vectors, np.float32), rows.fields or {}, stamps)
