"""Mel spectra of sounds in numpy: how strong each band of pitch is in each moment.

The scale is Slaney's: linear up to 1,000 Hz, logarithmic above. Bands have the same area.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]

_BLOCK = 4096
"""Moments whose spectra are in memory at once: 17 MB each for 512 samples."""


def measure_bands(samples: Float32Array, rate: int, *, window: int, hop: int, bands: int, top: float) -> Float32Array:
    """Return the power of each band in each whole window.

    Parameters
    ----------
    samples : ndarray, shape (n,)
    rate : int
        Samples a second.
    window, hop : int
        Samples of a window, and from one to the next.
    bands : int
    top : float
        The highest frequency, in Hz.

    Returns
    -------
    ndarray, shape (windows, bands), float32
    """
    filters = make_filters(rate, window, bands, top)
    shape = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    powers = np.empty((len(frames), bands), np.float32)
    for start in range(0, len(frames), _BLOCK):
        spectrum = np.abs(np.fft.rfft(frames[start : start + _BLOCK] * shape, axis=1)) ** 2
        powers[start : start + _BLOCK] = spectrum @ filters.T
    return powers


@lru_cache(maxsize=16)
def make_filters(rate: int, window: int, bands: int, top: float) -> NDArray[np.float64]:
    """Return triangles of equal area, evenly spaced in mel, over the frequencies of a window.

    Returns
    -------
    ndarray, shape (bands, window // 2 + 1)
    """
    edges = _to_hertz(np.linspace(0, _to_mel(top), bands + 2))
    frequencies = np.arange(window // 2 + 1) * (rate / window)
    low, middle, high = (edges[start : start + bands, np.newaxis] for start in range(3))
    rising = (frequencies - low) / (middle - low)
    falling = (high - frequencies) / (high - middle)
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (high - low))
    filters.setflags(write=False)
    return np.asarray(filters, np.float64)


def _to_mel(hertz: float) -> float:
    return hertz * 0.015 if hertz < 1000 else 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))


def _to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel / 0.015, 1000 * 6.4 ** ((mel - 15) / 27))
