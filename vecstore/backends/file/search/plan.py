"""How a search is done: from how many rows match, which way is right and costs least.

The unit of cost is the comparison of a query with one coded row. The figures were measured at 384
dimensions with M = 16; that they differ elsewhere costs time, never hits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

_DIRECT = 256
_PER_EFFORT = 40
"""What one more candidate costs in a graph: its neighbours are compared."""
PER_CHECK = 1 / 30
"""What it costs a scan to pass over a row."""
_SPARE = 8
"""Candidates beyond ``k`` that are scored again: the order of codes is not quite that of the vectors."""
_DEEP = 4
"""Where more than one in so many of the matching rows is wanted, codes rule out too few."""


class Way(Enum):
    """How the matching rows are looked through."""

    DIRECT = "each row in float64"
    PLAIN = "all rows in float32, exact by bound"
    CODES = "all rows as codes, exact by bound"
    GRAPH = "some rows, along a graph"


@dataclass(frozen=True, slots=True)
class Plan:
    """A way, and for a graph its effort and how many candidates it gives."""

    way: Way
    ef: int = 0
    candidates: int = 0


def spared(k: int) -> int:
    """Return how many candidates are scored again for ``k`` hits."""
    return k + max(_SPARE, k // 8)


def planned(*, k: int, ef: int | None, rows: int, matching: int, filtered: bool) -> Plan:
    """Choose a way.

    Parameters
    ----------
    k : int
    ef : int or None
        The effort that a graph is to be walked with where nothing is left out; None where there is no graph to use.
    rows : int
        Coded rows, removed ones included.
    matching : int
        Those that may be hits.
    filtered : bool
        Whether a filter chose them.
    """
    if matching <= _DIRECT:
        return Plan(Way.DIRECT)
    if spared(k) * _DEEP > matching:
        return Plan(Way.PLAIN)
    if ef is None:
        return Plan(Way.CODES)
    share = matching / rows
    # Rows that cannot be hits take their share of the candidates.
    effort = math.ceil(max(ef, spared(k)) / share)
    codes = matching + PER_CHECK * rows
    # Matching rows may lie far from the query, where a graph finds few of them: rather not, then.
    if _PER_EFFORT * effort > (codes * share if filtered else codes):
        return Plan(Way.CODES)
    return Plan(Way.GRAPH, effort, effort if share < 1 else spared(k))
