"""Append-only arrays: what a reader sees does not move while the array grows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


class AppendArray:
    """An array with spare capacity at its end.

    A reader keeps a view of the first rows; writing begins where the newest view ends, so that a write
    that was broken off is overwritten by the next one.
    """

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._data: NDArray[Any] = np.empty((0,) if width is None else (0, width), dtype)

    def write(self, start: int, values: ArrayLike) -> None:
        """Write consecutive rows, the first at ``start``."""
        rows = np.asarray(values, self._data.dtype)
        end = start + len(rows)
        if end > len(self._data):
            larger = np.empty((max(end, 2 * len(self._data), 64), *self._data.shape[1:]), self._data.dtype)
            larger[:start] = self._data[:start]
            self._data = larger
        self._data[start:end] = rows

    def view(self, size: int) -> NDArray[Any]:
        """Return the first ``size`` rows."""
        return self._data[:size]
