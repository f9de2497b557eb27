"""Series of numbers by their shape: what each window of a series does, in standard scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument, InvalidVector
from .base import Embedder, Role, check_whole
from .vector_checks import Float32Array

Series = NDArray[np.floating[Any]]

_SHORTEST = 2
"""Numbers of a window, or it would have no slope."""


class SeriesEmbedder(Embedder[Series]):
    """Embed a series as the level, the spread and the slope of each of its windows.

    Items are arrays of float, shape (n,), of any length from twice the number of windows on. Level and scale of the
    series as a whole change nothing, nor does how densely it was measured: two series are near if they rise, fall and
    shake in the same parts. Cut long recordings with `cut_windows`.

    Parameters
    ----------
    windows : int
        Into how many equal parts a series is cut. A vector has three times as many numbers.
    normalize : bool
    batch_size : int
    """

    modality = "series"

    def __init__(self, windows: int = 16, *, normalize: bool = True, batch_size: int = 1024) -> None:
        self._windows = check_whole("windows", windows)
        super().__init__(
            kind="series", model=f"{windows}-windows", dim=3 * windows, normalize=normalize, batch_size=batch_size
        )

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return (np.ndarray,)

    def _find_fault(self, item: Series) -> str | None:
        return find_series_fault(item, _SHORTEST * self._windows, f"{self._windows} windows need")

    def _encode(self, items: list[Series], role: Role, /) -> Float32Array:
        return np.stack([self._describe(scale_series(item)) for item in items])

    def _describe(self, series: NDArray[np.float64]) -> Float32Array:
        scores = (series - series.mean()) / series.std()
        edges = np.arange(self._windows + 1) * len(scores) // self._windows
        rows = []
        for start, end in pairwise(edges):
            part = scores[start:end]
            times = np.linspace(-1, 1, len(part))
            rows.append((part.mean(), part.std(), part @ times / (times @ times)))
        return np.array(rows, np.float32).T.ravel()

    def _canaries(self) -> Sequence[Series]:
        times = np.linspace(0, 1, max(64, _SHORTEST * self._windows))
        return [times, np.sin(20 * times), (times > 0.5).astype(np.float64), times * np.cos(50 * times)]

    def _details(self) -> Mapping[str, Any]:
        return {"windows": self._windows}


def cut_windows(series: Series, size: int, *, step: int | None = None) -> Series:
    """Return the whole windows of a series, as rows that share its memory.

    Parameters
    ----------
    series : ndarray, shape (n,)
    size : int
        Numbers of a window.
    step : int, optional
        From one window to the next. Default: ``size``, so that none overlap.

    Returns
    -------
    ndarray, shape (windows, size)
        Read-only. Row ``i`` begins at ``i * step``; what is left at the end is in no window.

    Raises
    ------
    InvalidArgument, InvalidVector
    """
    check_whole("size", size)
    if step is not None:
        check_whole("step", step)
    if not isinstance(series, np.ndarray) or series.ndim != 1:
        raise InvalidVector("A series is an array of shape (n,).")
    if size > len(series):
        raise InvalidArgument(f"size is {size}, and the series has {len(series)} numbers.")
    return np.lib.stride_tricks.sliding_window_view(series, size)[:: step or size]


def find_series_fault(item: Series, shortest: int, needs: str) -> str | None:
    """Return what is wrong with an array that should be a series of at least so many numbers, or None."""
    if not np.issubdtype(item.dtype, np.floating):
        return f"has numbers of {item.dtype}, not of a float."
    if item.ndim != 1:
        return f"has the shape {item.shape}, and a series is (n,)."
    if len(item) < shortest:
        return f"has {len(item)} numbers, and {needs} {shortest}."
    if not np.isfinite(item).all():
        return "has numbers that are NaN or infinite. Fill the gaps."
    return None if np.ptp(scale_series(item)) > 0 else "is constant, so it has no shape. Leave it out."


def scale_series(series: Series) -> NDArray[np.float64]:
    """Return a series around 0 and at most 1, so that squares of its numbers are neither infinite nor 0."""
    found = np.asarray(series, np.float64)
    largest = np.abs(found).max()
    found = found / (largest or 1)
    found = found - found[0]
    return np.asarray(found / (np.abs(found).max() or 1), np.float64)
