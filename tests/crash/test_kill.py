"""Writers are killed at any moment: acknowledged writes stay, and an interrupted commit is whole or absent."""

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
"""The kinds of call that `random_calls.next_call` draws."""

Note = Callable[[str], None]


def run_campaign(memory: Path, seed: int, trials: int) -> dict[str, Any]:
    """Run a campaign; return its tally."""
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


def check(tally: dict[str, Any], seed: int, trials: int, note: Note) -> None:
    """Check that kills interrupted calls of every kind and at every stage; otherwise a campaign proves nothing."""
    inside = sum(tally["inside"].values())
    note(
        f"kill -9, seed {seed}: {tally['trials']} kills in {tally['seconds']:.0f} s, {inside} inside calls, "
        f"{tally['compacting']} inside compactions, {tally['indexing']} inside builds of an index "
        f"({tally['journals']} left a journal, {tally['unfinished']} half a segment, {tally['unnamed']} a whole one "
        f"without a name, {tally['unfinished_indexes']} half an index, {tally['unnamed_indexes']} a whole one); of the "
        f"call there was nothing {tally['nothing']} times, all {tally['whole']}, some batches {tally['part']}, no "
        f"difference {tally['unseen']}; inside: "
        + ", ".join(f"{kind} {count}" for kind, count in sorted(tally["inside"].items())),
    )
    assert tally["trials"] >= trials
    assert tally["shortfalls"] == []
    assert len(tally["inside"]) >= KINDS - 4
    assert len(tally["acknowledged"]) >= KINDS - 2


def test_kill(memory: Path, seed: int, note: Note) -> None:
    check(run_campaign(memory, seed, 150), seed, 150, note)


@pytest.mark.long
def test_many_kills(memory: Path, seed: int, note: Note) -> None:
    check(run_campaign(memory, seed, 10_000), seed, 10_000, note)
