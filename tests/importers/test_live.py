"""Libraries whose files only they read: filled, imported and compared in an environment of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sources import ROOT

ENVIRONMENT = Path(os.environ.get("VECSTORE_TEST_PEERS", ROOT / ".venv-peers"))


@pytest.mark.long
@pytest.mark.parametrize("name", ["chroma", "lancedb", "qdrant"])
def test_a_library_and_what_is_imported_from_it(name: str, tmp_path: Path, note: Callable[[str], None]) -> None:
    python = ENVIRONMENT / "bin" / "python"
    assert python.exists(), "Run `make test-long`, which makes the environment of the other libraries."
    command: list[str | Path] = [python, "-m", "tests.importers.live", name, tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    note(f"imported from {done.stdout.strip()}")
