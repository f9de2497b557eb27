"""How much of one commit a graph covers: which of its rows are still stored, and which rows came later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..search.graph import Graph
from ..state.columns import RowColumns
from ..state.fields import Mask
from ..vectors.part import Part
from ..vectors.segment import find_places

_FEW = 64
"""So many rows are scored sooner than float32 arithmetic rules some of them out."""

_Piece = tuple[Mask, int, Mask]
"""The stored rows of a part, where its rows begin in the graph, and which of the graph's rows were stored."""


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """A graph at one commit.

    Attributes
    ----------
    graph : Graph
    stored : ndarray of bool, shape (n,)
        Which rows of the graph are still stored.
    count : int
        How many of them are stored.
    tail : sequence of Part
        The rows that came after the graph was built.
    few : ndarray of int64 or None
        The rids of all of them, where there are some, and so few that a search scores each.
    """

    graph: Graph
    stored: Mask
    count: int
    tail: Sequence[Part]
    few: NDArray[np.int64] | None
    _pieces: dict[int, _Piece]
    _places: list[tuple[RowColumns, NDArray[np.int64]]]

    @classmethod
    def compute(cls, graph: Graph, parts: Sequence[Part], before: Coverage | None = None) -> Coverage:
        """Return the coverage of a graph over all rows.

        Parts that are unchanged since ``before``, the coverage at an earlier commit, are not looked at again.
        """
        known = before._pieces if before and before.graph is graph else {}
        pieces = {
            part.first: _compute_piece(graph, part, known.get(part.first)) for part in parts if part.first <= graph.last
        }
        stored = np.zeros(len(graph), np.bool_)
        for _, start, piece in pieces.values():
            stored[start : start + len(piece)] |= piece
        tail = [beyond for part in parts if (beyond := part.slice_after(graph.last)) is not None]
        places = before._places if before and before.graph is graph else []
        few = None
        if tail and sum(len(part.vectors) for part in tail) <= _FEW:
            few = np.concatenate([part.get_stored_rids() for part in tail])
        return cls(graph, stored, int(np.count_nonzero(stored)), tail, few, pieces, places)

    def select_matching(self, keep: Mask, columns: RowColumns) -> Mask:
        """Return which rows of the graph match, given the matching rows of a view."""
        if not self._places or self._places[0][0] is not columns:
            self._places[:] = [(columns, _find_graph_places(self.graph.rids, columns.rids.view(len(keep))))]
        places = self._places[0][1]
        return np.append(keep, np.False_)[places]


def _find_graph_places(rids: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of rids in a view, -1 for rows that were removed before it was loaded."""
    places, inside = find_places(known, len(known), rids)
    return np.where(inside, places, -1)


def _compute_piece(graph: Graph, part: Part, known: _Piece | None) -> _Piece:
    if known and known[0] is part.alive:
        return known
    rids = part.get_rids(np.flatnonzero(part.alive))
    start, end = np.searchsorted(graph.rids, (part.first, part.last + 1)).tolist()
    piece = np.zeros(end - start, np.bool_)
    places = np.searchsorted(graph.rids[start:end], rids)
    inside = places < len(piece)
    piece[places[inside]] = graph.rids[start:end][places[inside]] == rids[inside]
    return part.alive, start, piece
