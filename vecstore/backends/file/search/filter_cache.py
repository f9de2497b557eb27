"""The rows of one commit that match a filter, kept for searches that use the same filter again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from vecstore.filters.nodes import Filter

from ..state.fields import Mask
from ..vectors.part import Part
from .exact_codes import CodedRows

if TYPE_CHECKING:
    from ..index.coverage import Coverage
    from ..state.columns import RowColumns

_BUDGET = 16 << 20
_MOST = 32
"""Filters may be large themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class ScanInput:
    """The rows that an exact scan compares: as codes where there are codes.

    Attributes
    ----------
    coverage : Coverage or None
        What the graph covered when the rows were collected.
    coded : sequence of CodedRows
    uncoded : sequence of Part
    is_narrow : bool
        Whether the codes of matching rows were copied where these are few.
    """

    coverage: Coverage | None
    coded: Sequence[CodedRows]
    uncoded: Sequence[Part]
    is_narrow: bool = False


class FilterMatches:
    """The rows that match a filter, and what was derived from them; two threads may derive the same.

    Attributes
    ----------
    keep : ndarray of bool
        Over the rows of a view.
    count : int
    size : int
        About how many bytes this takes.
    """

    def __init__(self, keep: Mask) -> None:
        self.keep = keep
        self.count = int(np.count_nonzero(keep))
        self.size = keep.nbytes
        self._graph_rows: tuple[Coverage, Mask] | None = None
        self._scan_input: ScanInput | None = None

    def find_graph_rows(self, coverage: Coverage, columns: RowColumns) -> Mask:
        """Return which rows of a graph match; ``columns`` are those of the view."""
        known = self._graph_rows
        if known is None or known[0] is not coverage:
            known = self._graph_rows = coverage, coverage.select_matching(self.keep, columns)
            self.size += len(known[1])
        return known[1]

    def find_scan_input(self, coverage: Coverage | None) -> ScanInput | None:
        """Return what `keep_scan_input` kept for a coverage; the second call narrows it where that is worth it."""
        known = self._scan_input
        if known is None or known.coverage is not coverage:
            return None
        if not known.is_narrow:
            coded = [rows.narrow() for rows in known.coded]
            self.size += sum(new.codes.size for new, old in zip(coded, known.coded, strict=True) if new is not old)
            known = self._scan_input = ScanInput(coverage, coded, known.uncoded, is_narrow=True)
        return known

    def keep_scan_input(self, found: ScanInput) -> None:
        """Keep what a scan of the matching rows compares."""
        self._scan_input = found


class FilterCache:
    """The matches of the filters that were used last. They belong to a view, and end with it."""

    def __init__(self, budget: int = _BUDGET) -> None:
        self._budget = budget
        self._known: dict[Filter, FilterMatches] = {}
        self._lock = Lock()

    def find(self, condition: Filter) -> FilterMatches | None:
        """Return the matches of a bound filter, None where they are not known."""
        with self._lock:
            known = self._known.pop(condition, None)
            if known is not None:
                self._known[condition] = known
            return known

    def add(self, condition: Filter, keep: Mask) -> FilterMatches:
        """Keep the mask of a bound filter; return its matches."""
        made = FilterMatches(keep)
        with self._lock:
            self._known[condition] = made
            self._forget_oldest()
        return made

    def _forget_oldest(self) -> None:
        """Forget the matches that were used longest ago, where all together exceed the budget."""
        left = self._budget
        for number, (key, each) in enumerate(reversed(list(self._known.items()))):
            left -= each.size
            if left < 0 or number >= _MOST:
                del self._known[key]
