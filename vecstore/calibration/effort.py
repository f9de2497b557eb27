"""The search for the smallest effort of a graph search that reaches a recall, by a ladder of efforts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Protocol

import numpy as np

from ..progress import Progress
from .recall import Answer, compute_recall

LADDER = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_000)
SECONDS = 10.0
BETWEEN = 2
"""How many efforts between two rungs are tried where queries can be trusted."""
_STEP = 8
"""These efforts are multiples of this."""
_ENOUGH, _DEVIATIONS = 100, 4.0
"""After so many queries a mean that is so many standard errors too low stays too low."""


class Outcome(Enum):
    """How the search for an effort ended."""

    FOUND = "an effort reaches the target"
    MISSED = "no effort reaches the target"
    EXACT = "the backend compared all records, which costs less than the graph"
    UNFINISHED = "the time was over"


@dataclass(frozen=True, slots=True)
class Effort:
    """The smallest effort that reaches a recall.

    Attributes
    ----------
    outcome : Outcome
    ef : int or None
        None unless found.
    recall : float or None
        The mean recall at that effort, or the best of any; None where nothing was measured.
    """

    outcome: Outcome
    ef: int | None = None
    recall: float | None = None


class Ask(Protocol):
    """Answers some of the queries, with an effort or exactly; see `vecstore.calibration.probes.Probes.ask`."""

    def __call__(self, part: slice, /, *, ef: int | None = None, exact: bool = False) -> list[Answer]:
        """Return one answer for each query of the part."""


class Clock:
    """The time that a calibration has, and its progress: how many of its searches are done.

    Parameters
    ----------
    on_progress : callable, optional
    seconds : float
    read : callable
        Returns seconds.
    """

    def __init__(
        self,
        on_progress: Progress | None = None,
        seconds: float = SECONDS,
        read: Callable[[], float] = time.monotonic,
    ) -> None:
        self.read = read
        self.began = read()
        self.end = self.began + seconds
        self._on_progress = on_progress
        self._done = self._total = 0

    def expect(self, searches: int) -> None:
        """Announce that so many searches may follow."""
        self._total += searches

    def report(self, searches: int) -> None:
        """Report searches that are done."""
        self._done += searches
        if self._on_progress:
            self._on_progress("calibrating", self._done, max(self._done, self._total))

    def keep_half(self) -> None:
        """Leave half of the time for what follows, however long what came before took."""
        self.end = max(self.end, self.read() + (self.end - self.began) / 2)

    def finish(self) -> None:
        """Report that no search follows."""
        self._total = self._done
        self.report(0)


def find_smallest_ef(
    ask: Ask,
    parts: Sequence[slice],
    target: float,
    clock: Clock | None = None,
    most: int | None = None,
    between: int = 0,
    ladder: Sequence[int] = LADDER,
) -> Effort:
    """Return the smallest effort of the ladder that reaches a mean recall.

    Exact answers take about half of the time, and the ladder has the other half in any case; on a slow store fewer
    queries are asked. Because the queries are only a sample, the mean has to exceed the target by its standard error,
    unless no effort gets that far. An effort that is clearly too small is given up before all queries were asked.

    Parameters
    ----------
    ask : callable
    parts : sequence of slice
        The queries in chunks, one for each call of ``ask``.
    target : float
    clock : Clock, optional
    most : int, optional
        No effort above this is tried.
    between : int
        How many efforts are tried between the rung that was found and the one before.
    ladder : sequence of int
        Efforts, ascending.
    """
    clock = clock or Clock()
    clock.expect(sum(part.stop - part.start for part in parts) * (1 + len(ladder) + between))
    truth = _find_truth(ask, parts, clock)
    reached, best, before = None, None, ladder[0]
    for ef in (each for each in ladder if most is None or each <= most):
        recalls, is_exact = _measure_recalls(ask, parts, truth, target, clock, ef)
        if not recalls:
            if reached or is_exact:
                return reached or Effort(Outcome.EXACT, recall=best)
            return Effort(Outcome.UNFINISHED, recall=best)
        mean = float(np.mean(recalls))
        best = max(best or 0.0, mean)
        if mean >= target:
            reached = Effort(Outcome.FOUND, ef, mean)
            if mean - _compute_error(recalls) >= target:
                measure = partial(_measure_recalls, ask, parts, truth, target, clock)
                return _look_back(measure, before, reached, target, len(recalls), between)
        before = ef
    return reached or Effort(Outcome.MISSED, recall=best)


def _look_back(
    measure: Callable[[int], tuple[list[float], bool]],
    low: int,
    found: Effort,
    target: float,
    queries: int,
    looks: int,
) -> Effort:
    """Return the smallest effort above ``low`` and up to the one found that as many queries show to be enough."""
    for _ in range(looks):
        ef = (low + (found.ef or 0)) // (2 * _STEP) * _STEP
        if not low < ef:
            break
        recalls, _ = measure(ef)
        if len(recalls) >= queries and float(np.mean(recalls)) - _compute_error(recalls) >= target:
            found = Effort(Outcome.FOUND, ef, float(np.mean(recalls)))
        else:
            low = ef
    return found


def _find_truth(ask: Ask, parts: Sequence[slice], clock: Clock) -> list[list[Answer]]:
    truth: list[list[Answer]] = []
    for part in parts:
        started = clock.read()
        truth.append(ask(part, exact=True))
        clock.report(len(truth[-1]))
        now = clock.read()
        if now + (now - started) > (clock.began + clock.end) / 2:
            break
    clock.keep_half()
    return truth


def _measure_recalls(
    ask: Ask, parts: Sequence[slice], truth: Sequence[Sequence[Answer]], target: float, clock: Clock, ef: int
) -> tuple[list[float], bool]:
    """Return the recalls of the queries that were answered in time, and whether answers were exact.

    An exact answer did not use the index and says nothing about it.
    """
    recalls: list[float] = []
    is_exact = False
    for part, true in zip(parts, truth, strict=False):  # time may have run out before every exact answer
        if clock.read() >= clock.end:
            break
        answers = ask(part, ef=ef)
        clock.report(len(answers))
        is_exact = is_exact or any(found.exact for found in answers)
        recalls += [compute_recall(found, each) for found, each in zip(answers, true, strict=True) if not found.exact]
        if len(recalls) >= _ENOUGH and float(np.mean(recalls)) + _DEVIATIONS * _compute_error(recalls) < target:
            break
    return recalls, is_exact


def _compute_error(recalls: Sequence[float]) -> float:
    """Return the standard error of the mean."""
    return float(np.std(recalls) / np.sqrt(len(recalls)))
