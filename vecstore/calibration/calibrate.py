"""Calibration: find the smallest search effort with which an index reaches its target recall.

The effort that a recall needs depends on the data. It is therefore measured on the data: stored vectors are
the queries, a ladder of efforts is tried upwards, and the answers are compared with exact search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..backend import Backend, Entry, Generation
from ..index_options import HNSW
from ..lookup import find_generation
from .probes import Probes
from .recall import Answer, compute_recall

QUERIES = 200
K = 10
LADDER = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_000)
SECONDS = 10.0

_UNFINISHED = frozenset({"building", "invalid"})


class Ask(Protocol):
    """Answers some of the queries, with an effort or exactly; see `vecstore.calibration.probes.Probes.ask`."""

    def __call__(self, part: slice, /, *, ef: int | None = None, exact: bool = False) -> list[Answer]:
        """Return one answer for each query of the part."""


def calibrate(backend: Backend, entry: Entry, generation: Generation) -> Generation:
    """Find the search effort that reaches the target recall, store it, and return the amended generation.

    An unfinished index cannot be measured and keeps its effort.

    Raises
    ------
    StoreNotFound, Superseded
    """
    measured = find_generation(backend, entry, generation)
    index, state = measured.schema.index, backend.index_state(measured).state
    if state in _UNFINISHED:
        return measured
    ef = None
    if isinstance(index, HNSW) and state == "ready":
        probes = Probes.draw(backend, measured, QUERIES, K).deduplicate().rotate()
        ef = find_smallest_ef(probes.ask, list(probes.cut_parts()), index.target_recall)
    # Look it up again: amend() would undo a concurrent change of identity.
    present = find_generation(backend, entry, generation)
    if present.ef == ef or present.schema.index != index:
        return present
    present = replace(present, ef=ef)
    backend.amend(present)
    return present


def find_smallest_ef(
    ask: Ask, parts: Sequence[slice], target: float, clock: Callable[[], float] = time.monotonic
) -> int | None:
    """Return the smallest effort of the ladder that reaches a mean recall, or None.

    Exact answers take at most half of the time and the ladder takes the rest; on a slow store fewer queries are
    asked. Because the queries are only a sample, the mean has to exceed the target by its standard error,
    unless no effort gets that far.

    Parameters
    ----------
    ask : callable
    parts : sequence of slice
        The queries in chunks, one for each call of ``ask``.
    target : float
    clock : callable
        Returns seconds.
    """
    began = clock()
    truth = _find_truth(ask, parts, clock, began + SECONDS / 2)
    reached = None
    for ef in LADDER:
        recalls = _measure_recalls(ask, parts, truth, ef, clock, began + SECONDS)
        if not recalls:
            return reached
        mean = float(np.mean(recalls))
        if mean >= target:
            reached = ef
        if mean - float(np.std(recalls)) / len(recalls) ** 0.5 >= target:
            return ef
    return reached


def _find_truth(ask: Ask, parts: Sequence[slice], clock: Callable[[], float], end: float) -> list[list[Answer]]:
    truth: list[list[Answer]] = []
    for part in parts:
        started = clock()
        truth.append(ask(part, exact=True))
        now = clock()
        if now + (now - started) > end:
            break
    return truth


def _measure_recalls(
    ask: Ask,
    parts: Sequence[slice],
    truth: Sequence[Sequence[Answer]],
    ef: int,
    clock: Callable[[], float],
    end: float,
) -> list[float]:
    recalls: list[float] = []
    for part, true in zip(parts, truth, strict=False):  # time may have run out before every exact answer
        if clock() >= end:
            break
        # An exact answer did not use the index and says nothing about it.
        recalls += [
            compute_recall(found, each) for found, each in zip(ask(part, ef=ef), true, strict=True) if not found.exact
        ]
    return recalls
