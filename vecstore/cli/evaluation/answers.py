"""The answers of `vecstore eval`: figures as a table or as JSON, and an exit code where one is too low."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from ...evaluation import Figure
from .. import output
from ..exits import NEGATIVE


def print_figures(
    kind: str,
    store: str,
    figures: Sequence[Figure],
    *,
    basis: str,
    seed: int,
    json: bool,
    more: Mapping[str, Any] | None = None,
    lines: Sequence[str] = (),
    limits: Sequence[tuple[Figure, float | None, bool]] = (),
) -> None:
    """Print figures, and end the command with exit code 1 if one of them is beyond its limit.

    Parameters
    ----------
    kind, store : str
    figures : sequence of Figure
    basis : str
        What they rest on, for people.
    seed : int
    json : bool
    more : mapping, optional
        What else JSON has.
    lines : sequence of str
        What else people read.
    limits : sequence of (Figure, float or None, bool)
        A figure, the limit that the user set, and whether it is the smallest value allowed or else the largest. A
        figure that is no number is beyond any limit.
    """
    beyond = [
        figure
        for figure, limit, is_least in limits
        if limit is not None and not (figure.value >= limit if is_least else figure.value <= limit)
    ]
    if json:
        listed = [figure.to_dict() for figure in figures]
        document = {"kind": kind, "store": store, "figures": listed, "seed": seed, **(more or {})}
        output.print_json({**document, "enough": not beyond})
    else:
        rows = [
            (each.name, show(each.value), _show_interval(each), show(each.baseline), each.against, f"{each.n:,}")
            for each in figures
        ]
        output.print_table(("figure", "value", "95 % interval", "baseline", "which is", "n"), rows)
        for line in lines:
            output.say(line)
        output.note(f"{store}: {basis}")
        for figure in beyond:
            output.note(f"{figure.name} is {show(figure.value)}, beyond the limit.")
    if beyond:
        raise typer.Exit(NEGATIVE)


def show(value: float) -> str:
    """Return a number with four significant digits."""
    if not math.isfinite(value):
        return "none"
    return f"{value:.4f}" if 0.001 <= abs(value) < 10 or value == 0 else f"{value:.4g}"


def _show_interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{show(figure.low)} to {show(figure.high)}"
