"""A directory with undeclared keys, dates as text and records without a vector, as it was once written."""

from __future__ import annotations

import shutil
from pathlib import Path

import vecstore
from tests.golden_stores import FILES, STORE, check


def test_it_is_read_and_written_to(tmp_path: Path) -> None:
    shutil.copytree(FILES / "kb", tmp_path / "kb")
    with vecstore.connect(f"file:{tmp_path}/kb") as db:
        check(db.open(STORE), FILES)
