"""When an index is built, extended, rebuilt or removed, decided from sizes alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from vecstore.index_options import HNSW, IndexOptions

from ..state.ledger import Ledger
from .index_file import IndexRow

_MIN_TAIL = 1_024
_TAIL = 16
"""An index is extended when at least one row in this many is missing from it, and at least `_MIN_TAIL` are."""
_REMOVED = 3
"""It is rebuilt when more than one row in this many was removed since: they lengthen every graph search."""


class Need(Enum):
    """What the index needs."""

    NOTHING = "the index is up to date"
    REMOVAL = "an index exists, and none is wanted"
    BUILDING = "the index is missing or no longer useful"
    GROWING = "many rows are not in the index yet"


def assess_need(options: IndexOptions, index: IndexRow | None, rows: int, tail: int, least: int) -> Need:
    """Return what an index needs.

    Parameters
    ----------
    options : Flat or HNSW
        The index that is wanted.
    index : IndexRow or None
        The index that exists and can be read.
    rows : int
        How many stored rows have a vector.
    tail : int
        How many of them came after the index.
    least : int
        The smallest number of these that gets an index.
    """
    if not isinstance(options, HNSW):
        return Need.REMOVAL if index else Need.NOTHING
    if rows < least:
        return Need.NOTHING
    if index is None or not options.is_graph_of(index.m, index.ef_construction):
        return Need.BUILDING
    if is_worn(index.n, index.n - (rows - tail)):
        return Need.BUILDING
    if tail >= max(min(least, _MIN_TAIL), index.n // _TAIL):
        return Need.GROWING
    return Need.NOTHING


def is_worn(rows: int, removed: int) -> bool:
    """Say whether so many of a graph's rows were removed that it has to be built again."""
    return removed * _REMOVED > rows


def may_need_upkeep(options: IndexOptions, ledger: Ledger, least: int) -> bool:
    """Say, from the ledger alone, whether an index can need anything."""
    row = IndexRow(**ledger.index) if ledger.index else None
    rows = ledger.vectors
    fresh = ledger.next["rid"] - 1 - row.last if row else 0
    # Of the rows that came after the index, all may be stored, or none.
    return any(assess_need(options, row, rows, tail, least) is not Need.NOTHING for tail in {min(fresh, rows), 0})


def has_doubled(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Say whether the number of rows of an index, as the ledger has it, has passed a power of two."""
    return before is not None and after is not None and after["n"].bit_length() > before["n"].bit_length()
