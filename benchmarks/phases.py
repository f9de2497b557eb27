"""The phases that a subject goes through, one process for each; each returns plain figures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .clock import summarize, time_call
from .condition import CONDITIONS
from .corpus import Corpus
from .duel import DUELS, Settings, run_duel
from .memory import read_peak_mib
from .session import Session
from .subject import Setting, Subject
from .subjects import subject_class
from .truth import K, Truth

FILTERED_RECALL = 0.99


@dataclass(frozen=True)
class Task:
    """One phase of one subject, as the runner hands it over.

    Attributes
    ----------
    subject, phase : str
    data, folder : str
        Where the corpus lies, and what the subject has for itself.
    recall : float
        What an unfiltered search has to reach.
    setting : mapping
        The search parameters that the first phase found.
    modules : list of str
        What to import before the clock runs.
    upserts : int
    duel : mapping
        The settings of both sides, see `duel.choose_settings`.
    """

    subject: str
    phase: str
    data: str
    folder: str
    recall: float = 0.985
    setting: Setting = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    upserts: int = 0
    duel: Settings = field(default_factory=dict)

    def make_subject(self, dim: int) -> Subject:
        """Import the subject's library and make the subject."""
        return subject_class(self.subject)(Path(self.folder), dim)

    def corpus(self, name: str) -> Corpus:
        """Read ``"stored"`` or ``"held-out"`` rows."""
        return Corpus.load(Path(self.data) / name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


def fill(task: Task) -> dict[str, Any]:
    """Load, build, search; then filters, batches and threads. Peak memory is read before those."""
    corpus, held_out = task.corpus("stored"), task.corpus("held-out")
    truth = Truth.load(Path(task.data) / "truth.npz")
    subject = task.make_subject(corpus.dim)
    session = Session(subject, corpus, held_out.vectors, truth)
    figures: dict[str, Any] = {"subject": _facts(subject), "rows": len(corpus.places), "input_mib": read_peak_mib()}
    figures["load_s"], _ = time_call(lambda: subject.load(corpus))
    figures["build_s"], _ = time_call(subject.build)
    figures["remarks"] = dict(subject.remarks())
    figures["disk_mib"] = subject.disk_mib()
    figures["search"] = session.measure_at_recall(task.recall)
    figures["peak_mib"] = read_peak_mib()
    if subject.has_filters:
        figures["filters"] = {one.name: session.measure_filter(FILTERED_RECALL, one) for one in CONDITIONS}
    # Some subjects store the setting in their files, and the next phases read it there.
    subject.tune(figures["search"]["setting"])
    if subject.has_batches:
        figures["batch"] = session.measure_batch()
    if subject.has_batches and not subject.has_rows:
        _keep_answers(session, Path(task.folder))
    if subject.has_threads:
        figures["threads"] = session.measure_threads()
    subject.close()
    return figures


def reopen(task: Task) -> dict[str, Any]:
    """Open a store that another process filled, and answer one query; report what was imported."""
    held_out = task.corpus("held-out")
    subject = task.make_subject(held_out.dim)
    for module in task.modules:
        import_module(module)
    known = set(sys.modules)

    def first_answer() -> Any:
        subject.open()
        subject.tune(task.setting)
        return subject.search(held_out.vectors[0], K, None)

    seconds, answer = time_call(first_answer)
    late = sorted(set(sys.modules) - known)
    hits = len(subject.rows(answer))
    subject.close()
    return {"seconds": seconds, "late_modules": late, "hits": hits}


def upsert(task: Task) -> dict[str, Any]:
    """Write records one at a time: held-out vectors, every second one replacing a stored record."""
    corpus, held_out = task.corpus("stored"), task.corpus("held-out")
    subject = task.make_subject(corpus.dim)
    subject.open()
    subject.tune(task.setting)
    seconds = []
    for number in range(min(task.upserts, len(held_out))):
        row = held_out.row(number)
        if number % 2:
            row = type(row)(corpus.ids[number], row.text, row.metadata)
        vector = held_out.vectors[number]
        took, _ = time_call(lambda row=row, vector=vector: subject.upsert(row, vector))  # type: ignore[misc]
        seconds.append(took)
        if sum(seconds) > 30:
            break
    answer = subject.rows(subject.search(held_out.vectors[0], K, None))
    subject.close()
    if answer[0].id != held_out.ids[0]:
        raise ValueError(f"{held_out.ids[0]} was upserted and is not found")
    return summarize(seconds)


def duel(task: Task) -> dict[str, Any]:
    """Compare a subject with hand-written code in one process."""
    [found] = [one for one in DUELS if one.ours == task.subject]
    return run_duel(Path(task.data), found, task.duel)


PHASES: Mapping[str, Callable[[Task], dict[str, Any]]] = {
    "fill": fill,
    "reopen": reopen,
    "upsert": upsert,
    "duel": duel,
}


def _facts(subject: Subject) -> dict[str, Any]:
    return {name: getattr(subject, name) for name in ("title", "durable", "is_persistent", "has_rows")}


def _keep_answers(session: Session, folder: Path) -> None:
    """Write the places found, so that the runner can compare two subjects."""
    found = session.ask(None, len(session.queries), float("inf")).found
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "found.npy", np.array(found, np.int64))
