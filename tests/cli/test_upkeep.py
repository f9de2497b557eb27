"""`vecstore ls`, `info`, `verify`, `reindex`, `recall`, `rebuild` and `drop`."""

from __future__ import annotations

from pathlib import Path

import pytest

import vecstore
from tests.cli.conftest import Run
from vecstore import Schema

pytestmark = pytest.mark.usefixtures("no_model")


def test_ls(run: Run, articles: str) -> None:
    assert run("ls", articles).out.splitlines()[0].split() == ["store", "records", "dim", "metric", "index", "fields"]
    assert run("ls", articles).out.splitlines()[1].split()[:3] == ["articles", "3", "3"]
    (store,) = run("ls", articles, "--json").json["stores"]
    assert (store["store"], store["records"], store["fields"]["year"]) == ("articles", 3, "int")


def test_a_place_without_stores(run: Run, url: str, tmp_path: Path) -> None:
    assert run("ls", url, "--json").json == {"stores": []}
    answer = run("ls", url)
    assert (answer.code, answer.out, answer.err) == (0, "", "There are no stores here.\n")
    assert not (tmp_path / "kb").exists()


def test_info(run: Run, articles: str) -> None:
    answer = run("info", articles, "articles", "--json").json
    assert (answer["records"], answer["backend"], answer["embedder"]) == (3, "file", None)
    assert answer["schema"]["metric"] == "cosine"
    assert answer["index_status"]["rows"] == 3
    people = run("info", articles, "articles").out
    assert "3 dimensions, cosine, float32" in people
    assert "field year" in people
    assert all(len(line) <= 80 for line in people.splitlines())


def test_verify_sound(run: Run, articles: str) -> None:
    assert run("verify", articles).out == "articles: 3 records checked, sound\n"
    answer = run("verify", articles, "articles", "--json")
    assert (answer.code, answer.json["ok"]) == (0, True)
    assert answer.json["stores"] == [{"store": "articles", "records": 3, "problems": []}]


def test_verify_damaged(run: Run, url: str, tmp_path: Path) -> None:
    with vecstore.connect(url) as database:
        store = database.create("s", Schema(dim=64))
        store.insert(vecstore.Record(str(number), [number + 1.0] * 64) for number in range(2_000))
    segment = next((tmp_path / "kb").rglob("*.vec"))
    data = bytearray(segment.read_bytes())
    data[-50] ^= 0xFF
    segment.chmod(0o600)
    segment.write_bytes(data)
    answer = run("verify", url, "--json")
    assert (answer.code, answer.json["ok"]) == (1, False)
    assert answer.json["stores"][0]["problems"]
    people = run("verify", url)
    assert (people.code, "DAMAGED" in people.out) == (1, True)


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


def test_recall(run: Run, articles: str) -> None:
    answer = run("recall", articles, "articles", "-k", "1", "--min-recall", "1", "--json")
    assert (answer.code, answer.json["mean"], answer.json["queries"], answer.json["enough"]) == (0, 1, 3, True)
    assert run("recall", articles, "articles").out.startswith("recall@10 1.0000")


def test_recall_too_low(run: Run, articles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    low = vecstore.Recall(0.5, 0.2, 0.1, 10, 10)
    monkeypatch.setattr(vecstore.VectorStore, "measure_recall", lambda *_, **__: low)
    assert run("recall", articles, "articles", "--min-recall", "0.9").code == 1


def test_rebuild_and_rollback(run: Run, articles: str) -> None:
    options = ("--field", "extra2:keyword", "--drop-field", "lang", "--metric", "l2")
    answer = run("rebuild", articles, "articles", *options, "--json").json
    assert (answer["records"], answer["embedded"]) == (3, False)
    schema = run("info", articles, "articles", "--json").json["schema"]
    assert (schema["metric"], "lang" in schema["fields"], schema["fields"]["extra2"]) == ("l2", False, "keyword")
    assert run("rebuild", articles, "articles", "--rollback").code == 0
    assert run("info", articles, "articles", "--json").json["schema"]["metric"] == "cosine"


def test_rebuild_with_a_model(run: Run, articles: str) -> None:
    answer = run("rebuild", articles, "articles", "--embedder", "wordllama", "--discard-previous", "--json").json
    assert (answer["records"], answer["embedded"]) == (3, True)
    info = run("info", articles, "articles", "--json").json
    assert (info["embedder"]["kind"], info["schema"]["dim"]) == ("wordllama", 256)
    (hit,) = run("search", articles, "articles", "wind", "-k", "1", "-e", "wordllama", "--json").json["hits"]
    assert hit["id"] == "b"
    assert run("rebuild", articles, "articles", "--rollback").code == 2


def test_the_wrong_model_is_refused(run: Run, articles: str) -> None:
    run("rebuild", articles, "articles", "--embedder", "wordllama")
    answer = run("search", articles, "articles", "wind", "-e", "wordllama:128", "--json")
    assert (answer.code, answer.error["type"]) == (2, "EmbedderMismatch")
    assert "--embedder" in answer.error["message"]


@pytest.mark.parametrize(
    "options",
    [["--drop-field", "nope"], ["--field", "year"], ["--field", "id:int"], ["--field", "Year:int"],
     ["--metric", "cos"], ["--dtype", "int8"], ["--rollback", "--metric", "l2"],
     ["--field", "a:int", "--field", "a:int"], ["--rollback"], ["--embedder", "x:y"], ["--rate", "0"]],
)  # fmt: skip
def test_rebuild_refuses(run: Run, articles: str, options: list[str]) -> None:
    answer = run("rebuild", articles, "articles", *options)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert answer.err.startswith("vecstore: ")


def test_drop(run: Run, articles: str) -> None:
    refused = run("drop", articles, "articles")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert run("ls", articles, "--json").json["stores"]
    assert run("drop", articles, "articles", "--yes", "--json").json == {"dropped": "articles", "records": 3}
    assert run("ls", articles, "--json").json["stores"] == []


@pytest.mark.parametrize("name", ["artcles", "../x", "'; DROP TABLE x; --", "A", "x" * 49, ""])
def test_stores_that_do_not_exist(run: Run, articles: str, name: str) -> None:
    more = {"search": ["--like", "a"], "get": ["a"], "delete": ["a"]}
    for command in ("search", "get", "count", "export", "delete", "info", "reindex", "recall", "rebuild", "drop"):
        answer = run(command, articles, name, *more.get(command, []), "--json")
        assert (answer.code, answer.out) == (2, "")
        assert answer.error["type"] in {"StoreNotFound", "InvalidArgument"}
        assert ("Did you mean 'articles'?" in answer.error["message"]) == (name == "artcles")


@pytest.mark.parametrize(
    "url", ["kb", "fiel:./kb", "file:", "file:./kb?tiemout=3", "file:./kb?mode=xx", "redis://h:1/0", ""]
)
def test_wrong_urls(run: Run, url: str) -> None:
    answer = run("ls", url, "--json")
    assert (answer.code, answer.error["type"]) == (2, "InvalidUrl")


def test_read_only(run: Run, articles: str) -> None:
    for arguments in (("delete", "a"), ("reindex",), ("drop", "--yes"), ("rebuild", "--metric", "l2")):
        answer = run(arguments[0], f"{articles}?mode=ro", "articles", *arguments[1:])
        assert (answer.code, "read-only" in answer.err) == (2, True)
    assert run("count", f"{articles}?mode=ro", "articles").out == "3\n"
