"""Overlap: the share of nearest neighbours that are the same before and after a rebuild."""

from __future__ import annotations

import numpy as np

from ..backend import Backend, Generation, Rows
from ..calibration.probes import Probes

SAMPLE = 50
"""How many records are compared."""
K = 10
"""How many nearest neighbours of each record are compared."""


def measure_overlap(backend: Backend, source: Generation, target: Generation) -> float:
    """Return the share of exact nearest neighbours that both generations have in common, for sampled records."""
    asked = backend.sample(source, None, SAMPLE)
    answers = backend.fetch(target, asked.ids)
    mine, theirs = _find_neighbours(backend, source, asked), _find_neighbours(backend, target, answers)
    shares = [len(near & theirs[id_]) / len(near) for id_, near in mine.items() if near and id_ in theirs]
    return float(np.mean(shares)) if shares else 1.0


def _find_neighbours(backend: Backend, generation: Generation, rows: Rows) -> dict[str, set[str]]:
    probes = Probes.from_rows(backend, generation, rows, K)
    return {id_: set(answer.ids) for id_, answer in zip(probes.ids, probes.answer_exactly(), strict=True)}
