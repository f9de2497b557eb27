"""How a search is done: the number of matching rows decides which strategy is possible and costs least.

The unit of cost is the comparison of a query with one coded row. The figures were measured at 384
dimensions with M = 16. Where they are wrong for other data, searches take longer; hits are the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

_DIRECT = 256
"""At most this many matching rows are all scored in float64."""
_PER_EFFORT = 40
"""The cost of one more candidate in a graph: its neighbours are compared."""
PER_CHECK = 1 / 30
"""The cost of passing over a row in a scan."""
_SPARE = 8
"""Candidates beyond ``k`` that are scored again: the order of codes is not quite that of the vectors."""
_DEEP = 4
"""Where more than one in so many of the matching rows is wanted, codes rule out too few."""


class Strategy(Enum):
    """How the matching rows are searched."""

    DIRECT = "each row in float64"
    PLAIN = "all rows in float32, exact by bound"
    CODES = "all rows as codes, exact by bound"
    GRAPH = "some rows, along a graph"


@dataclass(frozen=True, slots=True)
class Plan:
    """A strategy, and what a graph search needs.

    Attributes
    ----------
    strategy : Strategy
    ef : int
        The effort of the graph search.
    candidates : int
        How many candidates the graph search gives.
    rescored : int
        At most this many of them are scored again in float64.
    """

    strategy: Strategy
    ef: int = 0
    candidates: int = 0
    rescored: int = 0


def count_rescored(k: int) -> int:
    """Return how many candidates are scored again in float64 for ``k`` hits."""
    return k + max(_SPARE, k // 8)


def choose_plan(*, k: int, ef: int | None, rows: int, matching: int, filtered: bool) -> Plan:
    """Choose a strategy.

    Parameters
    ----------
    k : int
    ef : int or None
        The effort of a graph search that leaves nothing out; None where there is no graph to search.
    rows : int
        Coded rows, removed ones included.
    matching : int
        Coded rows that may be hits.
    filtered : bool
        Whether a filter chose them.
    """
    if matching <= _DIRECT:
        return Plan(Strategy.DIRECT)
    rescored = count_rescored(k)
    if rescored * _DEEP > matching:
        return Plan(Strategy.PLAIN)
    if ef is None:
        return Plan(Strategy.CODES)
    share = matching / rows
    # Rows that cannot be hits take their share of the candidates.
    effort = math.ceil(max(ef, rescored) / share)
    scan = matching + PER_CHECK * rows
    # Matches may be far from the query, where a graph search finds few; prefer the scan.
    if _PER_EFFORT * effort > (scan * share if filtered else scan):
        return Plan(Strategy.CODES)
    return Plan(Strategy.GRAPH, effort, effort if share < 1 else rescored, rescored)
