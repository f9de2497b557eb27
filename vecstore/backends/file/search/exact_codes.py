"""Exact search by codes: candidates from float16, each in float64, and a proof that no other row can be better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.turnstile import outside_turn

from ..metrics import METRICS, Doubles, EncodedQuery, Singles
from ..state.fields import Mask
from .codes import Codes
from .faiss_threads import count_cores, in_parallel, single_threaded
from .plan import PER_CHECK, count_rescored
from .top_k import Answer

_WORTH = 8_192
"""Fewer comparisons than these are not worth another thread."""

_SPARSE = 8
"""Where at most one row in so many counts, and their codes take at most ``_COPIED`` bytes, a copy is scanned."""
_COPIED = 4 << 20

_NOTHING: tuple[NDArray[np.int64], Singles] = (np.empty(0, np.int64), np.empty(0, np.float32))

Score = Callable[[NDArray[np.int64]], Doubles]
"""Returns the scores of rids, in float64."""


@dataclass(frozen=True, slots=True, eq=False)
class CodedRows:
    """Coded rows, and which of them count.

    Attributes
    ----------
    codes : Codes
    counts : ndarray of bool, shape (n,), optional
        None for all of them.
    rids_of : callable
        Takes places of codes. Returns the rids of the rows that count and have one of these codes, and for each
        rid the position of its code in the argument.
    """

    codes: Codes
    counts: Mask | None
    rids_of: Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.intp]]]

    def narrow(self) -> CodedRows:
        """Return only the rows that count, their codes copied, where they are few; otherwise the same object."""
        if self.counts is None:
            return self
        places = np.flatnonzero(self.counts)
        if len(places) * _SPARSE > len(self.codes) or len(places) * self.codes.width > _COPIED:
            return self
        return CodedRows(self.codes.copy_some(places), None, partial(self._rids_among, places))

    def _rids_among(
        self, places: NDArray[np.int64], found: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        return self.rids_of(places[found])


@dataclass(slots=True, eq=False)
class _Piece:
    """Rows that one thread searches.

    Attributes
    ----------
    rows : CodedRows
    query : EncodedQuery
    selector : faiss.IDSelector or None
        Which codes of the rows belong to the piece and count, None for all of them.
    size : int
        How many these are.
    k : int
        How many nearest ones are wanted.
    cost : int
    found : tuple
        The places and distances that FAISS found.
    """

    rows: CodedRows
    query: EncodedQuery
    selector: Any
    size: int
    k: int
    cost: int
    found: tuple[NDArray[np.int64], Singles] = field(default=_NOTHING)


@dataclass(frozen=True, slots=True, eq=False)
class _PieceResult:
    """The result of one piece; ``ceiling`` is the best score that a row may have that is not among its rids."""

    rids: NDArray[np.int64]
    lower: Doubles
    upper: Doubles
    ceiling: float


def find_nearest(
    coded: Sequence[CodedRows], query: Singles, k: int, score: Score, uncoded: tuple[NDArray[np.int64], Doubles]
) -> Answer | None:
    """Return the k nearest rows and their scores, and those that tie with the last; None where that is not proven.

    Parameters
    ----------
    coded : sequence of CodedRows
    query : ndarray, shape (dim,), float32
    k : int
    score : callable
    uncoded : (rids, scores)
        The nearest rows that have no codes.
    """
    most = count_rescored(k)
    pieces = [piece for rows in coded for piece in _cut_pieces(rows, query, most)]
    with outside_turn():
        _search_pieces(pieces)
    found = [_bound_piece(piece) for piece in pieces]
    rids, lower, upper = (
        np.concatenate([getattr(each, name) for each in found]) for name in ("rids", "lower", "upper")
    )
    likely = rids[upper >= _find_floor(np.concatenate((lower, uncoded[1])), k)]
    rids = np.concatenate((likely, uncoded[0]))
    scores = np.concatenate((score(likely), uncoded[1]))
    floor = _find_floor(scores, k)
    # A piece that gave all its rows has no ceiling: it cannot hide a better row.
    if any(-np.inf < each.ceiling >= floor for each in found):
        return None
    best = scores >= floor
    return rids[best], scores[best]


def _find_floor(scores: Doubles, k: int) -> float:
    """Return the k-th best score, the worst possible where there are fewer."""
    return float(np.partition(scores, -k)[-k]) if len(scores) >= k else -np.inf


def _cut_pieces(rows: CodedRows, query: Singles, k: int) -> list[_Piece]:
    """Cut coded rows into one piece for each processor, fewer where the work is small."""
    total = len(rows.codes)
    counted = total if rows.counts is None else int(np.count_nonzero(rows.counts))
    count = max(1, min(count_cores(), int(counted + total * PER_CHECK) // _WORTH))
    ends = [total * number // count for number in range(count + 1)]
    coding = rows.codes.coding
    encoded = METRICS[coding.metric].encode_query(query, coding.exponent)
    pieces = []
    for start, end in pairwise(ends):
        size = counted
        if count > 1:
            size = end - start if rows.counts is None else int(np.count_nonzero(rows.counts[start:end]))
        selector = None if count == 1 and rows.counts is None else _make_selector(rows.counts, start, end)
        cost = int(size + (end - start) * PER_CHECK)
        pieces.append(_Piece(rows, encoded, selector, size, min(k, max(1, size)), cost))
    return pieces


def _make_selector(counts: Mask | None, start: int, end: int) -> Any:
    import faiss

    if counts is None:
        return faiss.IDSelectorRange(start, end)
    # FAISS asks for every row: the bits before the piece are cleared, those after it are left out.
    piece = np.concatenate((np.zeros(start, np.bool_), counts[start:end])) if start else counts[:end]
    return faiss.IDSelectorBitmap(np.packbits(piece, bitorder="little"))


def _search_pieces(pieces: Sequence[_Piece]) -> None:
    """Search all pieces, in parallel where that is worth it. The threads do nothing else, or they wait for the GIL."""
    count = max(1, min(count_cores(), sum(each.cost for each in pieces) // _WORTH))
    if count == 1:
        _search_each(pieces)
        return
    shares: list[list[_Piece]] = [[] for _ in range(count)]
    loads = [0] * count
    for piece in sorted(pieces, key=lambda each: -each.cost):
        lightest = loads.index(min(loads))
        shares[lightest].append(piece)
        loads[lightest] += piece.cost
    in_parallel([partial(_search_each, share) for share in shares])


def _search_each(pieces: Sequence[_Piece]) -> None:
    import faiss

    with single_threaded():
        for piece in pieces:
            parameters = None if piece.selector is None else faiss.SearchParameters(sel=piece.selector)
            distances, places = piece.rows.codes.scanner.search(piece.query.vector, piece.k, params=parameters)
            piece.found = places[0], distances[0]


def _bound_piece(piece: _Piece) -> _PieceResult:
    """Return the rows that a piece found, and the intervals of their scores."""
    places, distances = piece.found
    is_found = places >= 0
    places = places[is_found]
    codes = piece.rows.codes
    lower, upper = METRICS[codes.coding.metric].bound_scores(distances[is_found], piece.query, codes.error)
    is_whole = len(places) >= piece.size
    ceiling = -np.inf if is_whole else upper.min() if len(places) >= piece.k else np.inf
    rids, owners = piece.rows.rids_of(places)
    return _PieceResult(rids, lower[owners], upper[owners], float(ceiling))
