"""A picture as PNG or SVG."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ...evaluation.figures import load_library
from .charts import INK, OTHER, PAPER, Chart, Series

_LINES = 4
_RASTERISED = 5_000
"""More points than this are pixels in SVG, which would be of many megabytes."""
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Zen Hei",
    "Noto Sans Arabic",
    "Arial Unicode MS",
)


def write_image(chart: Chart, path: Path, form: str) -> None:
    """Write a chart as ``png`` or ``svg``.

    Raises
    ------
    MissingExtra, OSError
    """
    matplotlib = load_library("matplotlib", "plot")
    figures, agg = load_library("matplotlib.figure", "plot"), load_library("matplotlib.backends.backend_agg", "plot")
    known = {each.name for each in load_library("matplotlib.font_manager", "plot").fontManager.ttflist}
    settings = {
        "font.family": [each for each in _FONTS if each in known] or ["sans-serif"], "text.parse_math": False,
        "svg.hashsalt": "vecstore", "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": "#cbd2d9",
        "xtick.color": INK, "ytick.color": INK,
    }  # fmt: skip
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # a script without a font here is drawn as boxes
        figure = figures.Figure(figsize=(10, 7), layout="constrained", facecolor=PAPER)
        agg.FigureCanvasAgg(figure)
        axes = figure.subplots()
        scale = [_draw(axes, series, chart) for series in chart.series if len(series.x)]
        _label(figure, axes, chart, [each for each in scale if each is not None])
        figure.savefig(path, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)


def _draw(axes: Any, series: Series, chart: Chart) -> Any:
    """Draw a series; return what a scale of colours is made from, if it has one."""
    label = guard(series.name)
    if series.kind == "line":
        axes.plot(series.x, series.y, "o-", color=series.colour, label=label, linewidth=2)
        for x, y, text in zip(series.x, series.y, series.labels, strict=True):
            axes.annotate(text.split(":")[0], (x, y), xytext=(6, -12), textcoords="offset points", fontsize=8)
        return None
    if series.kind == "query":
        axes.scatter(series.x, series.y, s=190, marker="*", c=series.colour, edgecolors=PAPER, label=label, zorder=5)
        return None
    if series.kind == "hits":
        axes.scatter(series.x, series.y, s=80, facecolors="none", edgecolors=series.colour, label=label, zorder=4)
        return None
    count = chart.count()
    size = 36 if count <= 200 else 14 if count <= 2_000 else 5 if count <= 15_000 else 2
    style = {"s": size, "linewidths": 0, "alpha": 0.85 if count <= 2_000 else 0.6, "rasterized": count > _RASTERISED}
    if series.numbers is None:
        axes.scatter(series.x, series.y, c=series.colour, label=label, **style)
        return None
    known = np.isfinite(series.numbers)
    axes.scatter(series.x[~known], series.y[~known], c=OTHER, **style)
    return axes.scatter(series.x[known], series.y[known], c=series.numbers[known], cmap="viridis", **style)


def _label(figure: Any, axes: Any, chart: Chart, scales: list[Any]) -> None:
    title, caption = (textwrap.wrap(text, width)[:_LINES] for text, width in ((chart.title, 60), (chart.caption, 110)))
    axes.set_title("\n".join(title) + "\n" * len(caption), loc="left", fontsize=15, fontweight="bold")
    axes.text(0, 1.015, "\n".join(caption), transform=axes.transAxes, fontsize=9, color="#52606d", va="bottom")
    axes.spines[["top", "right"]].set_visible(False)
    if chart.is_map:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal", adjustable="datalim")
        axes.spines[["left", "bottom"]].set_visible(False)
    else:
        axes.set_xscale("log")  # an exact search takes ten times as long as others
        axes.set_xlabel(chart.axes[0])
        axes.set_ylabel(chart.axes[1])
        axes.grid(color="#eef1f4")
        axes.set_axisbelow(True)
    for scale in scales:
        bar = figure.colorbar(scale, ax=axes, shrink=0.6, pad=0.02)
        bar.set_label(chart.legend)
        bar.outline.set_visible(False)
        bar.solids.set(alpha=1)
    grey = [guard(series.name) for series in chart.series if series.colour == OTHER]
    entries = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1] in grey)
    handles, names = [entry[0] for entry in entries], [entry[1] for entry in entries]
    if len(names) > 1 or (names and chart.legend and not scales):
        legend = figure.legend(
            handles, names, loc="outside right upper", frameon=False, fontsize=9, title=chart.legend or None
        )
        for handle in legend.legend_handles:
            handle.set_alpha(1)
            if hasattr(handle, "set_sizes"):
                handle.set_sizes([40])


def guard(name: str) -> str:
    """Return a name that matplotlib shows in a legend: it hides those that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name
