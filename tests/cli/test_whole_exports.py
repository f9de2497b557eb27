"""`vecstore add` of an exported Parquet file makes the whole store again, proven by its digest."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

import vecstore
from tests.cli.conftest import Run
from vecstore import registry


@pytest.fixture
def file(run: Run, articles: str, tmp_path: Path) -> Path:
    """Export a store in which a record has a version."""
    backend = registry.connect(articles)
    active = backend.find(name="articles").active
    backend.write(active, backend.fetch(active, ["b"]), insert=False, fence=[7])
    backend.close()
    assert run("export", articles, "articles", tmp_path / "x.parquet").code == 0
    return tmp_path / "x.parquet"


def digest(run: Run, url: str, name: str) -> str:
    answer = run("digest", url, name)
    assert answer.code == 0
    return answer.out


def test_versions_come_back_too(run: Run, articles: str, file: Path) -> None:
    report = run("add", articles, "copy", file, "--json").json
    assert (report["store"], report["created"], report["read"], report["written"]) == ("copy", True, 3, 3)
    assert digest(run, articles, "copy") == digest(run, articles, "articles")
    answer = run("add", articles, "again", file)
    assert answer.out.startswith("Wrote 3 records to the new store again in ")
    assert answer.err == ""


@pytest.mark.parametrize("options", [["--field", "more:int"], ["--batch-size", "2"], ["--skip-bad"]], ids=" ".join)
def test_with_options_it_is_added_as_records(run: Run, articles: str, file: Path, options: list[str]) -> None:
    assert run("add", articles, "copy", file, *options).code == 0
    with vecstore.connect(articles) as database:
        found, old = (list(database.open(name).scan()) for name in ("copy", "articles"))
    assert found == old
    again = run("add", articles, "copy", file, "--json").json
    assert (again["written"], again["unchanged"]) == (0, 3)


def test_two_files_are_added_as_records(run: Run, articles: str, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "y.jsonl"
    other.write_text(json.dumps({"id": "z", "vector": [1, 2, 3], "lang": "en"}) + "\n")
    assert run("add", articles, "copy", file, other, "--json").json["written"] == 4


def test_a_changed_file_makes_no_store(run: Run, articles: str, file: Path) -> None:
    table = parquet.read_table(file)
    texts = pa.array(["changed", *table["text"].to_pylist()[1:]], pa.string())
    about = {b"vecstore": parquet.read_metadata(file).metadata[b"vecstore"]}
    changed = table.set_column(table.column_names.index("text"), "text", texts).replace_schema_metadata(about)
    parquet.write_table(changed, file)
    answer = run("add", articles, "copy", file)
    assert (answer.code, answer.out, answer.err.count("\n")) == (3, "", 1)
    assert "was changed after the export. No store was made." in answer.err
    assert run("ls", articles, "--json").json["stores"][0]["store"] == "articles"
    assert len(run("ls", articles, "--json").json["stores"]) == 1
    # Without what it says about its store, it is a table like others.
    parquet.write_table(changed.replace_schema_metadata(None), file)
    assert run("add", articles, "copy", file).code == 0


def test_parquet_without_vectors_is_no_whole_store(run: Run, articles: str, tmp_path: Path) -> None:
    assert run("export", articles, "articles", tmp_path / "x.parquet", "--no-vectors").code == 0
    assert "vector" not in parquet.read_schema(tmp_path / "x.parquet").names
    answer = run("add", articles, "copy", tmp_path / "x.parquet")
    assert (answer.code, "the model that made them is not known" in answer.err) == (2, True)
