"""Fixtures of the tests of the file backend."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a place where syncing costs nothing


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A directory for tests that commit very often and do not care about the disk."""
    if not os.access(_IN_MEMORY, os.W_OK):
        yield tmp_path
        return
    path = Path(tempfile.mkdtemp(prefix="vecstore-", dir=_IN_MEMORY))
    yield path
    shutil.rmtree(path)
