"""Records without a vector on the command line: made, exported, imported, shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import vecstore
from tests.cli.conftest import Run
from vecstore import HNSW, F, Record, Schema, fields

SCHEMA = Schema(dim=2, metric="l2", index=HNSW(), fields={"n": fields.Int()}, vectors="optional")


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Return a place with a store whose records have a vector, a text, both, or neither."""
    url = f"file:{tmp_path / 'kb'}"
    with vecstore.connect(url) as db:
        db.create("mixed", SCHEMA).insert(
            Record(
                f"r{number:03}",
                [number + 1, 1] if number % 2 else None,
                f"text {number}" if number % 3 else None,
                {"n": number, "free": [number]} if number % 5 else {},
            )
            for number in range(70)
        )
    return url


def read(url: str, name: str = "mixed") -> list[Record]:
    with vecstore.connect(url) as db:
        return list(db.open(name).scan())


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_an_export_comes_back(run: Run, place: str, tmp_path: Path, no_model: None, kind: str) -> None:
    file = tmp_path / f"out.{kind}"
    assert run("export", place, "mixed", file).code == 0
    answer = run("add", f"file:{tmp_path / 'copy'}", "mixed", file)
    assert answer.code == 0, answer.err
    assert read(f"file:{tmp_path / 'copy'}") == read(place)
    with vecstore.connect(f"file:{tmp_path / 'copy'}") as db:
        assert db.open("mixed").schema == SCHEMA
        assert db.open("mixed").verify().ok
        assert db.open("mixed").index_status().without_vector == 35
    again = run("add", f"file:{tmp_path / 'copy'}", "mixed", file, "--json").json
    assert (again["written"], again["unchanged"]) == (0, 70)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_an_export_of_which_nothing_has_a_vector(
    run: Run, place: str, tmp_path: Path, no_model: None, kind: str
) -> None:
    with vecstore.connect(place) as db:
        db.open("mixed").delete(where=F.id.not_in([f"r{number:03}" for number in range(0, 70, 2)]))
    file = tmp_path / f"out.{kind}"
    assert run("export", place, "mixed", file).code == 0
    answer = run("add", f"file:{tmp_path / 'copy'}", "mixed", file)
    assert answer.code == 0, answer.err
    assert read(f"file:{tmp_path / 'copy'}") == read(place)


def test_vectors_that_come_and_go_are_changes(run: Run, place: str, tmp_path: Path, no_model: None) -> None:
    file = tmp_path / "out.jsonl"
    assert run("export", place, "mixed", file).code == 0
    with vecstore.connect(place) as db:
        db.open("mixed").update(ids=["r001", "r003"], vector=None)
        db.open("mixed").update(ids=["r002", "r004"], vector=[9, 9])
    before = {record.id: record for record in read(place)}
    assert run("add", place, "mixed", file, "--json").json["written"] == 4
    after = {record.id: record for record in read(place)}
    assert [id_ for id_, record in after.items() if record != before[id_]] == ["r001", "r002", "r003", "r004"]


def test_a_store_is_made_with_the_option(run: Run, tmp_path: Path, no_model: None) -> None:
    url, table = f"file:{tmp_path / 'kb'}", tmp_path / "rows.csv"
    table.write_text('id,vector,n\na,"[1, 2]",1\nb,,2\n')
    assert run("add", url, "rows", table, "--vectors", "optional", "--field", "n:int").code == 0
    assert read(url, "rows") == [Record("a", [1, 2], None, {"n": 1}), Record("b", None, None, {"n": 2})]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("\n".join(json.dumps({"id": id_, "n": 3}) for id_ in "cd"))
    assert run("add", url, "rows", lines).code == 0
    refused = run("add", url, "other", lines, "--vectors", "optional")
    assert (refused.code != 0, "--dim" in refused.err) == (True, True)
    assert run("add", url, "other", lines, "--vectors", "optional", "--dim", "2").code == 0
    assert run("add", url, "third", lines).code != 0
    assert run("add", url, "rows", lines, "--vectors", "required").code != 0
    found = run("info", url, "rows")
    assert "optional: 3 records have none" in found.out
    assert run("info", url, "rows", "--json").json["schema"]["vectors"] == "optional"
    got = run("get", url, "rows", "b", "--json")
    assert got.code == 0


def test_texts_of_an_optional_store_are_embedded_as_ever(run: Run, tmp_path: Path) -> None:
    url, lines = f"file:{tmp_path / 'kb'}", tmp_path / "rows.jsonl"
    lines.write_text(json.dumps({"id": "a", "text": "red apple"}) + "\n" + json.dumps({"id": "b"}))
    assert run("add", url, "texts", lines, "--vectors", "optional", "--embedder", "wordllama").code == 0
    one, other = read(url, "texts")
    assert (other.vector, np.asarray(one.vector).shape) == (None, (256,))
    assert run("search", url, "texts", "apple", "--json").json["hits"][0]["id"] == "a"


def test_a_rebuild_changes_what_is_required(run: Run, place: str) -> None:
    refused = run("rebuild", place, "mixed", "--vectors", "required")
    assert refused.code != 0
    assert "'r000'" in refused.err
    with vecstore.connect(place) as db:
        db.open("mixed").delete(where=F.id.in_([f"r{number:03}" for number in range(0, 70, 2)]))
    assert run("rebuild", place, "mixed", "--vectors", "required").code == 0
    with vecstore.connect(place) as db:
        assert db.open("mixed").schema.vectors == "required"
    assert run("rebuild", place, "mixed", "--vectors", "optional").code == 0
