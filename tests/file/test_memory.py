"""Memory stays bounded: it grows only by the id, fields and code of each record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources import ROOT


def run(directory: Path, rows: int, dim: int, limit: int) -> None:
    # A stack of OpenMP's reserves 8 MiB of the limit however little it uses, and how many threads there are is chance.
    threads = {"OMP_NUM_THREADS": "2", "OMP_STACKSIZE": "1M", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.file.memory_trial", directory / "kb", str(rows), str(dim), str(limit)],
        env={**os.environ, **threads},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]


def test_load_index_compact_and_search_in_bounded_memory(tmp_path: Path) -> None:
    """The vectors alone take 44 MiB: one more copy would be too much, for 185 MiB are enough and 180 not always."""
    run(tmp_path, 30_000, 384, 195)


@pytest.mark.long
def test_more_rows_in_bounded_memory(tmp_path: Path) -> None:
    run(tmp_path, 60_000, 384, 320)


@pytest.mark.long
def test_many_rows_in_half_a_gibibyte(tmp_path: Path) -> None:
    run(tmp_path, 200_000, 384, 512)
