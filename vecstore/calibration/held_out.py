"""Held-out records as the queries of a calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend import Found, HeldOut
from .effort import Ask
from .recall import Answer

_CHUNK = 100
"""Queries per call of the backend: enough to share the reading of all records, which each call does."""


def cut_parts(size: int) -> list[slice]:
    """Cut so many queries into chunks."""
    return [slice(start, min(start + _CHUNK, size)) for start in range(0, size, _CHUNK)]


def make_ask(held_out: HeldOut, k: int) -> Ask:
    """Return the function that asks some of the records for their ``k`` nearest."""

    def ask(part: slice, /, *, ef: int | None = None, exact: bool = False) -> list[Answer]:
        return [order_hits(found, k) for found in held_out.find(part, k, None if exact else ef)]

    return ask


def order_hits(found: Found, k: int, without: str | None = None) -> Answer:
    """Return the ``k`` best hits, nearest first."""
    order = order_rows(found, k, without)
    return Answer([found.rows.ids[row] for row in order], found.scores[order], found.exact)


def order_rows(found: Found, k: int, without: str | None = None) -> NDArray[np.intp]:
    """Return the places of the ``k`` best hits, nearest first."""
    ids, scores = found.rows.ids, found.scores
    order = sorted((row for row, each in enumerate(ids) if each != without), key=lambda row: (-scores[row], ids[row]))
    return np.array(order[:k], np.intp)
