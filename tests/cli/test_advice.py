"""The next step that an error of the command line names is one that works, and no option is passed over in silence."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import vecstore
from tests.cli.conftest import Run, write_lines
from vecstore import InvalidVector, Record, Schema
from vecstore.embedders.adapters import find_spec

RECORDS = [{"id": "1", "text": "Tea is hot.", "vector": [1, 0], "Jahr": 2020}]


@pytest.fixture
def store(run: Run, url: str, tmp_path: Path, no_model: None) -> str:
    assert run("add", url, "s", write_lines(tmp_path / "r.jsonl", RECORDS)).code == 0
    return url


@pytest.mark.parametrize(
    "option, value, command",
    [
        ("--index", "flat", "reindex"), ("--metric", "l2", "rebuild"), ("--dtype", "float16", "rebuild"),
        ("--field", "jahr:int", "rebuild"), ("--vectors", "optional", "rebuild"), ("--dynamic", "", "rebuild"),
    ],
)  # fmt: skip
def test_the_way_to_change_an_existing_store(
    run: Run, store: str, tmp_path: Path, option: str, value: str, command: str
) -> None:
    options = (option, value) if value else (option,)
    again = ("add", store, "s", tmp_path / "r.jsonl", *options)
    refused = run(*again)
    assert refused.code == 2
    assert f"with `vecstore {command}` and {' '.join(options)}." in refused.err
    assert run(command, store, "s", *options).code == 0
    assert run(*again).code == 0


@pytest.mark.parametrize(
    "options, told",
    [
        (["--metric", "cosin"], "Did you mean 'cosine'?"), (["--dtype", "int8"], "Known: float32, float16."),
        (["--dim", "3"], "a store of another name"), (["--field", "Jahr:int"], "Write jahr:int;"),
        (["--field", "First Name:keyword"], "Write first_name:keyword;"), (["--embedder", ""], "--embedder is empty"),
    ],
)  # fmt: skip
def test_what_no_store_can_have_is_said_first(
    run: Run, store: str, tmp_path: Path, options: list[str], told: str
) -> None:
    texts = write_lines(tmp_path / "t.jsonl", [{"id": "1", "text": "Tea"}])
    for name in ("s", "new")[: 1 if "--dim" in options else 2]:
        answer = run("add", store, name, texts, *options)
        assert (answer.code, answer.out) == (2, "")
        assert told in answer.err


def test_a_column_goes_to_the_field_that_the_error_names(run: Run, url: str, tmp_path: Path, no_model: None) -> None:
    path = write_lines(tmp_path / "r.jsonl", RECORDS)
    assert run("add", url, "s", path, "--field", "jahr:int").code == 0
    assert run("count", url, "s", "--where", '{"jahr": 2020}').out == "1\n"


@pytest.mark.parametrize("option", ["--glob=*.md", "--passage-size=200", "--as=x"])
def test_an_option_of_documents_without_documents(run: Run, store: str, tmp_path: Path, option: str) -> None:
    answer = run("add", store, "s", tmp_path / "r.jsonl", option)
    assert (answer.code, "files of records only" in answer.err) == (2, True)


@pytest.mark.parametrize("option", ["--id-column=x", "--text-column=x", "--vector-column=x"])
def test_an_option_of_records_without_records(run: Run, store: str, tmp_path: Path, option: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("Tea")
    answer = run("add", store, "docs", tmp_path / "docs", option)
    assert (answer.code, "documents only" in answer.err) == (2, True)
    assert run("add", store, "d", tmp_path / "docs", "-", option, stdin=b"").code == 2  # NO_MODEL is loaded


def test_the_model_of_a_store_is_named_as_the_option_takes_it(run: Run, url: str, tmp_path: Path) -> None:
    texts = write_lines(tmp_path / "t.jsonl", [{"id": "1", "text": "Tea is hot."}])
    assert run("add", url, "s", texts, "--embedder", "wordllama:64").code == 0
    assert "wordllama:64 (l2_supercat)" in run("info", url, "s").out
    more = write_lines(tmp_path / "m.jsonl", [{"id": "2", "text": "Milk is cold."}])
    for command in (("search", url, "s", "tea"), ("add", url, "s", more)):
        refused = run(*command)
        assert refused.code == 2
        found = re.search(r"Add (--embedder \S+)\.$", refused.err)
        assert found
        assert run(*command, *shlex.split(found[1])).code == 0


def test_models_that_the_command_line_cannot_name() -> None:
    assert find_spec({"kind": "sentence-transformers", "model": "all-MiniLM-L6-v2"}) == (
        "sentence-transformers:all-MiniLM-L6-v2"
    )
    assert find_spec({"kind": "function", "model": "mine"}) is None
    assert find_spec({}) is None
    for model in ("m?url=https://example.org&key_variable=AWS", "m?", "m x", "m\x1b[2J", "m\n", "'m", ""):
        assert find_spec({"kind": "openai", "model": model}) is None
    assert find_spec({"kind": "openai", "model": "bge-m3:latest"}) == "openai:bge-m3:latest"
    assert find_spec({"kind": "wordllama", "model": "m", "truncate_dim": "64?url=x"}) == "wordllama"


@pytest.mark.parametrize("kind", ["onnx", "model2vec", "tfidf"])
def test_a_model_in_a_folder_is_named_by_its_folder(run: Run, url: str, kind: str) -> None:
    embedder = vecstore.embedders.FunctionEmbedder(lambda texts: np.ones((len(texts), 2)), dim=2, name="minilm")
    embedder._kind = kind
    with vecstore.connect(url) as database:
        database.create("s", Schema(dim=2), embedder=embedder).upsert([Record("1", text="tea")])
    refused = run("search", url, "s", "tea")
    name = "vectorizer" if kind == "tfidf" else kind
    assert f"was filled by {name}:FOLDER (minilm). Add --embedder {name}:FOLDER." in refused.err


def test_a_rollback_embeds_nothing(run: Run, url: str, tmp_path: Path) -> None:
    texts = write_lines(tmp_path / "t.jsonl", [{"id": "1", "text": "Tea is hot."}])
    assert run("add", url, "s", texts).code == 0
    assert "embedded again" in run("rebuild", url, "s", "--embedder", "wordllama:64").out
    back = run("rebuild", url, "s", "--rollback").out
    assert "as before the last rebuild" in back
    assert "embedded again" not in back


def test_places_within_each_other_are_told_apart(run: Run, url: str, tmp_path: Path) -> None:
    """A directory b in the place a, and a place that is called a/b."""
    for path in ("x/b/a.txt", "y/a.txt"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(path)
    assert run("add", url, "s", tmp_path / "x", "--as", "a").code == 0
    for options in ((), ("--same-place",)):
        answer = run("add", url, "s", tmp_path / "y", "--as", "a/b", *options)
        assert answer.code == 2
        assert f"'a' is {tmp_path}/x, and its record 'a/b/a.txt#1' would be replaced by {tmp_path}/y as 'a/b'" in (
            answer.err
        )
        assert "--same-place" not in answer.err
    assert run("add", url, "s", tmp_path / "y", "--as", "other").code == 0
    assert run("count", url, "s").out == "2\n"


def test_stdin_that_is_no_json(run: Run, url: str) -> None:
    answer = run("add", url, "s", "-", stdin=b"id,text\n1,Tea\n")
    assert (answer.code, "stdin is read as JSON lines, so save anything else to a file" in answer.err) == (2, True)


@pytest.mark.parametrize("command, told", [("list", "Did you mean 'ls'"), ("zzzzzz", "zzzzzz'. See: ")])
def test_an_unknown_command(run: Run, command: str, told: str) -> None:
    assert told in run(command).err


def test_an_array_of_objects_that_are_numbers() -> None:
    with vecstore.connect("memory:") as database:
        store = database.create("s", Schema(dim=2))
        with pytest.raises(InvalidVector, match="all numbers") as raised:
            store.upsert([Record("a", np.array([1, 0.5], dtype=object))])
        assert "None" not in str(raised.value)
        assert store.upsert([Record("a", np.array([1, 0.5], dtype=object).astype(np.float32))]) == 1
        for odd, told in ((None, "None at position 1"), ("x", "a str at position 1"), (True, "a bool at position 1")):
            with pytest.raises(InvalidVector, match=told):
                store.upsert([Record("a", np.array([1, odd], dtype=object))])


def test_a_mistyped_directory_is_named(run: Run, url: str, tmp_path: Path) -> None:
    answer = run("search", f"file:{tmp_path}/kv", "notes", "tea")
    assert (answer.code, f"no store 'notes' here. There is no database in {tmp_path}/kv." in answer.err) == (2, True)
