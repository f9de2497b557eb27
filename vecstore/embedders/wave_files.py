"""WAV files of PCM, read by the standard library."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidMetadata


def read_wave(path: Path) -> tuple[NDArray[np.float32], int]:
    """Return the samples of a file, from -1 to 1 and mixed to one channel, and how many there are in a second.

    Raises
    ------
    InvalidMetadata
        It is missing, damaged, cut off, or not PCM.
    """
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate, count = (
                file.getsampwidth(), file.getnchannels(), file.getframerate(), file.getnframes(),
            )  # fmt: skip
            data = file.readframes(count)
    except (wave.Error, EOFError, OSError, struct.error, RuntimeError) as error:
        raise InvalidMetadata(
            f"{str(path)!r} cannot be read as a WAV file of PCM: {type(error).__name__}. Convert it to one."
        ) from error
    if len(data) != count * width * channels:
        raise InvalidMetadata(f"{str(path)!r} ends before its header says.")
    if rate < 1:
        raise InvalidMetadata(f"{str(path)!r} says that it has {rate} samples a second.")
    return _scale(data, width).reshape(count, channels).mean(axis=1, dtype=np.float32), rate


def _scale(data: bytes, width: int) -> NDArray[np.float32]:
    if width == 1:  # the only unsigned width
        return np.asarray((np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128, np.float32)
    # A missing low byte is zero, so that 24 bits become the upper ones of 32.
    size = 4 if width == 3 else width
    whole = np.zeros((len(data) // width, size), np.uint8)
    whole[:, size - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    numbers = whole.view(f"<i{size}").ravel()
    return np.asarray(numbers.astype(np.float32) / 2.0 ** (8 * size - 1), np.float32)
