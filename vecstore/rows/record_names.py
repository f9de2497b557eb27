"""What error messages call the records of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload


class RecordNames(Sequence[str]):
    """Names of records, each made only when it is needed.

    Parameters
    ----------
    count : int
    make : callable
        Returns the name of the record at a place.
    """

    def __init__(self, count: int, make: Callable[[int], str]) -> None:
        self._count, self._make = count, make

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        places = range(self._count)[index]
        return self._make(places) if isinstance(places, int) else [self._make(place) for place in places]

    def __len__(self) -> int:
        return self._count
