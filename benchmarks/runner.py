"""Measures one subject after another, each phase in its own process, never two at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .corpus import Corpus
from .duel import DUELS, Duel, Settings, choose_settings
from .imports import time_imports
from .phases import Task
from .subject import Setting
from .subjects import ENVIRONMENTS
from .truth import count_same_up_to_ties

ROOT = Path(__file__).parents[1]
_TIMEOUT = 3_600
_REOPEN_SECONDS = 20.0
_LOG_LINES = 12
_QUIET = {"ANONYMIZED_TELEMETRY": "False"}
_EXACT = ("vecstore-exact", "faiss-flat")
_IMPORTED = "vecstore"

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
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, subjects: Sequence[str]) -> Figures:
        """Measure subjects; one that fails has an ``error`` instead of figures."""
        results: Figures = {name: self._try(name, lambda name=name: self._measure(name)) for name in subjects}  # type: ignore[misc]
        if "subject" in results.get(_IMPORTED, {}) and not self.only_search:
            results[_IMPORTED]["imports"] = time_imports("vecstore", "numpy")
        for one in DUELS:
            ours, by_hand = (results.get(name, {}) for name in (one.ours, one.by_hand))
            if "subject" in ours and "subject" in by_hand:
                fought = partial(self._run_duel, one, choose_settings(ours, by_hand))
                ours |= self._try(f"{one.ours}, in turns", fought)
        for name, figures in results.items():
            if "subject" in figures and figures["subject"]["is_persistent"] and not self.only_search:
                # Last, because it changes the store.
                figures |= self._measure_upserts(name, figures["search"]["setting"])
        return results

    def _try(self, what: str, measure: Callable[[], Figures]) -> Figures:
        began = time.monotonic()
        try:
            figures = measure()
        except PhaseFailed as error:
            figures = {"error": str(error)}
        outcome = "failed" if "error" in figures else "measured"
        self.say(f"{what}: {outcome} in {time.monotonic() - began:.0f} s")
        return figures

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
            "same": count_same_up_to_ties(corpus, held_out.vectors, ours, raw),
        }

    def _measure(self, name: str) -> Figures:
        task = self._task(name, "fill")
        figures = self._run_phase(task)
        if not figures["subject"]["is_persistent"]:
            return figures
        figures["disk_mib"] = figures["disk_mib"] or _disk_mib(self._place(name))
        if not self.only_search:
            figures["reopen"] = self._measure_reopening(
                replace(task, phase="reopen", setting=figures["search"]["setting"])
            )
        return figures

    def _measure_upserts(self, name: str, setting: Setting) -> Figures:
        task = replace(self._task(name, "upsert"), setting=setting, upserts=self.upserts)
        return self._try(f"{name}, upserts", lambda: {"upsert": self._run_phase(task)})

    def _run_duel(self, duel: Duel, settings: Settings) -> Figures:
        return {"duel": self._run_phase(replace(self._task(duel.ours, "duel"), duel=settings))}

    def _task(self, name: str, phase: str) -> Task:
        return Task(name, phase, str(self.folder), str(self._place(name)), self.recall)

    def _measure_reopening(self, task: Task) -> Figures:
        """Open several times; the first time only records which modules are imported."""
        late = self._run_phase(task)["late_modules"]
        seconds: list[float] = []
        while len(seconds) < self.reopens and sum(seconds) < _REOPEN_SECONDS:
            seconds.append(self._run_phase(replace(task, modules=late))["seconds"])
        return {"median_ms": 1e3 * median(seconds), "max_ms": 1e3 * max(seconds), "times": len(seconds)}

    def _place(self, name: str) -> Path:
        return self.folder / "subjects" / name

    def _run_phase(self, task: Task) -> Figures:
        asked, answer = self.folder / "task.json", self.folder / "answer.json"
        asked.write_text(json.dumps(task.to_dict()), "utf-8")
        answer.unlink(missing_ok=True)
        Path(task.folder).parent.mkdir(exist_ok=True)
        command = [_interpreter(task.subject), "-m", "benchmarks.worker", str(asked), str(answer)]
        environment = {**os.environ, **_QUIET, **self.environment}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=_TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode or not answer.exists():
            tail = "\n".join(done.stdout.splitlines()[-_LOG_LINES:])
            raise PhaseFailed(f"{task.phase}, exit code {done.returncode}:\n{tail}")
        figures: Figures = json.loads(answer.read_text("utf-8"))
        return figures


def _interpreter(subject: str) -> str:
    """Return the Python that has a subject's packages."""
    environment = ENVIRONMENTS.get(subject)
    return str(ROOT / environment / "bin" / "python") if environment else sys.executable


def _disk_mib(folder: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 2**20
