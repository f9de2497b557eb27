"""Sounds as items: what they may be, what is wrong with one, and a few that code makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidMetadata
from .wave_files import read_wave

Sound: TypeAlias = "NDArray[np.floating[Any]] | Path"


def open_sound(sound: Sound, rate: int, shortest: float) -> tuple[NDArray[np.float32], int]:
    """Return the samples of a sound, scaled so that its loudest is 1, and how many there are in a second.

    Parameters
    ----------
    sound : ndarray or Path
    rate : int
        That of an array.
    shortest : float
        In seconds.

    Raises
    ------
    InvalidMetadata
        The file cannot be read, or there is nothing to hear in it.
    """
    if not isinstance(sound, Path):
        return np.asarray(sound / np.abs(sound).max(), np.float32), rate
    samples, rate = read_wave(sound)
    if (fault := find_fault(samples, rate, shortest)) is not None:
        raise InvalidMetadata(f"{str(sound)!r} {fault}")
    return samples / np.abs(samples).max(), rate


def find_fault(sound: Sound, rate: int, shortest: float) -> str | None:
    """Return what is wrong with the samples of a sound, or None; a file is read later."""
    if isinstance(sound, Path):
        return None
    least = round(shortest * rate)
    if not np.issubdtype(sound.dtype, np.floating):
        return f"has samples of {sound.dtype}. Scale them to floats from -1 to 1."
    if sound.ndim != 1:
        return f"has the shape {sound.shape}, and a sound is (n,). Mix its channels into one."
    if len(sound) < least:
        return f"has {len(sound)} samples, and the shortest sound has {least}."
    if not np.isfinite(sound).all():
        return "has samples that are NaN or infinite."
    return None if np.ptp(sound) > 0 else "is silent from beginning to end. Leave it out."


def make_sounds(rate: int) -> list[Sound]:
    """Return half a second each of a rising tone, of clicks over it, and of noise."""
    times = np.arange(rate // 2, dtype=np.float32) / rate
    chirp = np.sin(2 * np.pi * (200 + 600 * times) * times)
    clicks = (np.arange(len(times)) % (rate // 50) == 0).astype(np.float32)
    # Noise by a rule, because generators of random numbers change between versions.
    noise = np.modf(np.sin(np.arange(1, len(times) + 1) * 12.9898) * 43758.5453)[0]
    return [chirp, clicks + 0.1 * chirp, noise]
