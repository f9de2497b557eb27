"""A picture in a terminal: the density of points in braille, whose dots are two by four a character."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from ..output import console
from .charts import Chart

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_WIDEST = 120
_BAR = 30


def print_chart(chart: Chart, height: int = 24) -> None:
    """Print a chart as wide as the terminal."""
    out = console()
    out.print(Text(chart.title, style="bold"), soft_wrap=True)
    width = max(20, min(out.width, _WIDEST))
    for line in draw_lines(chart, width, height) if chart.is_map else draw_bars(chart):
        out.print(line, soft_wrap=True)
    shown = [series for series in chart.series if len(series.x)]
    if chart.is_map and (len(shown) > 1 or chart.legend):
        legend = Text(f"{chart.legend}: " if chart.legend else "", style="dim")
        for series in shown if shown[0].numbers is None else []:
            mark = {"query": "★ ", "hits": "○ "}.get(series.kind, "● ")
            legend.append(mark, style=series.colour).append(f"{series.name} ({len(series.x):,})  ")
        if shown[0].numbers is not None and np.isfinite(shown[0].numbers).any():
            known = shown[0].numbers[np.isfinite(shown[0].numbers)]
            legend.append(f"{known.min():g} to {known.max():g}; -o map.html shows it in colours")
        out.print(legend, soft_wrap=True)
    out.print(Text(chart.caption, style="dim"), soft_wrap=True)


def draw_bars(chart: Chart) -> list[Text]:
    """Return a bar for each point of a chart with axes, as long as its second value is large."""
    lines = []
    for series in chart.series:
        for value, label in zip(series.y.tolist(), series.labels, strict=True):
            eighths = round(max(0.0, min(value, 1.0)) * _BAR * 8)
            bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
            lines.append(Text.assemble((f"{bar:<{_BAR + 1}}", series.colour), f" {label}"))
    return lines


def draw_lines(chart: Chart, width: int, height: int) -> list[Text]:
    """Return the lines: in each character the colour of the series that has most points there, brighter for many."""
    series = [each for each in chart.series if len(each.x)]
    if not series:
        return []
    x, y = (np.concatenate([getattr(each, name) for each in series]) for name in ("x", "y"))
    columns, rows = (_place(x, width * 2), height * 4 - 1 - _place(y, height * 4))
    dots = np.zeros((height * 4, width * 2), bool)
    dots[rows, columns] = True
    cells = (dots.reshape(height, 4, width, 2) * _DOTS[None, :, None]).sum(axis=(1, 3))
    counts = np.zeros((len(series), height, width), np.int64)
    owner = np.repeat(np.arange(len(series)), [len(each.x) for each in series])
    np.add.at(counts, (owner, rows // 4, columns // 2), 1)
    total = counts.sum(axis=0)
    winner = counts.argmax(axis=0)
    bright = np.percentile(total[total > 0], 75)
    lines = []
    for row in range(height):
        line = Text()
        for column in range(width):
            if not total[row, column]:
                line.append(" ")
                continue
            found = series[int(winner[row, column])]
            special = {"query": "★", "hits": "○"}
            stars = [each for place, each in enumerate(series) if each.kind in special and counts[place, row, column]]
            if stars:
                line.append(special[stars[-1].kind], style=f"bold {stars[-1].colour}")
                continue
            weight = "bold " if total[row, column] > bright else ""
            line.append(chr(0x2800 + int(cells[row, column])), style=f"{weight}{found.colour}")
        line.rstrip()
        lines.append(line)
    return lines


def _place(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], size: int
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.full(len(values), size // 2, np.intp)
    return np.minimum(((values - low) / (high - low) * size).astype(np.intp), size - 1)
