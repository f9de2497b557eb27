"""The benchmark runs: on few generated rows, with what is installed here, which the peers are not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bars import judge
from benchmarks.embeddings import BARS
from tests.sources import ROOT

LOADS = ("insert", "upsert", "insert of columns", "upsert of columns")


def measure(work: Path, only: str, rows: int) -> dict[str, Any]:
    """Run the benchmark with 20 queries; return the figures of each subject."""
    options = ["--generated", "--quick", "--rows", str(rows), "--queries", "20", "--only", only]
    command = [sys.executable, "-m", "benchmarks", *options, "--work", str(work)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "FAILED" not in done.stderr
    assert [path.name for path in work.iterdir()] == ["results.json"]
    run = json.loads((work / "results.json").read_text("utf-8"))
    for subject in run["subjects"].values():
        assert f"| {subject['subject']['title']} |" in done.stdout
    found: dict[str, Any] = run["subjects"]
    return found


def test_it_measures_a_small_store(tmp_path: Path) -> None:
    figures = measure(tmp_path, "vecstore", 2_020)["vecstore"]
    assert figures["rows"] == 2_000
    assert figures["search"]["recall"] >= 0.985
    assert {one["recall"] for one in figures["filters"].values()} == {1.0}
    assert figures["upsert"]["calls"] == 20
    assert figures["reopen"]["median_ms"] > 0
    assert figures["batch"]["recall"] >= 0.985
    assert set(figures["threads"]) == {"1", "2", "4", "8"}
    assert set(figures["imports"]) == {"vecstore_ms", "numpy_ms"}


# The servers and the turns take most of half a minute. The parts that are no server's run above in any case.
@pytest.mark.long
def test_it_compares_a_small_store_on_postgresql_with_sql_by_hand() -> None:
    # The path of a Unix socket is short, and pytest's own folders are not.
    with tempfile.TemporaryDirectory(prefix="vecstore-") as folder:
        subjects = measure(Path(folder), "vecstore-postgres,psycopg-by-hand", 1_020)
    assert list(subjects) == ["vecstore-postgres", "psycopg-by-hand"]
    for figures in subjects.values():
        assert figures["search"]["recall"] >= 0.985
        assert {one["recall"] for one in figures["filters"].values()} == {1.0}
        assert figures["upsert"]["calls"] == 20
    in_turns = subjects["vecstore-postgres"]["duel"]
    for kind in ("search", "games", "large"):
        assert {one["fewest_hits"] for one in in_turns[kind].values()} == {10}
    assert set(in_turns["search"]) == {"vecstore", "by-hand", "using", "by-hand beside using"}
    assert set(in_turns["load"]) == {"copy", "copy, no indexes", *LOADS}


@pytest.mark.long
def test_it_compares_a_small_store_on_redis_with_commands_by_hand() -> None:
    with tempfile.TemporaryDirectory(prefix="vecstore-") as folder:
        subjects = measure(Path(folder), "vecstore-redis,redis-by-hand", 1_020)
    assert list(subjects) == ["vecstore-redis", "redis-by-hand"]
    for figures in subjects.values():
        assert figures["search"]["recall"] >= 0.985
        assert {one["recall"] for one in figures["filters"].values()} == {1.0}
        assert figures["upsert"]["calls"] == 20
        assert figures["remarks"]["server_mib"] > 0
    in_turns = subjects["vecstore-redis"]["duel"]
    for kind in ("search", "games", "large"):
        assert {one["fewest_hits"] for one in in_turns[kind].values()} == {10}
    assert set(in_turns["load"]) == {
        *LOADS,
        *(f"pipelines of {size}" for size in ("500", "1,000", "5,000")),
    }


def test_a_bar_without_a_peer_is_a_time() -> None:
    batch = {"each_ms": 0.58, "recall": 0.99}
    run = {"subjects": {"vecstore": {"batch": batch, "remarks": {"index": "ready"}}}}
    [found] = [found for found in judge(run) if not found.bar.peer]
    assert (found.ratio, found.met, found.limit) == (0.58, False, "≤ 0.29 ms")


def test_of_several_peers_the_best_counts_among_those_that_find_enough() -> None:
    run = {"subjects": {"vecstore-redis": {"load_s": 3.0, "search": {"median_ms": 2.0, "recall": 0.99}}}}
    run["subjects"]["redisvl"] = {"load_s": 6.0, "search": {"median_ms": 4.0, "recall": 0.985}}
    run["subjects"]["langchain-redis"] = {"load_s": 2.0, "search": {"median_ms": 1.0, "recall": 0.98}}
    ratios = {found.bar.what: found.ratio for found in judge(run)}
    assert ratios["HNSW search / the better of redisvl, langchain-redis"] == 0.5
    assert ratios["load / the better of redisvl, langchain-redis"] == 1.5
    assert ratios["filter of 1.7 % / the better of redisvl, langchain-redis"] is None


@pytest.mark.long
def test_it_measures_embeddings(tmp_path: Path) -> None:
    options = ["--rows", "80", "--rounds", "1", "--work", str(tmp_path / "work")]
    command = [sys.executable, "-m", "benchmarks.embeddings", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr  # bars say nothing about so few texts
    for bar in BARS:
        line = rf"^{bar.subject} +{re.escape(bar.figure)} +[\d,.]+ +[≥≤] .* (met|MISSED)$"
        assert re.search(line, done.stdout, re.M)
    assert list((tmp_path / "work").iterdir()) == []
