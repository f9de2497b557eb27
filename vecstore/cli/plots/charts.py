"""What a picture shows, whichever way it is drawn: series of points with labels, a title and a caption."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..output import escape_controls

COLOURS = (
    "#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#7a8ba8",
)  # fmt: skip
OTHER = "#c3c9d2"
INK, PAPER = "#1f2933", "#ffffff"
MOST_LABEL = 80
_MOST_NAME = 32
_FEWEST_NUMBERS = 8
NONE, REST = "(none)", "(other)"

Kind = Literal["points", "line", "query", "hits"]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Points that belong together.

    Attributes
    ----------
    name : str
        In the legend.
    x, y : ndarray, shape (n,), float64
    labels : sequence of str
        Shown where the pointer is.
    kind : str
        How it is drawn.
    colour : str
    numbers : ndarray, shape (n,), float64, optional
        What a scale of colours shows.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    labels: Sequence[str]
    kind: Kind = "points"
    colour: str = COLOURS[0]
    numbers: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """A picture.

    Attributes
    ----------
    title, caption : str
        The caption says method, sample, seed and how far to trust it.
    series : sequence of Series
    legend : str
        The title of the legend, or of the scale of colours.
    axes : tuple of str
        Titles of the axes; a map has none. Where there are some, the second value is from 0 to 1.
    """

    title: str
    caption: str
    series: Sequence[Series]
    legend: str = ""
    axes: tuple[str, str] = ("", "")

    @property
    def is_map(self) -> bool:
        """Whether the axes mean nothing."""
        return not any(self.axes)

    def count(self) -> int:
        """Return how many points there are."""
        return sum(len(series.x) for series in self.series)


def tidy(value: object, most: int = MOST_LABEL) -> str:
    """Return a value as one short line without characters that control or reverse what is around it."""
    text = value.isoformat() if isinstance(value, datetime) else f"{value}"
    text = escape_controls(" ".join(text[: 4 * most].split()))
    text = unicodedata.normalize("NFC", text)
    return text if len(text) <= most else text[: most - 1] + "…"


def divide(points: NDArray[np.float64], labels: Sequence[str], values: Sequence[Any] | None, name: str) -> list[Series]:
    """Return one series for each of the most frequent values, or one with a scale of colours for numbers."""
    x, y = points[:, 0], points[:, 1]
    if values is None:
        return [Series(name, x, y, labels)]
    numbers = _read_numbers(values)
    if numbers is not None:
        return [Series(name, x, y, labels, numbers=numbers)]
    names = [NONE if value is None else _show_value(value) for value in values]
    counts = Counter(each for each in names if each != NONE)
    ranked = sorted(counts, key=lambda each: (-counts[each], each))
    shown = ranked if len(ranked) <= len(COLOURS) else ranked[: len(COLOURS) - 1]
    places = {each: number for number, each in enumerate(shown)}
    marks = np.array([places.get(each, len(shown) if each != NONE else len(shown) + 1) for each in names])
    found = []
    # What is grey lies below what has a colour.
    for place, title in ((len(shown) + 1, NONE), (len(shown), REST), *((places[each], each) for each in shown)):
        rows = np.flatnonzero(marks == place)
        if len(rows):
            colour = COLOURS[place] if place < len(shown) else OTHER
            found.append(Series(title, x[rows], y[rows], [labels[row] for row in rows.tolist()], colour=colour))
    return found


def _show_value(value: Any) -> str:
    return tidy(", ".join(map(str, value)) if isinstance(value, list | tuple) else value, _MOST_NAME) or "(empty)"


def _read_numbers(values: Sequence[Any]) -> NDArray[np.float64] | None:
    """Return values as numbers, NaN where there is none; None if they are no numbers or too few different ones."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, datetime) for value in known):
        return np.array([np.nan if each is None else _count_years(each) for each in values])
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return None
    if len(set(known)) < _FEWEST_NUMBERS:
        return None
    return np.array([np.nan if value is None else float(value) for value in values])


def _count_years(moment: datetime) -> float:
    day = moment.astimezone(UTC).timetuple().tm_yday
    return moment.year + (day - 1) / 366
