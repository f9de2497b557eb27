"""`vecstore ls`, `info`, `verify`, `compact`, `backup`, `rebuild` and `drop`."""

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
    checked = run("verify", url)
    assert (checked.code, checked.out) == (2, "")
    assert "nothing was checked" in checked.err
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


def test_verify_names_what_it_could_not_check(run: Run, articles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = vecstore.Verification(3, unchecked=("The collection in Milvus was not compared.",))
    monkeypatch.setattr(vecstore.VectorStore, "verify", lambda _: found)
    people = run("verify", articles)
    assert people.code == 0
    assert people.out.splitlines() == ["articles: 3 records checked, sound", f"  {found.unchecked[0]}"]
    [store] = run("verify", articles, "--json").json["stores"]
    assert (store["problems"], store["unchecked"]) == ([], list(found.unchecked))


def test_compact(run: Run, articles: str) -> None:
    answer = run("compact", articles, "articles", "--json")
    assert (answer.code, answer.json["store"]) == (0, "articles")
    assert min(answer.json["bytes"], answer.json["bytes_before"]) > 0
    people = run("compact", articles, "articles")
    assert (people.code, people.out.startswith("articles: ")) == (0, True)
    assert run("get", articles, "articles", "a").code == 0


def test_backup(run: Run, articles: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert run("backup", articles, copy, "--json").json == {"directory": str(copy), "stores": ["articles"]}
    assert run("delete", articles, "articles", "a").code == 0
    assert run("export", f"file:{copy}", "articles", "--no-header").out.count("\n") == 3
    assert run("verify", f"file:{copy}").code == 0
    assert run("backup", articles, tmp_path / "again").out == f"Copied all stores (1) to {tmp_path}/again.\n"


def test_backup_of_a_mistyped_path_is_an_error(run: Run, articles: str, tmp_path: Path) -> None:
    answer = run("backup", f"file:{tmp_path}/kv", tmp_path / "copy")
    assert (answer.code, answer.out) == (2, "")
    assert f"no database in {tmp_path}/kv" in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb"]


def test_backup_and_export_take_a_file_url(
    run: Run, articles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for target, place in (("file:./copy", "copy"), ("~/copy", "home/copy"), ("file:~/other", "home/other")):
        assert run("backup", articles, target).code == 0
        assert run("count", f"file:{tmp_path / place}", "articles").out == "3\n"
    assert run("export", articles, "articles", "file:./out.jsonl").code == 0
    assert (tmp_path / "out.jsonl").exists()
    assert not (tmp_path / "file:").exists()


@pytest.mark.parametrize("target", ["redis://:Tulip77@127.0.0.1/0", "postgresql:db", "memory:", "file:./x?mode=ro"])
def test_backup_and_export_go_to_no_server(
    run: Run, articles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (("backup", articles, target), ("export", articles, "articles", target, "--format", "jsonl")):
        answer = run(*command)
        assert (answer.code, answer.out, answer.err.count("\n"), "Tulip" in answer.err) == (2, "", 1, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb"]


def test_backup_refuses(run: Run, articles: str, tmp_path: Path) -> None:
    for url, target, told in (
        (articles, tmp_path, "not empty"), (articles, "", "path"), ("memory:", tmp_path / "new", "does not support"),
    ):  # fmt: skip
        answer = run("backup", url, target)
        assert (answer.code, answer.err.count("\n"), told in answer.err) == (2, 1, True)
    assert not (tmp_path / "new").exists()


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
    for command in ("search", "get", "count", "export", "delete", "info", "reindex", "calibrate", "recall",
                    "compact", "rebuild", "drop"):  # fmt: skip
        answer = run(command, articles, name, *more.get(command, []), "--json")
        assert (answer.code, answer.out) == (2, "")
        assert answer.error["type"] in {"StoreNotFound", "InvalidArgument"}
        assert ("Did you mean 'articles'?" in answer.error["message"]) == (name == "artcles")


@pytest.mark.parametrize(
    "url", ["kb", "fiel:./kb", "file:", "file:./kb?tiemout=3", "file:./kb?mode=xx", "redsi://h:1/0", "redis:h", ""]
)
def test_wrong_urls(run: Run, url: str) -> None:
    answer = run("ls", url, "--json")
    assert (answer.code, answer.error["type"]) == (2, "InvalidUrl")


def test_read_only(run: Run, articles: str) -> None:
    for arguments in (
        ("delete", "a"),
        ("reindex",),
        ("calibrate",),
        ("compact",),
        ("drop", "--yes"),
        ("rebuild", "--metric", "l2"),
    ):
        answer = run(arguments[0], f"{articles}?mode=ro", "articles", *arguments[1:])
        assert (answer.code, "read-only" in answer.err) == (2, True)
    assert run("count", f"{articles}?mode=ro", "articles").out == "3\n"


def test_a_rebuild_that_changes_nothing_says_so(run: Run, articles: str) -> None:
    for options in ((), ("--field", "year:int"), ("--metric", "cosine")):
        answer = run("rebuild", articles, "articles", *options)
        assert (answer.code, "nothing to change" in answer.out) == (0, True), options
    assert run("rebuild", articles, "articles", "--json").json["changed"] is False
    assert run("rebuild", articles, "articles", "--metric", "l2", "--json").json["changed"] is True
    assert run("rebuild", articles, "articles", "--rollback", "--json").json["changed"] is True
