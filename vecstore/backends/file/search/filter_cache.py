"""What filters choose among the rows of one commit, kept for searches that use the same filters again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from vecstore.filters.nodes import Filter

from ..state.fields import Mask
from ..vectors.vectors import Part
from .exact_codes import Sheet, narrowed

_ROOM = 16 << 20
_MOST = 32
"""Filters may be large themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The rows that match, as codes where there are codes.

    Attributes
    ----------
    of : object
        The graph's coverage that was looked at.
    sheets : sequence of Sheet
    rest : sequence of Part
    is_narrow : bool
        Whether rows that do not match are out of the way where they are many.
    """

    of: object
    sheets: Sequence[Sheet]
    rest: Sequence[Part]
    is_narrow: bool = False


@dataclass(slots=True, eq=False)
class Choice:
    """The rows that match a filter, and what was derived from them; threads may do so twice.

    Attributes
    ----------
    keep : ndarray of bool
        Over the rows of a view.
    count : int
    size : int
        About how many bytes this takes.
    nodes : (object, ndarray of bool) or None
        A graph's coverage, and which rows of the graph match.
    split : Split or None
    """

    keep: Mask
    count: int
    size: int
    nodes: tuple[object, Mask] | None = None
    split: Split | None = None

    def narrowed(self, split: Split) -> Split:
        """Return a split that is used again, its codes copied where that is worth while."""
        if not split.is_narrow:
            sheets = [narrowed(sheet) for sheet in split.sheets]
            self.size += sum(new.codes.size for new, old in zip(sheets, split.sheets, strict=True) if new is not old)
            self.split = split = Split(split.of, sheets, split.rest, is_narrow=True)
        return split


class Choices:
    """The choices of the filters that were used last. They belong to a view, and end with it."""

    def __init__(self, room: int = _ROOM) -> None:
        self._room = room
        self._known: dict[Filter, Choice] = {}
        self._lock = Lock()

    def of(self, condition: Filter, make: Callable[[], Mask]) -> Choice:
        """Return the choice of a bound filter; ``make`` returns its mask."""
        with self._lock:
            known = self._known.pop(condition, None)
            if known is not None:
                self._known[condition] = known
                return known
        keep = make()
        made = Choice(keep, int(np.count_nonzero(keep)), keep.nbytes)
        with self._lock:
            self._known[condition] = made
            self._forget()
        return made

    def _forget(self) -> None:
        """Let go of those that were used longest ago, where there is no room for all."""
        left = self._room
        for number, (key, each) in enumerate(reversed(list(self._known.items()))):
            left -= each.size
            if left < 0 or number >= _MOST:
                del self._known[key]
