"""A picture as one HTML file, which shows what is under the pointer and asks no other host for anything."""

from __future__ import annotations

import base64
import html
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...evaluation.figures import load_library
from .charts import INK, OTHER, PAPER, Chart, Series

_DRAWN_AS_SVG = 2_000
"""Up to so many points are drawn without WebGL, which some browsers lack."""
_LABEL_BYTES = 5_000_000
_SHORTEST = 12

# Nothing may be loaded from anywhere. The library compiles its shaders' code, which takes unsafe-eval.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; connect-src 'none'; form-action 'none'; base-uri 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="vecstore">
<title>{title}</title>
<style>
html, body {{ margin: 0; height: 100%; background: {paper}; color: {ink}; font-family: system-ui, sans-serif; }}
body {{ display: flex; flex-direction: column; }}
header {{ padding: 18px 24px 0; }}
h1 {{ margin: 0; font-size: 20px; font-weight: 600; overflow-wrap: anywhere; }}
p {{ margin: 4px 0 0; font-size: 13px; color: #52606d; overflow-wrap: anywhere; }}
#chart {{ flex: 1; min-height: 320px; }}
</style>
</head>
<body>
<header><h1>{title}</h1><p>{caption}</p></header>
<div id="chart" role="img" aria-label="{title}"></div>
<script>{library}</script>
<script type="application/json" id="data">{data}</script>
<script>
const drawn = JSON.parse(document.getElementById("data").textContent);
Plotly.newPlot("chart", drawn.data, drawn.layout, drawn.config).then(() => {{ document.body.dataset.ready = "1"; }});
</script>
</body>
</html>
"""


def make_page(chart: Chart) -> str:
    """Return a chart as an HTML page.

    Raises
    ------
    MissingExtra
    """
    library = load_library("plotly.offline", "plot").get_plotlyjs()
    most = fit_labels(chart)
    svg = chart.count() <= _DRAWN_AS_SVG
    data = [_make_trace(series, chart, most, svg=svg) for series in chart.series if len(series.x)]
    return _PAGE.format(
        policy=_POLICY, paper=PAPER, ink=INK, title=html.escape(chart.title), caption=html.escape(chart.caption),
        library=library.replace("</script", "<\\/script"), data=dump_for_script(
            {"data": data, "layout": _make_layout(chart), "config": _CONFIG}
        ),
    )  # fmt: skip


_MARGINS = {"l": 24, "r": 24, "t": 12, "b": 24}
_CONFIG = {"displaylogo": False, "responsive": True, "scrollZoom": True}


def fit_labels(chart: Chart) -> int:
    """Return how long labels may be so that all of them together stay small."""
    most = max((len(label) for series in chart.series for label in series.labels), default=0)
    while (
        most > _SHORTEST
        and sum(len(label[:most].encode()) for series in chart.series for label in series.labels) > _LABEL_BYTES
    ):
        most = max(_SHORTEST, most * 3 // 4)
    return most


def dump_for_script(value: Any) -> str:
    """Return JSON that no HTML parser takes for markup, and no JavaScript for a line end."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def escape_label(text: str) -> str:
    """Return a text that the library shows as it is: it reads tags and entities in labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _pack(numbers: NDArray[np.float64]) -> dict[str, str]:
    return {"dtype": "f4", "bdata": base64.b64encode(numbers.astype("<f4").tobytes()).decode()}


def _make_trace(series: Series, chart: Chart, most: int, *, svg: bool) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "scatter" if svg or series.kind != "points" else "scattergl",
        "mode": "lines+markers" if series.kind == "line" else "markers",
        "name": escape_label(series.name), "x": _pack(series.x), "y": _pack(series.y),
        "text": [escape_label(_cut(label, most)) for label in series.labels],
        "hovertemplate": "%{text}<extra></extra>", "marker": _make_marker(series, chart),
        "showlegend": series.numbers is None, "legendrank": 2_000 if series.colour == OTHER else 1_000,
    }  # fmt: skip
    if series.kind == "line":
        trace["line"] = {"color": series.colour, "width": 2}
    return trace


def _make_marker(series: Series, chart: Chart) -> dict[str, Any]:
    count = chart.count()
    size = 9 if count <= 200 else 6 if count <= 2_000 else 4 if count <= 15_000 else 3
    marker: dict[str, Any] = {"color": series.colour, "size": size, "opacity": 0.85 if count <= 2_000 else 0.6}
    if series.numbers is not None:
        numbers = np.where(np.isfinite(series.numbers), series.numbers, np.nan)
        marker |= {"color": _pack(numbers), "colorscale": "Viridis", "showscale": True}
        marker["colorbar"] = {"title": {"text": escape_label(chart.legend)}, "thickness": 12, "outlinewidth": 0}
    if series.kind == "query":
        marker |= {"symbol": "star", "size": 17, "opacity": 1, "line": {"color": PAPER, "width": 1.5}}
    if series.kind == "hits":
        marker |= {"symbol": "circle-open", "size": 13, "opacity": 1, "line": {"width": 2}}
    if series.kind == "line":
        marker |= {"size": 9, "opacity": 1}
    return marker


def _make_layout(chart: Chart) -> dict[str, Any]:
    axis: dict[str, Any] = {"zeroline": False, "gridcolor": "#eef1f4", "linecolor": "#cbd2d9", "tickcolor": "#cbd2d9"}
    hidden = {"showline": False, "showticklabels": False, "ticks": "", "title": {"text": ""}, "showgrid": False}
    x, y = (
        axis | (hidden if chart.is_map else {"title": {"text": escape_label(title)}, "automargin": True})
        for title in chart.axes
    )
    if chart.is_map:
        y = y | {"scaleanchor": "x", "scaleratio": 1}
    else:
        x = x | {"type": "log"}  # an exact search takes ten times as long as others
    return {
        "xaxis": x, "yaxis": y, "paper_bgcolor": PAPER, "plot_bgcolor": PAPER, "hovermode": "closest",
        "dragmode": "pan", "margin": _MARGINS if chart.is_map else {"l": 64, "r": 24, "t": 12, "b": 56},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
        "hoverlabel": {"bgcolor": PAPER, "font": {"color": INK}, "align": "left", "namelength": -1},
        "legend": {"title": {"text": escape_label(chart.legend)}, "itemsizing": "constant"},
    }  # fmt: skip
