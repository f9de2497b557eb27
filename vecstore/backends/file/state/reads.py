"""Reading the rows of a generation: `fetch`, `page`, `sample`, `count`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Include, Rows
from vecstore.filters.nodes import Filter

from ..filters import match_rows
from .reader import Reader

_ALL: Include = frozenset({"text", "metadata", "vector"})


def fetch(reader: Reader, ids: Sequence[str]) -> Rows:
    """Return the records of ids; see `Backend.fetch`."""
    view = reader.snapshot.columns
    positions = view.find_positions(dict.fromkeys(ids))
    return _read_whole(reader, positions[positions >= 0])


def page(reader: Reader, where: Filter | None, after: str | None, limit: int) -> Rows:
    """Return the next matching records in the order of ids; see `Backend.page`."""
    view = reader.snapshot.columns
    order = view.columns.order_by_id(view.size)
    start = 0 if after is None else bisect_right(order, after, key=view.columns.ids.__getitem__)
    rest = order[start:]
    if len(order) > view.size:
        rest = rest[rest < view.size]
    return _read_whole(reader, rest[match_rows(where, view)[rest]][:limit])


def sample(reader: Reader, where: Filter | None, size: int) -> Rows:
    """Return matching records spread evenly over the order of ids; see `Backend.sample`."""
    view = reader.snapshot.columns
    order = view.columns.order_by_id(view.size)
    if len(order) > view.size:
        order = order[order < view.size]
    matching = order[match_rows(where, view)[order]]
    if len(matching) > size:
        matching = matching[np.arange(size) * len(matching) // size]
    return _read_whole(reader, matching)


def count(reader: Reader, where: Filter | None) -> int:
    """Return how many records match; see `Backend.count`."""
    if where is None:
        return reader.snapshot.ledger.tables["rows"].count
    return int(np.count_nonzero(match_rows(where, reader.snapshot.columns)))


def _read_whole(reader: Reader, positions: NDArray[np.int64]) -> Rows:
    """Return the whole rows at positions of the view."""
    rids = reader.snapshot.columns.rids[positions]
    rows = reader.read_rows(rids.tolist(), whole=True)
    return reader.opened.row_format.assemble(rows, _ALL, reader.gather_vectors(rows, rids))
