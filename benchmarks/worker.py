"""The process of one phase: ``python -m benchmarks.worker TASK ANSWER``, both JSON files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .phases import PHASES, Task


def main(task: str, answer: str) -> None:
    """Do what a task says and write the figures."""
    given = Task(**json.loads(Path(task).read_text("utf-8")))
    figures = PHASES[given.phase](given)
    Path(answer).write_text(json.dumps(figures), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
