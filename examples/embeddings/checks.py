"""Checks of an example: a figure, its baseline, and the least that it has to reach."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from vecstore.evaluation import Figure


@dataclass(frozen=True)
class Check:
    """A figure that has to be above its baseline, and at least ``least``."""

    figure: Figure
    least: float

    @property
    def is_met(self) -> bool:
        """Whether the figure shows what the example claims. A figure that is not a number shows nothing."""
        return self.figure.value > self.figure.baseline and self.figure.value >= self.least

    def describe(self) -> str:
        """Return the check as a line."""
        figure = self.figure
        return (
            f"{'ok    ' if self.is_met else 'FAILED'} {figure.name}: {figure.value:.3f}, at least {self.least:.3f}"
            f" ({figure.against}: {figure.baseline:.3f}; n = {figure.n:,})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the check as data for JSON."""
        return {**self.figure.to_dict(), "least": self.least, "is_met": self.is_met}


def run_example(measure: Callable[[], Sequence[Check]], arguments: Sequence[str] | None = None) -> int:
    """Run an example, print its checks, and return an exit code: 1 if one of them is not met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="print the checks as JSON, and the rest to standard error")
    if parser.parse_args(arguments).json:
        with redirect_stdout(sys.stderr):
            checks = measure()
        print(json.dumps([check.to_dict() for check in checks]))
    else:
        checks = measure()
        print()
        for check in checks:
            print(check.describe())
    missed = [check.figure.name for check in checks if not check.is_met]
    if missed or not checks:
        print(
            f"The example does not show what it claims: {', '.join(missed) or 'it checked nothing'}.", file=sys.stderr
        )
        return 1
    return 0
