"""Writers are killed at any moment; what they acknowledged is there, and of the call they were in all or nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sources import ROOT

KINDS = 16
"""The kinds of call that `draws.next_call` draws."""

Note = Callable[[str], None]


def campaign(memory: Path, seed: int, trials: int) -> dict[str, Any]:
    """Run one, and return its tally."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.campaign", memory / f"kb-{trials}", str(seed), str(trials)],
        # Forks of a process with threads may hang.
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"VECSTORE_SEED={seed}, {trials} trials\n{done.stderr[-6_000:]}"
    tally: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return tally


def check(tally: dict[str, Any], trials: int, note: Note) -> None:
    """A campaign proves something only where kills have cut calls off, of every kind and at any stage."""
    inside = sum(tally["inside"].values())
    note(
        f"kill -9: {trials} kills in {tally['seconds']:.0f} s, {inside} inside calls, {tally['compacting']} inside "
        f"compactions, {tally['indexing']} inside builds of an index ({tally['journals']} left a "
        f"journal, {tally['unfinished']} half a segment, {tally['unnamed']} a whole one without a name, "
        f"{tally['unfinished_indexes']} half an index, {tally['unnamed_indexes']} a whole one); of the call "
        f"there was nothing {tally['nothing']} times, all {tally['whole']}, some batches {tally['part']}, no "
        f"difference {tally['unseen']}; inside: "
        + ", ".join(f"{kind} {count}" for kind, count in sorted(tally["inside"].items())),
    )
    assert tally["trials"] == trials
    assert inside >= trials / 2
    assert tally["nothing"] >= trials / 10
    assert tally["whole"] >= trials / 100
    assert tally["journals"] >= trials / 20
    assert tally["unnamed"] >= trials / 100
    assert tally["compacting"] >= 0.15 * trials
    assert tally["indexing"] >= 0.1 * trials
    assert tally["unnamed_indexes"] >= trials / 100
    assert tally["walks"] >= trials / 30
    assert len(tally["inside"]) >= KINDS - 4
    assert len(tally["acknowledged"]) >= KINDS - 2


def test_kill(memory: Path, seed: int, note: Note) -> None:
    check(campaign(memory, seed, 300), 300, note)


@pytest.mark.long
def test_many_kills(memory: Path, seed: int, note: Note) -> None:
    check(campaign(memory, seed, 10_000), 10_000, note)
