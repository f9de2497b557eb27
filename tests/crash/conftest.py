"""The recorded runs that all power-failure tests use."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT

from .leftovers import is_begun
from .lost_writes import KEPT
from .outages import Run, simulate_outages
from .scenario import CUT_OFF, list_histories
from .survivors import NAME, Survivors
from .trace import record
from .volume import Image, write_image


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A directory in memory if possible; the tests depend on what reaches a file, not a disk."""
    shared = Path("/dev/shm")  # noqa: S108 - the directory made in it is our own
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def life(memory: Path) -> Run:
    """The file-system calls of the scenario with that name."""
    return record_run(memory, "life", {})


@pytest.fixture(scope="session")
def recovery(memory: Path, life: Run) -> Run:
    """A run that begins with the disk after a power failure in the first run."""
    return record_run(memory, "recovery", find_cut_off(life))


@pytest.fixture(scope="session")
def survivors(memory: Path) -> Survivors:
    return make_survivors(memory, "life")


@pytest.fixture(scope="session")
def twice_survivors(memory: Path) -> Survivors:
    return make_survivors(memory, "recovery")


def record_run(memory: Path, name: str, before: Image) -> Run:
    root, marks = memory / f"run-{name}", memory / f"marks-{name}"
    root.mkdir()
    write_image(root, before)
    command = [sys.executable, "-m", "tests.crash.scenario", name, str(root / NAME), str(marks)]
    return Run(root, record(command, root, marks, memory / f"trace-{name}", ROOT), before)


def find_cut_off(life: Run) -> Image:
    """Return the disk at the end of the call, when the journal is in use and most of the database is overwritten."""
    *_, outage = (
        outage
        for outage in simulate_outages(life, lambda _position: [KEPT])
        if outage.call == CUT_OFF
        and any(path.endswith("rows.db-journal") and is_begun(data or b"") for path, data in outage.image.items())
    )
    return outage.image


def make_survivors(memory: Path, name: str) -> Survivors:
    place = memory / f"outages-{name}"
    place.mkdir()
    return Survivors(place, list_histories(name))
