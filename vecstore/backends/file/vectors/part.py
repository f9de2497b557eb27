"""A part: vectors that are contiguous in memory or in a file, as a scan or a graph build reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..state.fields import Mask
from .segment import find_places


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Vectors that are contiguous in memory or in a file.

    Attributes
    ----------
    vectors : ndarray, shape (n, dim)
    read_norms : callable
        Returns the norms, shape (n,), float64.
    rids : ndarray of int64, shape (n,), or int
        Rising; a number means a dense range that begins with it.
    alive : ndarray of bool, shape (n,)
    touch : callable
        Called before rows are read, with the first one and the one beyond the last.
    segment : str
        The uid of the segment that these rows make up completely; empty for any others.
    """

    vectors: NDArray[Any]
    read_norms: Callable[[], NDArray[np.float64]]
    rids: NDArray[np.int64] | int
    alive: Mask
    touch: Callable[[int, int], None]
    segment: str = ""

    @property
    def first(self) -> int:
        """The lowest rid."""
        return self.rids if isinstance(self.rids, int) else int(self.rids[0])

    @property
    def last(self) -> int:
        """The highest rid."""
        return self.rids + len(self.vectors) - 1 if isinstance(self.rids, int) else int(self.rids[-1])

    def get_stored_rids(self) -> NDArray[np.int64]:
        """Return the rids of all stored rows."""
        return self.get_rids(np.flatnonzero(self.alive))

    def slice_after(self, rid: int) -> Part | None:
        """Return the rows beyond a rid, None if there are none."""
        if self.last <= rid:
            return None
        start = (
            max(0, rid + 1 - self.rids) if isinstance(self.rids, int) else int(np.searchsorted(self.rids, rid, "right"))
        )
        if not start:
            return self
        rids = self.rids + start if isinstance(self.rids, int) else self.rids[start:]
        return Part(
            self.vectors[start:], lambda: self.read_norms()[start:], rids, self.alive[start:],
            lambda first, end: self.touch(start + first, start + end),
        )  # fmt: skip

    def restrict(self, rids: NDArray[np.int64]) -> Part | None:
        """Return the part with only some rows stored, None if it has none of them."""
        places, inside = self.find_places(rids)
        if not inside.any():
            return None
        alive = np.zeros(len(self.vectors), np.bool_)
        alive[places[inside]] = True
        return replace(self, alive=alive & self.alive)

    def get_rids(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rids of some rows."""
        return self.rids + places if isinstance(self.rids, int) else self.rids[places]

    def find_places(self, rids: NDArray[np.int64]) -> tuple[NDArray[np.int64], Mask]:
        """Return the places of rids, and a mask of those that the part has."""
        return find_places(self.rids, len(self.vectors), rids)
