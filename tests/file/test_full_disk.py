"""A full disk raises a clear error and loses nothing; writes work again once there is space."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "tests.file.full_disk_trials"]
MOUNT = 'mount -t tmpfs -o size="$2" none "$1" && shift 2 && exec "$@"'


def can_mount() -> bool:
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


def run(command: list[str], count: int) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) == count
    # A disk may be full at once; that every trial was one says nothing about writes that came before.
    assert any(trial["written"] > 0 for trial in trials)


def run_on_disk(directory: Path, seed: int, count: int) -> None:
    program = [*PROGRAM, str(directory), "disk", str(seed), str(count)]
    run(["unshare", "-rm", "sh", "-c", MOUNT, "sh", str(directory), "2m", *program], count)


def run_at_limit(directory: Path, seed: int, count: int) -> None:
    run([*PROGRAM, str(directory), "limit", str(seed), str(count)], count)


@pytest.mark.skipif(not can_mount(), reason="mounting needs unshare -rm, which this machine does not allow")
def test_disk(tmp_path: Path, seed: int) -> None:
    run_on_disk(tmp_path, seed, 5)


def test_file_limit(memory_path: Path, seed: int) -> None:
    run_at_limit(memory_path, seed, 5)


@pytest.mark.long
@pytest.mark.skipif(not can_mount(), reason="mounting needs unshare -rm, which this machine does not allow")
def test_disk_at_length(tmp_path: Path, seed: int, note: Callable[[str], None]) -> None:
    run_on_disk(tmp_path, seed, 200)
    note(f"full disks, seed {seed}: 200")


@pytest.mark.long
def test_file_limit_at_length(memory_path: Path, seed: int, note: Callable[[str], None]) -> None:
    run_at_limit(memory_path, seed, 200)
    note(f"files at the limit of their size, seed {seed}: 200")
