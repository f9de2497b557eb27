"""Run all examples, or those that are named, each in a process of its own; print one table."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

EXAMPLES = (
    "vectorizing", "semantic_search", "cross_lingual", "chinese_summary", "word_vectors", "word_similarity", "graphs",
    "recommendations", "image_search", "speakers", "anomalies", "molecules", "time_series", "cities", "sorting_texts",
    "faster_model",
)  # fmt: skip
SECONDS = 600
"""A bound on an example that hangs. On two processors each takes less than a minute."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What an example measured, how long it took, and why it failed if it did.

    On a machine that is busy with other things, processor seconds say more than those of the clock.
    """

    name: str
    seconds: float
    checks: Sequence[dict[str, Any]]
    failure: str | None
    processor_seconds: float = 0.0


def run(name: str) -> Outcome:
    """Run an example and return what it measured."""
    began, worked = time.monotonic(), measure_work()
    # Threads of several libraries that wait for each other cost more than they bring to such small work.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    command = [sys.executable, "-m", f"examples.embeddings.{name}", "--json"]
    try:
        done = subprocess.run(  # noqa: S603 - own names
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return Outcome(name, SECONDS, (), f"did not end within {SECONDS} s")
    checks = json.loads(done.stdout.splitlines()[-1]) if done.stdout else []
    failure = None
    if done.returncode or not checks:
        failure = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return Outcome(name, time.monotonic() - began, checks, failure, measure_work() - worked)


def measure_work() -> float:
    """Return the processor seconds of all examples so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make_table(outcomes: Sequence[Outcome], *, markdown: bool = False) -> Table:
    """Return a table with a row for each check."""
    table = Table("example", "figure", box=box.MARKDOWN if markdown else box.HEAVY_HEAD)
    for heading in ("value", "at least", "baseline", "n", "s", "CPU s"):
        table.add_column(heading, justify="right")
    table.add_column("the baseline is")
    for outcome in outcomes:
        name = f"`{outcome.name}`" if markdown else outcome.name
        for place, check in enumerate(outcome.checks):
            table.add_row(
                name if not place else "",
                check["name"],
                f"{show(check['value'])}{'' if check['is_met'] else ' FAILED'}",
                show(check["least"]),
                show(check["baseline"]),
                f"{check['n']:,}",
                f"{outcome.seconds:.1f}" if not place else "",
                f"{outcome.processor_seconds:.1f}" if not place else "",
                check["against"],
            )
    return table


def show(value: float | None) -> str:
    """Return a number as the table shows it."""
    return "no number" if value is None else f"{value:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the examples; return an exit code: 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m examples.embeddings", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default: all): {', '.join(EXAMPLES)}")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/gallery.md has it")
    parsed = parser.parse_args(arguments)
    names = parsed.names
    if unknown := sorted({*names} - {*EXAMPLES}):
        parser.error(f"no such example: {', '.join(unknown)}. There are {', '.join(EXAMPLES)}.")
    # A file has no width of its own, and a narrow table would cut the names of figures.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    outcomes = []
    for name in names or EXAMPLES:
        print(f"{name} …", file=sys.stderr, flush=True)
        outcomes.append(run(name))
    console.print(make_table(outcomes, markdown=parsed.markdown))
    failed = [outcome for outcome in outcomes if outcome.failure]
    for outcome in failed:
        print(f"{outcome.name}: {outcome.failure}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
