"""Texts for a store whose vectors were given: nobody's model is taken for granted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Run, write_lines

TEXT = b'{"id": "t", "text": "solar panels"}'
GIVEN = [{"id": f"v{number}", "text": "wind", "vector": [number + 1.0] * 256} for number in range(3)]


@pytest.fixture
def given(run: Run, url: str, tmp_path: Path) -> str:
    """Fill a store ``s`` with vectors of as many dimensions as wordllama's."""
    assert run("add", url, "s", write_lines(tmp_path / "given.jsonl", GIVEN)).code == 0
    return url


def test_a_named_model_does_not_take_over_given_vectors(run: Run, given: str) -> None:
    answer = run("add", given, "s", "-", "--embedder", "wordllama", stdin=TEXT)
    assert answer.code == 2
    assert "--claim" in answer.err
    assert "vecstore rebuild" in answer.err
    assert run("count", given, "s").out == "3\n"
    assert run("info", given, "s", "--json").json["embedder"] is None
    assert run("search", given, "s", "solar", "--embedder", "wordllama").code == 0


def test_claim_says_so(run: Run, given: str) -> None:
    for _ in range(2):
        assert run("add", given, "s", "-", "--embedder", "wordllama", "--claim", stdin=TEXT).code == 0
    assert run("info", given, "s", "--json").json["embedder"]["kind"] == "wordllama"
    assert run("add", given, "s", "-", stdin=b'{"id": "u", "text": "water"}').code == 0
    assert json.loads(run("search", given, "s", "water", "-k", "1", "--json").out)["hits"][0]["id"] == "u"


def test_claim_with_vectors_only(run: Run, given: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "more.jsonl", [{**GIVEN[0], "id": "more"}])
    assert run("add", given, "s", path, "--embedder", "wordllama", "--claim").code == 0
    assert run("info", given, "s", "--json").json["embedder"]["kind"] == "wordllama"


def test_claim_needs_a_name_for_the_model(run: Run, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VECSTORE_EMBEDDER", raising=False)
    for more in ((), ("--claim",)):
        answer = run("add", given, "s", "-", *more, stdin=TEXT)
        assert answer.code == 2
        assert "--embedder" in answer.err
        assert "--claim" in answer.err


def test_a_model_of_another_length_is_told_as_such(run: Run, articles: str) -> None:
    for more in ((), ("--claim",)):
        answer = run("add", articles, "articles", "-", "--embedder", "wordllama", *more, stdin=TEXT)
        assert answer.code == 2
        assert "256" in answer.err


@pytest.mark.parametrize("size", [1, 2, 4])
def test_vectors_and_texts_of_one_file_are_cut_anywhere(run: Run, url: str, tmp_path: Path, size: int) -> None:
    path = write_lines(tmp_path / "mixed.jsonl", [*GIVEN, json.loads(TEXT)])
    answer = run("add", url, "s", path, "--batch-size", size)
    assert answer.code == 2
    assert "--embedder" in answer.err
    answer = run("add", url, "t", path, "--batch-size", size, "--embedder", "wordllama")
    assert answer.code == 0, answer.err
    assert run("info", url, "t", "--json").json["embedder"]["kind"] == "wordllama"


def test_a_store_without_records_takes_the_default_model(run: Run, given: str) -> None:
    assert run("delete", given, "s", "--all", "--yes").code == 0
    answer = run("add", given, "s", "-", stdin=TEXT)
    assert answer.code == 0, answer.err
    assert run("info", given, "s", "--json").json["embedder"]["kind"] == "wordllama"
