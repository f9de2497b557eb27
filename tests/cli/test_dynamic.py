"""``--dynamic``: filters on keys that nobody declared, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vecstore
from tests.cli.conftest import Run, write_lines
from vecstore import F
from vecstore.filters.dict_form import to_dict
from vecstore.testing.corpus import list_accepted

pytestmark = pytest.mark.usefixtures("no_model")

ROWS: list[dict[str, Any]] = [
    {"id": "a", "vector": [1, 0], "Page Number": 3, "author": {"name": "Ada"}, "$eq": True, "lang": "en"},
    {"id": "b", "vector": [0, 1], "Page Number": "3", "author": {"name": "Bob"}, "lang": "de"},
]


@pytest.fixture
def made(run: Run, url: str, tmp_path: Path) -> str:
    path = tmp_path / "rows.jsonl"
    write_lines(path, ROWS)
    assert run("add", url, "docs", path, "--field", "lang:keyword", "--dynamic").code == 0
    return url


def count(run: Run, url: str, where: str) -> int:
    answer = run("count", url, "docs", "--where", where, "--json")
    assert answer.code == 0, answer.err
    return int(answer.json["count"])


def test_any_key_can_be_filtered_on(run: Run, made: str) -> None:
    assert count(run, made, '{"Page Number": 3}') == 1
    assert count(run, made, '{"Page Number": {"$in": [3, "3"]}, "lang": "de"}') == 1
    assert count(run, made, '{"$path": [["author", "name"], {"$eq": "Ada"}]}') == 1
    assert count(run, made, '{"$key": ["$eq", true]}') == 1
    assert count(run, made, '{"$key": ["id", {"$exists": true}]}') == 0
    answer = run("search", made, "docs", "--vector", "[1, 0]", "--where", '{"Page Number": "3"}', "--json")
    assert [hit["id"] for hit in answer.json["hits"]] == ["b"]
    assert run("delete", made, "docs", "--where", '{"$path": [["author", "name"], "Ada"]}', "--yes").code == 0
    assert count(run, made, '{"$all": true}') == 1


def test_hostile_keys_find_nothing(run: Run, made: str) -> None:
    for key in list_accepted(0, 60)[::7]:
        assert count(run, made, json.dumps(to_dict(F[key] == key))) == 0


def test_it_is_shown_and_turned_on_and_off(run: Run, made: str) -> None:
    assert "other metadata" in run("info", made, "docs").out
    assert run("info", made, "docs", "--json").json["schema"]["dynamic"] is True
    assert run("rebuild", made, "docs", "--no-dynamic").code == 0
    refused = run("count", made, "docs", "--where", '{"Page Number": 3}')
    assert (refused.code, "dynamic=True" in refused.err) == (2, True)
    assert "other metadata" not in run("info", made, "docs").out
    assert run("rebuild", made, "docs", "--dynamic", "--field", "author_name:keyword").code == 0
    assert count(run, made, '{"Page Number": 3}') == 1


def test_a_store_that_differs_is_refused(run: Run, made: str, tmp_path: Path) -> None:
    assert run("add", made, "docs", tmp_path / "rows.jsonl").code == 0
    refused = run("add", made, "docs", tmp_path / "rows.jsonl", "--no-dynamic")
    assert (refused.code, "dynamic is True, not False" in refused.err) == (2, True)


@pytest.mark.parametrize("name", ["docs.jsonl", "docs.parquet"])
def test_an_export_makes_the_same_store(run: Run, made: str, tmp_path: Path, name: str) -> None:
    assert run("export", made, "docs", tmp_path / name).code == 0
    other = f"file:{tmp_path}/other"
    assert run("add", other, "docs", tmp_path / name).code == 0
    assert count(run, other, '{"Page Number": 3}') == 1
    with vecstore.connect(made) as one, vecstore.connect(other) as two:
        assert one.open("docs").schema == two.open("docs").schema
