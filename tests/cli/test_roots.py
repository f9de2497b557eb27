"""Two places are never one by accident: what `vecstore add` does with directories and files of equal names."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import vecstore
from tests.cli.conftest import Answer, Run
from vecstore import Schema, fields
from vecstore.embedders import WordLlamaEmbedder


def make(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(f"{name} of {str(directory)[-200:]!a}")
    return directory


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return make(tmp_path / "one" / "docs", "README.md", "index.md", "guide.md")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return make(tmp_path / "two" / "docs", "README.md", "index.md")


def texts(url: str, name: str = "s") -> dict[str, str]:
    with vecstore.connect(url) as database:
        return {record.id: record.text or "" for record in database.open(name).scan()}


def roots(url: str, name: str = "s") -> set[Any]:
    with vecstore.connect(url) as database:
        return {record.metadata.get("root") for record in database.open(name).scan()}


def assert_refused(answer: Answer, *words: object) -> None:
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer
    for word in (*words, "--as"):
        assert str(word) in answer.err


def test_passages_store_the_absolute_path_of_their_directory(run: Run, url: str, one: Path) -> None:
    assert run("add", url, "s", one).code == 0
    assert roots(url) == {str(one.resolve())}
    where = f'{{"root": "{one.resolve()}"}}'
    assert run("count", url, "s", "--where", where).out == "3\n"
    assert "root=" not in run("search", url, "s", "guide").out
    assert "root" in run("get", url, "s", "docs/guide.md#1").out


def test_another_directory_of_the_same_name_is_refused(run: Run, url: str, one: Path, two: Path) -> None:
    run("add", url, "s", one)
    before = texts(url)
    for path in (two, f"{two}/", two / "README.md", two.parent / ".." / "two" / "docs" / "index.md"):
        assert_refused(run("add", url, "s", path), one.resolve(), two.resolve())
        assert_refused(run("add", url, "s", path, "--yes"), one.resolve(), two.resolve())
    assert texts(url) == before


def test_a_directory_of_the_same_name_without_a_common_file_is_refused_too(
    run: Run, url: str, one: Path, tmp_path: Path
) -> None:
    run("add", url, "s", one)
    other = make(tmp_path / "three" / "docs", "else.md")
    assert_refused(run("add", url, "s", other), one.resolve(), other.resolve())


def test_as_keeps_both_and_each_follows_its_own_directory(run: Run, url: str, one: Path, two: Path) -> None:
    run("add", url, "s", one)
    assert run("add", url, "s", two, "--as", "two-docs", "--json").json["written"] == 2
    assert len(texts(url)) == 5
    (one / "guide.md").unlink()
    (two / "index.md").write_text("changed")
    assert run("add", url, "s", one, "--json").json["removed"] == 1
    report = run("add", url, "s", two, "--as", "two-docs", "--json").json
    assert (report["written"], report["unchanged"], report["removed"]) == (1, 1, 0)
    assert sorted(texts(url)) == [
        "docs/README.md#1", "docs/index.md#1", "two-docs/README.md#1", "two-docs/index.md#1",
    ]  # fmt: skip


def test_one_name_given_to_two_places_is_refused(run: Run, url: str, one: Path, two: Path) -> None:
    run("add", url, "s", one, "--as", "both")
    assert_refused(run("add", url, "s", two, "--as", "both"), one.resolve(), two.resolve())
    assert run("add", url, "s", one, "--as", "both", "--json").json["unchanged"] == 3


@pytest.mark.parametrize("options", [[], ["--as", "both"]])
@pytest.mark.parametrize("inner", ["", "index.md"])
def test_two_places_of_one_name_in_one_command_are_refused(
    run: Run, url: str, one: Path, two: Path, options: Sequence[str], inner: str
) -> None:
    answer = run("add", url, "s", one / inner, two / inner, *options)
    assert_refused(answer, one, two)
    assert not Path(url.removeprefix("file:")).exists()


def test_one_place_given_twice_is_read_once(run: Run, url: str, one: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(one)
    answer = run("add", url, "s", one, f"{one}/", tmp_path / "link", one / "guide.md", "--json").json
    assert (answer["written"], answer["unchanged"], answer["skipped"]) == (3, 0, 0)
    assert run("add", url, "s", tmp_path / "link", "--json").json["unchanged"] == 3


def test_a_link_and_the_file_that_it_names_are_one_document(run: Run, url: str, one: Path, tmp_path: Path) -> None:
    run("add", url, "s", one)
    link = tmp_path / "elsewhere" / "index.md"
    link.parent.mkdir()
    link.symlink_to(one / "guide.md")
    assert run("add", url, "s", link, "--json").json["unchanged"] == 1


def test_spellings_of_one_place(run: Run, url: str, one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("add", url, "s", one)
    monkeypatch.chdir(one.parent)
    for path in ("docs", "./docs/", "../one/docs", str(one)):
        assert run("add", url, "s", path, "--json").json["unchanged"] == 3
    monkeypatch.chdir(one)
    assert run("add", url, "s", ".", "--json").json["unchanged"] == 3


def test_a_place_that_another_path_leads_to_is_the_same(run: Run, url: str, one: Path, tmp_path: Path) -> None:
    run("add", url, "s", one)
    moved = tmp_path / "moved"
    shutil.move(one.parent, moved)
    (tmp_path / "one").symlink_to(moved)
    assert run("add", url, "s", moved / "docs", "--json").json["unchanged"] == 3


def test_a_directory_that_was_moved(run: Run, url: str, one: Path, tmp_path: Path) -> None:
    run("add", url, "s", one)
    moved = tmp_path / "moved" / "docs"
    moved.parent.mkdir()
    shutil.move(one, moved)
    (moved / "guide.md").unlink()
    answer = run("add", url, "s", moved)
    assert_refused(answer, one.resolve(), moved.resolve(), "--same-place")
    report = run("add", url, "s", moved, "--same-place", "--json").json
    assert (report["written"], report["unchanged"], report["removed"]) == (0, 2, 1)
    assert roots(url) == {str(moved.resolve())}
    assert run("add", url, "s", moved, "--json").json["unchanged"] == 2


def test_a_directory_that_was_renamed(run: Run, url: str, one: Path) -> None:
    run("add", url, "s", one)
    renamed = one.parent / "handbook"
    one.rename(renamed)
    report = run("add", url, "s", renamed, "--as", "docs", "--same-place", "--json").json
    assert (report["written"], report["unchanged"], report["removed"]) == (0, 3, 0)


def test_nested_places_have_passages_of_their_own(run: Run, url: str, tmp_path: Path) -> None:
    docs = make(tmp_path / "docs", "a.md", "docs/a.md", "sub/a.md")
    run("add", url, "s", docs)
    assert run("add", url, "s", docs / "sub", "--json").json["written"] == 1
    assert_refused(run("add", url, "s", docs / "docs"), docs.resolve(), (docs / "docs").resolve())
    assert sorted(texts(url)) == ["docs/a.md#1", "docs/docs/a.md#1", "docs/sub/a.md#1", "sub/a.md#1"]


def test_a_name_with_slashes_does_not_reach_into_another_place(run: Run, url: str, tmp_path: Path) -> None:
    docs, other = make(tmp_path / "docs", "sub/a.md"), make(tmp_path / "other", "a.md")
    run("add", url, "s", docs)
    before = texts(url)
    assert_refused(run("add", url, "s", other, "--as", "docs/sub"), docs.resolve(), other.resolve())
    assert texts(url) == before
    assert run("add", url, "s", other, "--as", "other/docs/", "--json").json["written"] == 1
    assert "other/docs/a.md#1" in texts(url)


@pytest.mark.parametrize("name", ["", " ", "/", ".", "..", "a//b", "a/../b", "\udcff", "a\0b", "a\nb"])
def test_a_name_that_is_none(run: Run, url: str, one: Path, name: str) -> None:
    answer = run("add", url, "s", one, "--as", name)
    assert (answer.code, answer.err.startswith("vecstore: --as ")) == (2, True)


def test_names_are_compared_byte_by_byte(run: Run, url: str, one: Path, tmp_path: Path) -> None:
    run("add", url, "s", one)
    other = make(tmp_path / "two" / "Docs", "index.md")
    assert run("add", url, "s", other, "--json").json["written"] == 1
    assert len(texts(url)) == 4


def test_a_record_of_the_user_s_own_is_not_replaced_by_a_passage(run: Run, url: str, one: Path) -> None:
    run("add", url, "s", "-", stdin=b'{"id": "docs/index.md#1", "text": "mine", "folder": "docs"}\n')
    assert_refused(run("add", url, "s", one), "docs/index.md#1", one.resolve())
    assert texts(url) == {"docs/index.md#1": "mine"}
    assert run("add", url, "s", one, "--as", "one", "--json").json["written"] == 3


def test_an_export_of_another_place_replaces_nothing(run: Run, url: str, one: Path, two: Path, tmp_path: Path) -> None:
    run("add", url, "s", one)
    run("add", f"file:{tmp_path}/other", "s", two)
    run("export", f"file:{tmp_path}/other", "s", tmp_path / "two.jsonl")
    before = texts(url)
    answer = run("add", url, "s", tmp_path / "two.jsonl")
    assert (answer.code, answer.out) == (2, "")
    assert str(one.resolve()) in answer.err
    assert str(two.resolve()) in answer.err
    assert texts(url) == before
    assert run("add", url, "s", tmp_path / "two.jsonl", "--same-place", "--json").json["written"] == 2


def test_two_exports_in_one_command_replace_nothing_of_each_other(
    run: Run, url: str, one: Path, two: Path, tmp_path: Path
) -> None:
    for place in (one, two):
        run("add", f"file:{tmp_path}/{place.parent.name}.kb", "s", place)
        run("export", f"file:{tmp_path}/{place.parent.name}.kb", "s", tmp_path / f"{place.parent.name}.jsonl")
    answer = run("add", url, "s", tmp_path / "one.jsonl", tmp_path / "two.jsonl")
    assert (answer.code, answer.out) == (2, "")
    assert all(str(one)[-200:] in text for text in texts(url).values())


@pytest.fixture
def older(url: str, one: Path) -> str:
    """Fill a store as vecstore did before passages had roots."""
    with vecstore.connect(url) as database:
        declared = {"folder": fields.Keyword(), "source": fields.Keyword(), "line": fields.Int()}
        store = database.create("s", Schema(fields=declared), embedder=WordLlamaEmbedder())
        for name in ("README.md", "index.md", "guide.md", "gone.md"):
            text = (one / name).read_text() if (one / name).exists() else "gone"
            values = {"folder": "docs", "source": f"docs/{name}", "line": 1}
            store.upsert([vecstore.Record(f"docs/{name}#1", text=text, metadata=values)])
    return url


def test_passages_without_a_root_are_of_no_place_until_the_user_says_so(run: Run, older: str, one: Path) -> None:
    before = texts(older)
    assert_refused(run("add", older, "s", one), "older vecstore", one.resolve(), "--same-place")
    assert texts(older) == before
    report = run("add", older, "s", one, "--same-place", "--json").json
    assert (report["written"], report["unchanged"], report["removed"]) == (0, 3, 1)
    assert run("add", older, "s", one, "--json").json["unchanged"] == 3


def test_an_older_store_takes_other_places(run: Run, older: str, two: Path) -> None:
    assert run("add", older, "s", two, "--as", "two", "--json").json["written"] == 2
    assert run("add", older, "s", two, "--as", "two", "--json").json["unchanged"] == 2
    assert_refused(run("add", older, "s", two), two.resolve())


def test_a_store_that_declares_the_keys_of_passages_differently(run: Run, url: str, one: Path) -> None:
    answer = run("add", url, "s", one, "--field", "root:int")
    assert (answer.code, "'root'" in answer.err) == (2, True)
    assert not Path(url.removeprefix("file:")).exists()


def test_a_root_that_is_no_keyword(run: Run, url: str, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*("d" * 200 for _ in range(6)), "docs")
    odd = Path(f"{tmp_path}/\udcff/docs2")
    for place in (make(deep, "a.md"), make(odd, "a.md")):
        assert run("add", url, "s", place, "--json").json["written"] == 1
        assert run("add", url, "s", place, "--json").json["unchanged"] == 1
    found = sorted(roots(url))
    assert found[0] == odd.as_uri()
    assert found[1].startswith("sha256:")


def test_the_root_of_the_file_system_is_not_the_directory_root(tmp_path: Path) -> None:
    from vecstore.cli.roots import describe_root

    assert describe_root(Path("/")) == "/"
    assert describe_root(tmp_path / "x" / "..") == str(tmp_path.resolve())


@pytest.mark.parametrize("size", ["1", "2", "100"])
def test_figures_are_those_of_the_store(run: Run, url: str, size: str) -> None:
    lines = b"".join(b'{"id": "%d", "vector": [1, %d]}\n' % (number % 3, number) for number in range(9))
    report = run("add", url, "s", "-", "--batch-size", size, "--json", stdin=lines).json
    assert (report["read"], report["written"], report["unchanged"], report["repeated"]) == (9, 3, 0, 6)
    people = run("add", url, "s", "-", "--batch-size", size, stdin=lines)
    assert "Note: 6 of 9 had an id that came again: the last one is stored." in people.err
    same = b'{"id": "1", "vector": [1, 7]}\n' * 2
    report = run("add", url, "s", "-", "--batch-size", size, "--json", stdin=same).json
    assert (report["written"], report["unchanged"], report["repeated"]) == (0, 1, 1)


def test_a_record_does_not_replace_a_passage(run: Run, url: str, one: Path, tmp_path: Path) -> None:
    run("add", url, "s", one)
    (tmp_path / "a.jsonl").write_text('{"id": "docs/README.md#1", "text": "Other."}\n{"id": "b", "text": "Mine."}\n')
    answer = run("add", url, "s", tmp_path / "a.jsonl")
    assert answer.code == 2
    assert "'docs/README.md#1' is a passage in store 's' that was read from" in answer.err
    assert str(one) in answer.err
    assert texts(url)["docs/README.md#1"].startswith("README.md of")
