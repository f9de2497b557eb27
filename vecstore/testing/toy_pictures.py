"""Embedders for tests of items that are no texts: pictures of a few numbers, and sounds, which are arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..embedders.base import Embedder, Role

NOTE = "undeveloped"
"""In every picture, so that a test finds what was stored of one."""


@dataclass(frozen=True)
class Picture:
    """What a store must never keep."""

    red: float
    green: float
    note: str = NOTE


class PictureEmbedder(Embedder[Picture | Path]):
    """The vector of a picture is its colours; that of a file the length of its name."""

    modality = "image"

    def __init__(self, *, name: str = "colours", turned: bool = False) -> None:
        super().__init__(kind="toy", model=name, dim=3, normalize=False)
        self._turned = turned
        self.documents: list[Picture | Path] = []
        self.queries: list[Picture | Path] = []

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return (Picture, Path)

    def _encode(self, items: list[Picture | Path], role: Role, /) -> NDArray[np.float32]:
        (self.documents if role == "document" else self.queries).extend(items)
        rows = [[item.red, item.green, 1] if isinstance(item, Picture) else [1, 1, len(item.name)] for item in items]
        return np.array(rows, np.float32)[:, :: -1 if self._turned else 1]

    def _canaries(self) -> Sequence[Picture | Path]:
        return [Picture(1, 0), Picture(0, 1), Picture(0.5, 0.25)]


class CodeEmbedder(Embedder[str | int]):
    """Takes codes, of which it has a table: a str is a code and no text."""

    modality = "code"

    def __init__(self) -> None:
        super().__init__(kind="toy", model="codes", dim=3, normalize=False)

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return (str, int)

    def _encode(self, items: list[str | int], role: Role, /) -> NDArray[np.float32]:
        return np.eye(3, dtype=np.float32)[[("tea", "milk", 7).index(item) for item in items]]

    def _canaries(self) -> Sequence[str | int]:
        return ["tea", "milk", 7]


class SoundEmbedder(Embedder[NDArray[np.float32]]):
    """Takes arrays, of which the vector is the first three numbers."""

    modality = "audio"

    def __init__(self) -> None:
        super().__init__(kind="toy", model="sounds", dim=3, normalize=False)

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return (np.ndarray,)

    def _encode(self, items: list[NDArray[np.float32]], role: Role, /) -> NDArray[np.float32]:
        return np.array([item[:3] for item in items], np.float32)

    def _canaries(self) -> Sequence[NDArray[np.float32]]:
        return [np.arange(1, 9, dtype=np.float32), np.ones(5, np.float32)]
