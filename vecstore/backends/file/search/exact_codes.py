"""Exact search by codes: candidates from float16, each in float64, and a proof that no other row can be better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..state.fields import Mask
from .bounds import Doubles
from .codes import Codes, Question, Singles
from .faiss_threads import cores, together
from .plan import PER_CHECK, spared

_WORTH = 8_192
"""So many comparisons are worth the step into another thread."""

_SPARSE = 8
"""Where no more than one row in so many counts, and their codes take ``_COPIED`` bytes at most, a copy is scanned."""
_COPIED = 4 << 20

_NOTHING: tuple[NDArray[np.int64], Singles] = (np.empty(0, np.int64), np.empty(0, np.float32))

Scored = Callable[[NDArray[np.int64]], Doubles]
"""Returns the scores of rids, in float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Coded rows, and which of them count.

    Attributes
    ----------
    codes : Codes
    counts : ndarray of bool, shape (n,), optional
        None for all of them.
    rids_of : callable
        Returns the rids of those rows that count and have one of some codes, and for each the place of its code
        among those asked for.
    """

    codes: Codes
    counts: Mask | None
    rids_of: Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.intp]]]


def narrowed(sheet: Sheet) -> Sheet:
    """Return a sheet of those rows alone that count, where they are few; otherwise the same one."""
    if sheet.counts is None:
        return sheet
    places = np.flatnonzero(sheet.counts)
    if len(places) * _SPARSE > len(sheet.codes) or len(places) * sheet.codes.width > _COPIED:
        return sheet
    return Sheet(sheet.codes.taken(places), None, partial(_among, sheet, places))


def _among(
    sheet: Sheet, places: NDArray[np.int64], found: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    return sheet.rids_of(places[found])


@dataclass(slots=True, eq=False)
class _Piece:
    """Rows of a sheet, how many of them count, how many nearest ones are wanted, and what FAISS found."""

    sheet: Sheet
    question: Question
    selector: Any
    wanted: int
    k: int
    cost: int
    found: tuple[NDArray[np.int64], Singles] = field(default=_NOTHING)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """What one piece of a sheet gave; ``ceiling`` is the best score that a row may have which it did not give."""

    rids: NDArray[np.int64]
    lower: Doubles
    upper: Doubles
    ceiling: float


def nearest(
    sheets: Sequence[Sheet], query: Singles, k: int, scored: Scored, known: tuple[NDArray[np.int64], Doubles]
) -> tuple[NDArray[np.int64], Doubles] | None:
    """Return the k nearest rows and their scores, and those that tie with the last; None where that is not proven.

    Parameters
    ----------
    sheets : sequence of Sheet
    query : ndarray, shape (dim,), float32
    k : int
    scored : callable
    known : (rids, scores)
        The nearest rows that stand on no sheet.
    """
    pieces = [piece for sheet in sheets for piece in _pieces(sheet, query, spared(k))]
    _search(pieces)
    found = [_candidates(piece) for piece in pieces]
    rids, lower, upper = (
        np.concatenate([getattr(each, name) for each in found]) for name in ("rids", "lower", "upper")
    )
    likely = rids[upper >= _kth(np.concatenate((lower, known[1])), k)]
    rids = np.concatenate((likely, known[0]))
    scores = np.concatenate((scored(likely), known[1]))
    floor = _kth(scores, k)
    # A piece that gave all its rows has no ceiling, and leaves nothing open.
    if any(-np.inf < each.ceiling >= floor for each in found):
        return None
    best = scores >= floor
    return rids[best], scores[best]


def _kth(scores: Doubles, k: int) -> float:
    """Return the k-th best of some scores, the worst possible where there are fewer."""
    return float(np.partition(scores, -k)[-k]) if len(scores) >= k else -np.inf


def _pieces(sheet: Sheet, query: Singles, k: int) -> list[_Piece]:
    """Cut a sheet into what each processor is to look through."""
    size = len(sheet.codes)
    counted = size if sheet.counts is None else int(np.count_nonzero(sheet.counts))
    count = max(1, min(cores(), int(counted + size * PER_CHECK) // _WORTH))
    ends = [size * number // count for number in range(count + 1)]
    question = sheet.codes.coding.question(query)
    pieces = []
    for start, end in pairwise(ends):
        wanted = counted if count == 1 else _counted(sheet, start, end)
        selector = None if count == 1 and sheet.counts is None else _selector(sheet, start, end)
        cost = int(wanted + (end - start) * PER_CHECK)
        pieces.append(_Piece(sheet, question, selector, wanted, min(k, max(1, wanted)), cost))
    return pieces


def _counted(sheet: Sheet, start: int, end: int) -> int:
    return end - start if sheet.counts is None else int(np.count_nonzero(sheet.counts[start:end]))


def _selector(sheet: Sheet, start: int, end: int) -> Any:
    import faiss

    if sheet.counts is None:
        return faiss.IDSelectorRange(start, end)
    # FAISS asks for every row; the bits of those before the piece are not set, those after it are not there.
    counts = np.concatenate((np.zeros(start, np.bool_), sheet.counts[start:end])) if start else sheet.counts[:end]
    return faiss.IDSelectorBitmap(np.packbits(counts, bitorder="little"))


def _search(pieces: Sequence[_Piece]) -> None:
    """Search all pieces, the larger work side by side. The threads do nothing else: they would wait for each other."""
    hands: list[list[_Piece]] = [[] for _ in range(max(1, min(cores(), sum(each.cost for each in pieces) // _WORTH)))]
    loads = [0] * len(hands)
    for piece in sorted(pieces, key=lambda each: -each.cost):
        lightest = loads.index(min(loads))
        hands[lightest].append(piece)
        loads[lightest] += piece.cost
    together([partial(_search_each, some) for some in hands])


def _search_each(pieces: Sequence[_Piece]) -> None:
    for piece in pieces:
        piece.found = piece.sheet.codes.search(piece.question, piece.k, piece.selector)


def _candidates(piece: _Piece) -> _Candidates:
    places, lower, upper = piece.sheet.codes.interpreted(piece.question, *piece.found)
    is_whole = len(places) >= piece.wanted
    ceiling = -np.inf if is_whole else upper.min() if len(places) >= piece.k else np.inf
    rids, owners = piece.sheet.rids_of(places)
    return _Candidates(rids, lower[owners], upper[owners], float(ceiling))
