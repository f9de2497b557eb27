"""Overlap: the share of nearest neighbours that are the same before and after a rebuild."""

from __future__ import annotations

import numpy as np

from ..backend import Backend, Generation, Rows
from ..calibration.probes import Probes
from .copy import Copy

SAMPLE = 50
"""How many records are compared where the copy has other vectors."""
SMALL_SAMPLE = 10
"""How many, where all vectors are the same, so that only the engine's arithmetic is compared."""
K = 10
"""How many nearest neighbours of each record are compared."""


def measure_overlap(copy: Copy) -> float:
    """Return the share of exact nearest neighbours that copy and source have in common, for sampled records."""
    asked = copy.backend.sample(copy.source, None, SMALL_SAMPLE if copy.keeps_vectors else SAMPLE)
    answers = copy.into.fetch(copy.target, asked.ids)
    mine = _find_neighbours(copy.backend, copy.source, asked)
    theirs = _find_neighbours(copy.into, copy.target, answers)
    shares = [len(near & theirs[id_]) / len(near) for id_, near in mine.items() if near and id_ in theirs]
    return float(np.mean(shares)) if shares else 1.0


def _find_neighbours(backend: Backend, generation: Generation, rows: Rows) -> dict[str, set[str]]:
    probes = Probes.from_rows(backend, generation, rows, K).pace()
    return {id_: set(answer.ids) for id_, answer in zip(probes.ids, probes.answer_exactly(), strict=True)}
