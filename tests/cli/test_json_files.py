"""`vecstore add` with JSON arrays, objects that follow each other, and files compressed with gzip."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_record_values import add, stored

pytestmark = pytest.mark.usefixtures("no_model")


@pytest.mark.parametrize("content", [
    '[{"id": "1", "vector": [1, 0]}, {"id": "2", "vector": [0, 1]}]',
    '\n [\n{"id":"1","vector":[1,0]}\n,\n{"id":"2","vector":[0,1]}]\n',
    '{"id": "1", "vector": [1, 0]}\n{"id": "2", "vector": [0, 1]}\n',
    '{"id": "1",\n "vector": [1, 0]}\n\n{"id": "2",\n "vector": [0, 1]}',
])  # fmt: skip
def test_json_arrays_and_objects(run: Run, url: str, tmp_path: Path, content: str) -> None:
    assert add(run, url, tmp_path / "x.json", content).code == 0
    assert list(stored(url)) == ["1", "2"]


def test_a_large_json_array(run: Run, url: str, tmp_path: Path) -> None:
    rows = [{"id": str(number), "vector": [1, number], "note": "x" * 500} for number in range(5_000)]
    assert add(run, url, tmp_path / "x.json", json.dumps(rows), "--json").json["written"] == 5_000


@pytest.mark.parametrize("content, complaint", [
    ("", "neither a JSON array of records nor JSON objects"), ("3", "neither a JSON array"),
    ('"a"', "neither a JSON array"),
    ("[", "record 1: not JSON"), ('[{"id": "1", "vector": [1, 0]}', "record 1: not JSON; there is no comma or end"),
    ('[{"id": "1", "vector": [1, 0]} {"id": 2}]', "record 1: not JSON; there is no comma"),
    ('[{"id": "1", "vector": [1, 0]}] x', "something behind the array of 1 records"),
    ("[3]", "record 1: not a JSON object"),
    ('{"data": [{"id": "1", "vector": [1, 0]}]}', "an object with the records in 'data'"),
    ('[{"vector": [1, 0]}]', "record 1: no 'id' among 'vector'"), ("[NaN]", "record 1: not JSON (NaN"),
    ("[" * 100_000, "record 1: nested too deeply"),
])  # fmt: skip
def test_json_that_is_no_records(run: Run, url: str, tmp_path: Path, content: str, complaint: str) -> None:
    answer = add(run, url, tmp_path / "x.json", content)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert complaint in answer.err


def test_an_array_called_json_lines(run: Run, url: str, tmp_path: Path) -> None:
    answer = add(run, url, tmp_path / "x.jsonl", '[{"id": "1", "vector": [1, 0]}]')
    assert (answer.code, "save it with the ending .json" in answer.err) == (2, True)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b'{"id": "1", "vector": [1, 0]}\n', mtime=0)[:-10]])
def test_damaged_gzip(run: Run, url: str, tmp_path: Path, content: bytes) -> None:
    answer = add(run, url, tmp_path / "x.jsonl.gz", content)
    assert (answer.code, "cannot be unpacked with gzip" in answer.err) == (2, True)


def test_exports_are_not_compressed(run: Run, articles: str, tmp_path: Path) -> None:
    answer = run("export", articles, "articles", tmp_path / "x.jsonl.gz")
    assert (answer.code, "| gzip" in answer.err) == (2, True)
