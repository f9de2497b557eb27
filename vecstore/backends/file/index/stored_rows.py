"""Reading all stored rows in the order of their rids, for a graph build and for checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import Doubles
from ..vectors.part import Part

_BLOCK = 4_096
"""Rows that are read in one step."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Some stored rows in the order of their rids.

    Attributes
    ----------
    rids : ndarray of int64, shape (n,)
    vectors : ndarray, shape (n, dim)
    norms : ndarray of float64, shape (n,)
    """

    rids: NDArray[np.int64]
    vectors: NDArray[Any]
    norms: Doubles


def read_stored_rows(parts: Sequence[Part]) -> Iterator[Run]:
    """Yield all stored rows of parts, in the order of their rids.

    Parts whose ranges of rids overlap are merged.
    """
    places = [np.flatnonzero(part.alive) for part in parts]
    rids = [part.get_rids(some) for part, some in zip(parts, places, strict=True)]
    every = np.concatenate([np.empty(0, np.int64), *rids])
    owners = np.repeat(np.arange(len(parts)), [len(some) for some in rids])
    within = np.concatenate([np.empty(0, np.int64), *places])
    order = np.argsort(every, kind="stable")
    for start in range(0, len(order), _BLOCK):
        some = order[start : start + _BLOCK]
        yield _read_run(parts, every[some], owners[some], within[some])


def _read_run(
    parts: Sequence[Part], rids: NDArray[np.int64], owners: NDArray[np.int64], within: NDArray[np.int64]
) -> Run:
    vectors = np.empty((len(rids), parts[0].vectors.shape[1]), parts[0].vectors.dtype)
    norms = np.empty(len(rids))
    for owner in np.unique(owners).tolist():
        mine = owners == owner
        part, places = parts[owner], within[mine]
        part.touch(int(places[0]), int(places[-1]) + 1)
        vectors[mine], norms[mine] = part.vectors[places], part.read_norms()[places]
    return Run(rids, vectors, norms)
