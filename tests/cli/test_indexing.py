"""`vecstore reindex`, `calibrate` and `recall`."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

import vecstore
from tests.cli.conftest import Run, write_lines
from vecstore import HNSW, IndexStatus, Record, Schema

pytestmark = pytest.mark.usefixtures("no_model")


@pytest.fixture
def indexed(url: str) -> str:
    """Return the URL of a database with an index over 3,000 records."""
    url += "?index_min_rows=32"
    rows = np.random.default_rng(1).normal(size=(3_000, 8))
    with vecstore.connect(url) as database:
        store = database.create("articles", Schema(dim=8, index=HNSW(m=8)))
        store.insert(Record(f"r{number}", row) for number, row in enumerate(rows))
    return url


def test_an_index_is_shown(run: Run, indexed: str) -> None:
    status = run("info", indexed, "articles", "--json").json["index_status"]
    assert (status["state"], status["rows"], status["target_recall"]) == ("ready", 3_000, 0.98)
    assert status["ef"] >= 16
    lines = [" ".join(line.split()) for line in run("info", indexed, "articles").out.splitlines()]
    assert f"index hnsw, ready, {status['indexed']:,} of 3,000 records in it" in lines
    assert f"search effort {status['ef']} for recall 0.98" in lines
    assert f"measured recall {status['recall']:.4f}, {status['measured']}" in lines


def test_add_extends_an_index_once(run: Run, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vecstore.upkeep")
    rows = np.random.default_rng(1).normal(size=(2_000, 8)).round(3).tolist()
    lines = [{"id": f"r{number}", "vector": row} for number, row in enumerate(rows)]
    path = write_lines(tmp_path / "rows.jsonl", lines)
    answer = run("add", f"{url}?index_min_rows=32", "rows", path, "--batch-size", "100")
    assert answer.code == 0, answer.err
    status = run("info", url, "rows", "--json").json["index_status"]
    assert (status["state"], status["indexed"]) == ("ready", 2_000)
    built = [line for line in caplog.messages if "built or extended" in line]
    assert len(built) == 2, built  # with the first batch, which makes the store, and in the end


def test_reindex_and_calibrate_tell_what_they_found(run: Run, indexed: str) -> None:
    shown = run("reindex", indexed, "articles", "--target-recall", "0.9").out
    assert shown.startswith("articles: hnsw, ready, 3,000 of 3,000 records in it; search effort ")
    assert shown.endswith(" for recall 0.9.\n")
    status = run("calibrate", indexed, "articles", "--json").json["index_status"]
    assert run("calibrate", indexed, "articles").out == f"articles: search effort {status['ef']} for recall 0.9.\n"


def test_without_an_index_there_is_nothing_to_calibrate(run: Run, articles: str) -> None:
    answer = run("calibrate", articles, "articles")
    assert answer.code == 0
    assert answer.out.startswith("articles has no graph to calibrate: every search is exact. The store has 3 records.")
    assert "index_min_rows" in run("info", articles, "articles").out
    assert "index_min_rows" in run("info", articles, "articles", "--json").json["index_status"]["reason"]


def test_reindex(run: Run, articles: str) -> None:
    assert run("reindex", articles, "articles", "--index", "flat").code == 0
    assert run("info", articles, "articles", "--json").json["schema"]["index"] == {"kind": "flat"}
    options = ("--index", "hnsw", "--m", "8", "--ef-construction", "50", "--target-recall", "0.9")
    index = run("reindex", articles, "articles", *options, "--json").json["index"]
    assert index == {"kind": "hnsw", "m": 8, "ef_construction": 50, "target_recall": 0.9}


@pytest.mark.parametrize(
    "options",
    [["--index", "ivf"], ["--index", "flat", "--m", "8"], ["--m", "1"], ["--target-recall", "2"], ["--m", "x"]],
)
def test_reindex_refuses(run: Run, articles: str, options: list[str]) -> None:
    answer = run("reindex", articles, "articles", *options)
    assert (answer.code, answer.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "index, words", [("diskann,nlist=4", "diskann takes no options."), ("ivf_flat,m=4", "ivf_flat takes nlist, each")]
)
def test_an_option_of_another_index_of_milvus_is_refused(run: Run, articles: str, index: str, words: str) -> None:
    answer = run("reindex", articles, "articles", "--index", index)
    assert (answer.code, words in answer.err) == (2, True)


def test_an_index_that_exists_is_not_changed_by_adding(run: Run, articles: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "more.jsonl", [{"id": "x", "text": "x"}])
    answer = run("add", articles, "articles", path, "--index", "ivf_pq,m=2,nlist=8")
    assert answer.code == 2
    assert answer.err.endswith("or change the index with `vecstore reindex` and --index ivf_pq,nlist=8,m=2.\n")
    answer = run("add", articles, "articles", path, "--index", "flat")
    assert answer.err.endswith("and --index flat.\n")


@pytest.mark.parametrize(
    "state, ef, said",
    [
        ("building", None, " Why. `vecstore follow --once` waits for it and measures it."), ("building", 16, " Why."),
        ("invalid", None, " Why."), ("ready", None, ""),
    ],
)  # fmt: skip
def test_why_a_new_index_is_not_used_yet_is_told(
    run: Run, articles: str, monkeypatch: pytest.MonkeyPatch, state: str, ef: int | None, said: str
) -> None:
    status = IndexStatus("milvus", state, 3, 0, ef, 0.98, reason="Why.")
    monkeypatch.setattr(vecstore.VectorStore, "index_status", lambda _: status)
    shown = run("reindex", articles, "articles").out
    assert shown.partition("; search effort ")[2].partition(".")[2] in {f"{said}\n", f"98.{said}\n"}


def test_recall(run: Run, articles: str) -> None:
    answer = run("recall", articles, "articles", "-k", "1", "--min-recall", "1", "--json")
    assert (answer.code, answer.json["mean"], answer.json["queries"], answer.json["enough"]) == (0, 1, 3, True)
    assert run("recall", articles, "articles").out.startswith("recall@10 1.0000")


def test_recall_too_low(run: Run, articles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    low = vecstore.Recall(0.5, 0.2, 0.1, 10, 10)
    monkeypatch.setattr(vecstore.VectorStore, "measure_recall", lambda *_, **__: low)
    assert run("recall", articles, "articles", "--min-recall", "0.9").code == 1


def test_an_index_without_an_effort_is_told(run: Run, indexed: str) -> None:
    run("delete", indexed, "articles", "--where", '{"id": {"$ne": "r1"}}', "--yes")
    shown = run("reindex", indexed, "articles").out
    assert "exact" in shown
