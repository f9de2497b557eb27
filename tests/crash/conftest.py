"""The recorded runs that all power-failure tests look at."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT

from .lost_writes import KEPT
from .outages import Run, outages
from .scenario import CUT_OFF, histories
from .survivors import NAME, Survivors
from .trace import recorded
from .volume import Image, write_image


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A directory in memory where there is one; what matters here is what reaches a file, not a disk."""
    shared = Path("/dev/shm")  # noqa: S108 - the directory made in it is our own
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def life(memory: Path) -> Run:
    """What the scenario of that name asked of the file system."""
    return recorded_run(memory, "life", {})


@pytest.fixture(scope="session")
def recovery(memory: Path, life: Run) -> Run:
    """A run that begins with what a power failure left of the first."""
    return recorded_run(memory, "recovery", cut_off(life))


@pytest.fixture(scope="session")
def survivors(memory: Path) -> Survivors:
    return empty_survivors(memory, "life")


@pytest.fixture(scope="session")
def twice_survivors(memory: Path) -> Survivors:
    return empty_survivors(memory, "recovery")


def recorded_run(memory: Path, name: str, before: Image) -> Run:
    root, marks = memory / f"run-{name}", memory / f"marks-{name}"
    root.mkdir()
    write_image(root, before)
    command = [sys.executable, "-m", "tests.crash.scenario", name, str(root / NAME), str(marks)]
    return Run(root, recorded(command, root, marks, memory / f"trace-{name}", ROOT), before)


def cut_off(life: Run) -> Image:
    """Return the disk at the end of the call, when the journal stands and most of the database is overwritten."""
    *_, outage = (
        outage
        for outage in outages(life, lambda _position: [KEPT])
        if outage.call == CUT_OFF and any(path.endswith("rows.db-journal") for path in outage.image)
    )
    return outage.image


def empty_survivors(memory: Path, name: str) -> Survivors:
    place = memory / f"outages-{name}"
    place.mkdir()
    return Survivors(place, histories(name))
