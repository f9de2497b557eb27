"""`vecstore add` that stored nothing leaves nothing behind, and the corrected command works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import vecstore
from tests.cli.conftest import NO_MODEL, Run, write_lines
from tests.cli.places import place as place
from tests.cli.places import postgres_server as postgres_server
from tests.cli.places import postgres_url as postgres_url
from tests.cli.places import redis_server as redis_server
from vecstore import Database, Record, Schema, VectorStore
from vecstore.errors import StorageFailed
from vecstore.testing import Place

GOOD = [{"id": "1", "vector": [1, 0], "rank": 1.5}, {"id": "2", "vector": [0, 1], "rank": 2.5}]


def names(place: Place) -> list[str]:
    with place.connect() as database:
        return database.names()


BAD_FILES = {
    "another dimension": '{"id": "1", "vector": [1, 0]}\n{"id": "2", "vector": [0, 1, 0]}\n',
    "no vector": '{"id": "1", "vector": 3}\n',
    "an empty vector": '{"id": "1", "vector": []}\n',
    "no number": '{"id": "1", "vector": ["a"]}\n',
    "zero": '{"id": "1", "vector": [0, 0]}\n',
    "no id": '{"vector": [1, 0]}\n',
    "neither vector nor text": '{"id": "1"}\n',
    "no JSON": "oops\n",
    "a wrong type": '{"id": "1", "vector": [1, 0], "rank": "x"}\n',
    "an id too long": '{"id": "' + "x" * 600 + '", "vector": [1, 0]}\n',
    "nothing": "",
    "a text and no model": '{"id": "1", "text": "hello"}\n',
    "a vector and a text": '{"id": "1", "vector": [1, 0]}\n{"id": "2", "text": "hello"}\n',
}


@pytest.mark.parametrize("skip", [[], ["--skip-bad"]], ids=["", "skip-bad"])
@pytest.mark.parametrize("text", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_input_leaves_nothing(
    run: Run, url: str, tmp_path: Path, no_model: None, text: str, skip: list[str]
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    answer = run("add", url, "s", path, "--field", "rank:float", *skip)
    if answer.code == 0:
        assert (skip, answer.out.split()[1]) == (["--skip-bad"], "1")
        return
    assert (answer.code, answer.out, "Traceback" in answer.err) == (2, "", False)
    assert not (tmp_path / "kb").exists()
    write_lines(path, GOOD)
    assert run("add", url, "s", path, "--field", "rank:int", "--skip-bad", "--metric", "l2").code == 2
    assert run("add", url, "s", path, "--field", "rank:float", "--metric", "l2").code == 0


def test_bad_input_leaves_nothing_on_any_backend(run: Run, place: Place, tmp_path: Path, no_model: None) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(BAD_FILES["another dimension"])
    assert run("add", place.url, "s", path).code == 2
    assert names(place) == []
    write_lines(path, GOOD)
    assert run("add", place.url, "s", path, "--field", "rank:float").code == 0
    assert set(place.raw("s") or ()) == {"1", "2"}


def test_documents_of_which_nothing_can_be_stored(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("\0")
    (tmp_path / "docs" / "b.md").write_bytes(b"\xff")
    answer = run("add", url, "s", tmp_path / "docs")
    assert (answer.code, "There was nothing to add" in answer.err) == (2, True)
    assert not (tmp_path / "kb").exists()


@pytest.mark.parametrize("options", [["--embedder", NO_MODEL], ["--dim", "3"], ["--metric", "x"], ["--index", "x"]])
def test_wrong_options_leave_nothing(run: Run, url: str, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "a.md").write_text("hello")
    answer = run("add", url, "s", tmp_path / "a.md", *options)
    assert (answer.code, answer.err.count("\n"), (tmp_path / "kb").exists()) == (2, 1, False)
    assert run("add", url, "s", tmp_path / "a.md").code == 0


@pytest.mark.parametrize("name", ["S", "1", "a-b", "a" * 49, "ü"])
def test_a_name_that_no_store_can_have_leaves_nothing(run: Run, url: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.md").write_text("hello")
    answer = run("add", url, name, tmp_path / "a.md")
    assert (answer.code, "a name has 1 to 48 characters" in answer.err, (tmp_path / "kb").exists()) == (2, True, False)


def raise_interrupt(*_: Any, **__: Any) -> NoReturn:
    raise KeyboardInterrupt


def raise_failure(*_: Any, **__: Any) -> NoReturn:
    raise StorageFailed("The disk is full.")


@pytest.mark.parametrize("fail, code", [(raise_interrupt, 130), (raise_failure, 3)])
@pytest.mark.parametrize(
    "owner, name, after",
    [
        (Database, "create", False),
        (Database, "create", True),
        (VectorStore, "upsert", False),
        (VectorStore, "upsert", True),
        (Database, "rename", False),
    ],
)
def test_a_failure_at_any_step_leaves_no_store(
    run: Run,
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_model: None,
    fail: Callable[..., NoReturn],
    code: int,
    owner: type,
    name: str,
    after: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    path = write_lines(tmp_path / "x.jsonl", GOOD)
    method = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> NoReturn:
        if after:
            method(*arguments, **options)
        fail()

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, call)
        answer = run("add", place.url, "s", path)
    assert (answer.code, answer.out) == (code, "")
    assert names(place) == []
    assert run("add", place.url, "s", path, "--field", "rank:float").code == 0
    assert set(place.raw("s") or ()) == {"1", "2"}


def test_a_store_that_another_process_made_meanwhile_is_kept_and_added_to(
    run: Run, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_model: None
) -> None:
    path = write_lines(tmp_path / "x.jsonl", GOOD)
    rename = Database.rename

    def rename_late(database: Database, old: str, new: str) -> None:
        with place.connect() as other:
            other.create("s", Schema(dim=2)).insert([Record("theirs", [3, 4])])
        rename(database, old, new)

    monkeypatch.setattr(Database, "rename", rename_late)
    answer = run("add", place.url, "s", path, "--json").json
    assert (answer["created"], answer["written"]) == (False, 2)
    assert names(place) == ["s"]
    assert set(place.raw("s") or ()) == {"1", "2", "theirs"}


def test_a_store_that_another_process_made_differently_is_kept(
    run: Run, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_model: None
) -> None:
    path = write_lines(tmp_path / "x.jsonl", GOOD)
    rename = Database.rename

    def rename_late(database: Database, old: str, new: str) -> None:
        with vecstore.connect(url) as other:
            other.create("s", Schema(dim=2))
        rename(database, old, new)

    monkeypatch.setattr(Database, "rename", rename_late)
    answer = run("add", url, "s", path, "--field", "rank:float")
    assert (answer.code, "its field rank is not declared" in answer.err) == (2, True)
    with vecstore.connect(url) as database:
        assert database.names() == ["s"]
        assert database.open("s").count() == 0


def test_no_other_process_sees_a_store_before_it_holds_records(
    run: Run, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_model: None
) -> None:
    path = write_lines(tmp_path / "x.jsonl", GOOD)
    upsert, seen = VectorStore.upsert, []

    def look(store: VectorStore, *arguments: Any, **options: Any) -> int:
        with vecstore.connect(url) as other:
            seen.append("s" in other.names())
        return upsert(store, *arguments, **options)

    monkeypatch.setattr(VectorStore, "upsert", look)
    assert run("add", url, "s", path).code == 0
    assert seen == [False]


def test_vectors_and_texts_in_one_file_need_the_model_s_name(run: Run, url: str, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [{"id": "1", "vector": [0.5] * 256}, {"id": "2", "text": "hello"}]
    path = write_lines(tmp_path / "x.jsonl", lines)
    answer = run("add", url, "s", path)
    assert (answer.code, "--embedder" in answer.err, (tmp_path / "kb").exists()) == (2, True, False)
    assert run("add", url, "s", path, "--embedder", "wordllama", "--json").json["written"] == 2


def test_dim_beside_a_model_of_another(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("hello")
    answer = run("add", url, "s", tmp_path / "a.md", "--dim", "3")
    assert "--dim is 3, and the model makes 256." in answer.err


def test_memory_is_no_place_for_a_command(run: Run, tmp_path: Path, no_model: None) -> None:
    answer = run("add", "memory:", "s", write_lines(tmp_path / "r.jsonl", GOOD))
    assert (answer.code, answer.out, "would be lost" in answer.err) == (2, "", True)
