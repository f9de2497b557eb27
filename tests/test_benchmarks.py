"""The benchmark runs: on few generated rows, with vecstore alone, since the peers are not installed here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.sources import ROOT


def test_it_measures_a_small_store(tmp_path: Path) -> None:
    options = ["--generated", "--quick", "--rows", "2020", "--queries", "20", "--only", "vecstore"]
    command = [sys.executable, "-m", "benchmarks", *options, "--work", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "FAILED" not in done.stderr
    assert "| vecstore |" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    figures = json.loads((tmp_path / "results.json").read_text("utf-8"))["subjects"]["vecstore"]
    assert figures["rows"] == 2_000
    assert figures["search"]["recall"] == 1.0
    assert {one["recall"] for one in figures["filters"].values()} == {1.0}
    assert figures["upsert"]["calls"] == 20
    assert figures["reopen"]["median_ms"] > 0
