"""Which unsynced changes reach the disk: the extreme cases, and random ones."""

from __future__ import annotations

import random
from collections.abc import Callable

from .trace import Truncate, Write
from .volume import SECTOR, Directory, Fate, File, apply, extend


class Uniform(Fate):
    """The same fate for everything.

    Parameters
    ----------
    names : bool
        All changes of names reach the disk, or none.
    contents : {"none", "all", "size", "torn"}
        ``"size"``: files have grown, but to zeros. ``"torn"``: every second sector of the last write to
        each file is missing, beginning with the first.
    """

    def __init__(self, *, names: bool, contents: str) -> None:
        self._names = names
        self._contents = contents

    def __repr__(self) -> str:
        return f"names {'kept' if self._names else 'lost'}, contents {self._contents}"

    def steps(self, directory: Directory) -> int:
        return len(directory.pending) if self._names else 0

    def contents(self, file: File) -> bytes:
        data = bytearray(file.durable)
        for number, change in enumerate(file.pending):
            if self._contents == "all" or (self._contents == "torn" and number < len(file.pending) - 1):
                apply(change, data)
            elif self._contents == "torn":
                apply_sectors(change, data, lambda sector: sector % 2 == 1)
            elif self._contents == "size":
                grow(change, data)
        return bytes(data)


class RandomFate(Fate):
    """A random fate for each change and each sector."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._kept = draw.choice([0.1, 0.5, 0.9])
        self._torn = draw.choice([0.0, 0.3, 1.0])
        self._names = draw.choice([0.0, 0.5, 1.0])

    def __repr__(self) -> str:
        return f"drawn: {self._kept} of the writes, {self._torn} torn, {self._names} of the names"

    def steps(self, directory: Directory) -> int:
        most = len(directory.pending)
        return sum(self._draw.random() < self._names for _ in range(most))

    def contents(self, file: File) -> bytes:
        data = bytearray(file.durable)
        for change in file.pending:
            if self._draw.random() >= self._kept:
                if self._draw.random() < 0.3:
                    grow(change, data)
            elif self._draw.random() < self._torn:
                apply_sectors(change, data, lambda _sector: self._draw.random() < 0.5)
            else:
                apply(change, data)
        return bytes(data)


def apply_sectors(change: Write | Truncate, data: bytearray, keeps: Callable[[int], bool]) -> None:
    """Apply one change to the sectors that are kept; the file grows in any case."""
    if isinstance(change, Truncate):
        apply(change, data)
        return
    end = change.offset + len(change.data)
    extend(data, end)
    for sector in range(change.offset // SECTOR, -(-end // SECTOR)):
        if keeps(sector):
            first, last = max(sector * SECTOR, change.offset), min((sector + 1) * SECTOR, end)
            data[first:last] = change.data[first - change.offset : last - change.offset]


def grow(change: Write | Truncate, data: bytearray) -> None:
    """Extend a file to its new size without writing the bytes."""
    extend(data, change.size if isinstance(change, Truncate) else change.offset + len(change.data))


LOST = Uniform(names=False, contents="none")
KEPT = Uniform(names=True, contents="all")
UNIFORM = (
    LOST,
    Uniform(names=True, contents="none"),
    Uniform(names=True, contents="size"),
    Uniform(names=False, contents="all"),
    Uniform(names=True, contents="torn"),
    KEPT,
)
