"""One subject after another, each phase in a process of its own, never two at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .corpus import Corpus
from .phases import Task
from .truth import same_up_to_ties

ROOT = Path(__file__).parents[1]
_TIMEOUT = 3_600
_REOPEN_SECONDS = 20.0
_LOG_LINES = 12
_QUIET = {"ANONYMIZED_TELEMETRY": "False"}
_EXACT = ("vecstore-exact", "faiss-flat")

Figures = dict[str, Any]


class PhaseFailed(Exception):
    """A subject's process ended with an error; the message is the end of what it printed."""


@dataclass(frozen=True)
class Runner:
    """A prepared folder (``stored``, ``held-out``, ``truth.npz``) and what to do with it."""

    folder: Path
    recall: float
    only_search: bool
    upserts: int
    reopens: int
    say: Callable[[str], None]

    def run(self, subjects: Sequence[str]) -> Figures:
        """Measure subjects; one that fails has an ``error`` instead of figures."""
        results: Figures = {}
        for name in subjects:
            began = time.monotonic()
            try:
                results[name] = self._figures(name)
            except PhaseFailed as error:
                results[name] = {"error": str(error)}
            outcome = "failed" if "error" in results[name] else "measured"
            self.say(f"{name}: {outcome} in {time.monotonic() - began:.0f} s")
        return results

    def agreement(self) -> Figures | None:
        """Compare the ids that the two exact subjects found."""
        answers = [self._place(name) / "found.npy" for name in _EXACT]
        if not all(path.exists() for path in answers):
            return None
        ours, raw = (np.load(path) for path in answers)
        corpus, held_out = Corpus.load(self.folder / "stored"), Corpus.load(self.folder / "held-out")
        return {
            "queries": len(ours),
            "identical": int((ours == raw).all(axis=1).sum()),
            "same": same_up_to_ties(corpus, held_out.vectors, ours, raw),
        }

    def _figures(self, name: str) -> Figures:
        task = Task(name, "fill", str(self.folder), str(self._place(name)), self.recall, upserts=self.upserts)
        figures = self._done(task)
        if not figures["subject"]["is_persistent"]:
            return figures
        figures["disk_mib"] = _disk_mib(self._place(name))
        if not self.only_search:
            task = replace(task, setting=figures["search"]["setting"])
            figures["reopen"] = self._reopened(replace(task, phase="reopen"))
            figures["upsert"] = self._done(replace(task, phase="upsert"))
        return figures

    def _reopened(self, task: Task) -> Figures:
        """Open several times; the first time finds out what there is to import, and does not count."""
        late = self._done(task)["late_modules"]
        seconds: list[float] = []
        while len(seconds) < self.reopens and sum(seconds) < _REOPEN_SECONDS:
            seconds.append(self._done(replace(task, modules=late))["seconds"])
        return {"median_ms": 1e3 * median(seconds), "max_ms": 1e3 * max(seconds), "times": len(seconds)}

    def _place(self, name: str) -> Path:
        return self.folder / "subjects" / name

    def _done(self, task: Task) -> Figures:
        asked, answer = self.folder / "task.json", self.folder / "answer.json"
        asked.write_text(json.dumps(task.to_dict()), "utf-8")
        answer.unlink(missing_ok=True)
        Path(task.folder).parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.worker", str(asked), str(answer)]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **_QUIET}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=_TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode or not answer.exists():
            tail = "\n".join(done.stdout.splitlines()[-_LOG_LINES:])
            raise PhaseFailed(f"{task.phase}, exit code {done.returncode}:\n{tail}")
        figures: Figures = json.loads(answer.read_text("utf-8"))
        return figures


def _disk_mib(folder: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 2**20
