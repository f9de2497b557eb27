"""Reading the rows of a generation: `fetch`, `page`, `sample`, `count`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import EVERYTHING, Include, Rows
from vecstore.fields import Stored
from vecstore.filters.nodes import Filter
from vecstore.rows.tallies import rank_values

from .reader import Reader


def fetch(reader: Reader, ids: Sequence[str]) -> Rows:
    """Return the records of ids; see `Backend.fetch`."""
    view = reader.snapshot.columns
    positions = view.find_positions(dict.fromkeys(ids))
    return _read_rows(reader, positions[positions >= 0])


def page(reader: Reader, where: Filter | None, after: str | None, limit: int, include: Include) -> Rows:
    """Return the next matching records in the order of ids; see `Backend.page`."""
    view = reader.snapshot.columns
    order = view.columns.order_by_id(view.size)
    start = 0 if after is None else bisect_right(order, after, key=view.columns.ids.__getitem__)
    rest = order[start:]
    if len(order) > view.size:
        rest = rest[rest < view.size]
    return _read_rows(reader, rest[reader.match_rows(where)[rest]][:limit], include)


def sample(reader: Reader, where: Filter | None, size: int) -> Rows:
    """Return matching records with a vector, spread evenly over the order of ids; see `Backend.sample`."""
    view = reader.snapshot.columns
    order = view.columns.order_by_id(view.size)
    if len(order) > view.size:
        order = order[order < view.size]
    matching = order[view.keep_searchable(reader.match_rows(where))[order]]
    if len(matching) > size:
        matching = matching[np.arange(size) * len(matching) // size]
    return _read_rows(reader, matching)


def find_without_vector(reader: Reader, limit: int) -> list[str]:
    """Return ids of records without a vector; see `Backend.find_without_vector`."""
    view = reader.snapshot.columns
    if view.present is None:
        return []
    return sorted(view.get_ids(np.flatnonzero(view.alive & ~view.present)))[:limit]


def count(reader: Reader, where: Filter | None) -> int:
    """Return how many records match; see `Backend.count`."""
    if where is None:
        return reader.snapshot.ledger.tables["rows"].count
    return int(np.count_nonzero(reader.match_rows(where)))


def count_values(reader: Reader, field: str, where: Filter | None, limit: int | None) -> list[tuple[Stored, int]]:
    """Return the values of a field with their counts; see `Backend.values`."""
    view = reader.snapshot.columns
    return rank_values(view.columns.fields[field].tally(reader.match_rows(where)), limit)


def _read_rows(reader: Reader, positions: NDArray[np.int64], include: Include = EVERYTHING) -> Rows:
    """Return the rows at positions of the view with the columns in ``include``."""
    view = reader.snapshot.columns
    if not include:
        return Rows(view.get_ids(positions), None, None, None, None, view.versions[positions].tolist())
    rids = view.rids[positions]
    rows = reader.read_rows(rids.tolist(), whole=bool(include - {"vector"}))
    vectors, present = reader.gather_present(rows, rids) if "vector" in include else (None, None)
    return reader.opened.row_format.assemble(rows, include, vectors, present)
