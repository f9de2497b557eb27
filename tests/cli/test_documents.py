"""`vecstore add` with directories: what is read, what is skipped and why, and what a second run changes."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import vecstore
from tests.cli.conftest import Run
from vecstore.cli import documents, encodings
from vecstore.cli.formats import content
from vecstore.embedders import WordLlamaEmbedder


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "guide.md").write_text("# Guide\n\nHow to install it.\n\n## Use\n\nCall it.\n")
    (folder / "sub" / "notes.txt").write_text("The cat sat on the mat.\n")
    return folder


def ids(url: str, name: str = "notes") -> list[str]:
    with vecstore.connect(url) as database:
        return [record.id for record in database.open(name).scan()]


def skipped(report: Any) -> dict[str, str]:
    return {entry["place"]: entry["reason"] for entry in report["first_skipped"]}


def test_a_directory_becomes_passages_that_are_found(run: Run, url: str, docs: Path) -> None:
    report = run("add", url, "notes", docs, "--json").json
    assert (report["created"], report["written"], report["skipped"]) == (True, 3, 0)
    assert ids(url) == ["docs/guide.md#1", "docs/guide.md#2", "docs/sub/notes.txt#1"]
    (hit,) = run("search", url, "notes", "animals", "-k", "1", "--json").json["hits"]
    assert hit["id"] == "docs/sub/notes.txt#1"
    root = str(docs.resolve())
    assert hit["metadata"] == {"folder": "docs", "source": "docs/sub/notes.txt", "root": root, "line": 1}
    where = '{"source": "docs/guide.md", "line": {"$gt": 1}}'
    (hit,) = run("search", url, "notes", "animals", "--where", where, "--json").json["hits"]
    assert (hit["id"], hit["metadata"]["heading"]) == ("docs/guide.md#2", "Guide > Use")


def test_adding_again_writes_nothing(run: Run, url: str, docs: Path) -> None:
    run("add", url, "notes", docs)
    report = run("add", url, "notes", f"{docs}/", "--json").json
    assert (report["created"], report["written"], report["unchanged"], report["removed"]) == (False, 0, 3, 0)


def test_adding_again_follows_changes(run: Run, url: str, docs: Path) -> None:
    run("add", url, "notes", docs)
    (docs / "guide.md").write_text("# Guide\n\nAnother text.\n")
    (docs / "new.md").write_text("new")
    report = run("add", url, "notes", docs, "--json").json
    assert (report["written"], report["unchanged"], report["removed"]) == (2, 1, 1)
    assert ids(url) == ["docs/guide.md#1", "docs/new.md#1", "docs/sub/notes.txt#1"]
    with vecstore.connect(url) as database:
        (record,) = database.open("notes").get(["docs/guide.md#1"])
    assert record is not None
    assert record.text == "# Guide\n\nAnother text."


def test_passages_of_a_file_that_is_gone_are_removed(run: Run, url: str, docs: Path) -> None:
    (docs / "third.md").write_text("third")
    run("add", url, "notes", docs)
    (docs / "third.md").unlink()
    assert run("add", url, "notes", docs, "--json").json["removed"] == 1
    assert "docs/third.md#1" not in ids(url)


def test_an_emptied_file_loses_its_passages(run: Run, url: str, docs: Path) -> None:
    run("add", url, "notes", docs)
    (docs / "guide.md").write_text("")
    assert run("add", url, "notes", docs, "--json").json["removed"] == 2


def test_files_that_are_mostly_gone_are_removed_only_when_that_is_certain(run: Run, url: str, docs: Path) -> None:
    run("add", url, "notes", docs)
    for name in ("guide.md", "sub/notes.txt"):
        (docs / name).unlink()
    (docs / "new.md").write_text("new")
    report = run("add", url, "notes", docs, "--json").json
    assert (report["written"], report["removed"]) == (1, 0)
    assert "--yes" in report["notes"][0]
    assert run("add", url, "notes", docs, "--yes", "--json").json["removed"] == 3
    assert ids(url) == ["docs/new.md#1"]


def test_files_that_a_pattern_leaves_out_keep_their_passages(run: Run, url: str, docs: Path) -> None:
    run("add", url, "notes", docs)
    report = run("add", url, "notes", docs, "--glob", "*.txt", "--json").json
    assert (report["removed"], skipped(report)) == (0, {"docs/guide.md": "not chosen by --glob"})


def test_one_file_has_the_ids_that_its_directory_gives_it(run: Run, url: str, docs: Path) -> None:
    run("add", url, "notes", docs)
    (docs / "guide.md").write_text("# Guide\n\nShorter.\n")
    report = run("add", url, "notes", docs / "guide.md", "--json").json
    assert (report["written"], report["removed"]) == (1, 1)
    assert ids(url) == ["docs/guide.md#1", "docs/sub/notes.txt#1"]


def test_what_is_skipped_is_said(run: Run, url: str, docs: Path) -> None:
    (docs / "binary.txt").write_bytes(b"a\0b")
    (docs / "late.txt").write_bytes(b"a" * 10_000 + b"\0")
    (docs / "latin.md").write_bytes(b"one\nGr\xfc\xdfe\n")
    (docs / "empty.md").write_text(" \n")
    (docs / "photo.png").write_bytes(b"x")
    (docs / "LICENSE").write_text("x")
    (docs / ".hidden.md").write_text("x")
    (docs / ".git").mkdir()
    (docs / "link.md").symlink_to("/etc/hostname")
    (docs / "around").symlink_to(docs)
    os.mkfifo(docs / "pipe.md")
    answer = run("add", url, "notes", docs, "--json")
    assert answer.code == 0
    assert skipped(answer.json) == {
        "docs/binary.txt": "binary", "docs/late.txt": "binary", "docs/empty.md": "empty",
        "docs/latin.md": f"line 2 is {encodings.describe_misfit('utf-8')}",
        "docs/photo.png": "not a document that is read", "docs/LICENSE": "not a document that is read",
        "docs/.hidden.md": "hidden", "docs/.git/": "hidden", "docs/link.md": "a symbolic link",
        "docs/around/": "a symbolic link", "docs/pipe.md": "not a regular file",
    }  # fmt: skip
    people = run("add", url, "notes", docs)
    assert "Skipped 11:" in people.err
    assert "  binary: docs/binary.txt, docs/late.txt\n" in people.err
    assert "11 skipped" in people.out


def test_a_file_that_cannot_be_read_is_skipped_and_keeps_its_passages(
    run: Run, url: str, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("add", url, "notes", docs)
    read = content.read_bytes

    def refuse(path: Path, limit: int) -> bytes:
        if path.name == "guide.md":  # by its mode root could read it
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path, limit)

    monkeypatch.setattr(documents, "read_bytes", refuse)
    report = run("add", url, "notes", docs, "--json").json
    assert (skipped(report), report["removed"]) == ({"docs/guide.md": "unreadable: Permission denied"}, 0)


HOSTILE = [
    "new\nline.md", "esc\x1b[31mred.md", "-rf.md", "quote'\"`;.md", "[bold]markup[b].md", "%s{}.md", "a#1.md",
    "ünï😀.md", "\u202egnp.md", " space .md", "'; DROP TABLE rows; --.md", "$(touch pwned).md", "a\\b.md",
]  # fmt: skip


def test_hostile_file_names_are_only_names(run: Run, url: str, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in HOSTILE:
        (folder / name).write_text(f"The file is called {len(name)} letters.")
    answer = run("add", url, "notes", folder)
    assert (answer.code, answer.err) == (0, "")
    assert ids(url) == sorted(f"odd/{name}#1" for name in HOSTILE)
    shown = run("search", url, "notes", "letters", "-k", "100")
    assert shown.code == 0
    assert {char for char in shown.out if not char.isprintable()} <= {"\n"}
    assert "[bold]markup[b].md#1" in shown.out
    assert run("get", url, "notes", "--json", "--", *ids(url)).json["absent"] == []
    assert run("add", url, "notes", folder, "--json").json["unchanged"] == len(HOSTILE)


def test_a_name_that_is_not_utf8_is_skipped(run: Run, url: str, docs: Path) -> None:
    Path(os.fsdecode(os.fsencode(docs) + b"/bad\xff.md")).write_text("x")
    answer = run("add", url, "notes", docs)
    assert answer.code == 0
    assert "its name is not UTF-8: docs/bad\\udcff.md" in answer.err
    report = run("add", url, "notes", docs, "--json").json
    assert skipped(report) == {"docs/bad\udcff.md": "its name is not UTF-8"}


def test_a_path_too_long_for_an_id_is_skipped(run: Run, url: str, docs: Path) -> None:
    folder = docs / ("x" * 250) / ("y" * 250)
    folder.mkdir(parents=True)
    (folder / "z.md").write_text("x")
    report = run("add", url, "notes", docs, "--json").json
    assert list(skipped(report).values()) == ["its path is longer than 500 bytes"]


def test_a_passage_that_the_model_knows_nothing_of_is_skipped(run: Run, url: str, docs: Path) -> None:
    (docs / "blank.md").write_text("\u200b\n")
    report = run("add", url, "notes", docs, "--json").json
    assert report["written"] + report["skipped"] == 4


def test_an_empty_directory_makes_no_store(run: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    answer = run("add", url, "notes", tmp_path / "nothing")
    assert (answer.code, answer.err) == (2, "vecstore: There was nothing to add, so store 'notes' was not created.\n")


@pytest.mark.parametrize("size", ["99", "100001", "many"])
def test_passage_sizes_out_of_range_are_refused(run: Run, url: str, docs: Path, size: str) -> None:
    assert run("add", url, "notes", docs, "--passage-size", size).code == 2


def test_documents_go_into_a_store_with_other_fields(run: Run, url: str, docs: Path) -> None:
    with vecstore.connect(url) as database:
        database.create("notes", vecstore.Schema(dim=256))
    answer = run("add", url, "notes", docs, "--embedder", "wordllama", "--json")
    assert answer.json["written"] == 3
    (docs / "guide.md").unlink()
    (docs / "sub" / "more.md").write_text("more")
    assert run("add", url, "notes", docs, "--embedder", "wordllama", "--json").json["removed"] == 2


FRONT_MATTER = "---\ntitle: Tea\ntags: [hot, drinks]\ndate: 2024-05-01\nlayout: post\n---\n# How\n\nBoil water.\n"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_front_matter_becomes_metadata(run: Run, url: str, docs: Path, line_end: str) -> None:
    (docs / "tea.md").write_bytes(FRONT_MATTER.replace("\n", line_end).encode())
    report = run("add", url, "notes", docs, "--json").json
    assert report["notes"] == ["docs: keys of front matter that are not stored: layout (1 file)."]
    with vecstore.connect(url) as database:
        (record,) = database.open("notes").get(["docs/tea.md#1"])
    assert record is not None
    assert record.text == "# How\n\nBoil water."
    wanted = {"title": "Tea", "tags": ["hot", "drinks"], "date": datetime(2024, 5, 1, tzinfo=UTC), "line": 7}
    assert {key: record.metadata[key] for key in wanted} == wanted


def test_front_matter_in_a_store_that_declares_no_fields(run: Run, url: str, docs: Path) -> None:
    with vecstore.connect(url) as database:
        database.create("notes", vecstore.Schema(), embedder=WordLlamaEmbedder())
    (docs / "tea.md").write_text(FRONT_MATTER)
    run("add", url, "notes", docs, "--embedder", "wordllama")
    with vecstore.connect(url) as database:
        (record,) = database.open("notes").get(["docs/tea.md#1"])
    assert record is not None
    assert (record.metadata["date"], record.metadata["title"]) == ("2024-05-01", "Tea")


def test_odd_values_of_front_matter(run: Run, url: str, tmp_path: Path) -> None:
    text = '---\ntitle: "Te\\0a \\ud800"\ntags: [hot, null, "~", "dri\\0nk"]\nlast update: today\n---\nBoil water.\n'
    (tmp_path / "a.md").write_text(text)
    (tmp_path / "b.md").write_text("---\ntitle: null\ntags: ~\n---\nBoil water.\n")
    assert run("add", url, "notes", tmp_path / "a.md", tmp_path / "b.md").code == 0
    with vecstore.connect(url) as database:
        first, second = database.open("notes").scan()
    assert (first.metadata["title"], first.metadata["tags"]) == ("Tea \ufffd", ["hot", "drink"])
    assert not {"title", "tags"} & set(second.metadata)


@pytest.mark.parametrize(
    "name,text",
    [
        ("minutes.md", "---\n\n# March\n\nThe blue door.\n\n---\n\n# April\n\nThe red door.\n"),
        ("minutes.txt", FRONT_MATTER),
        ("minutes.rst", FRONT_MATTER),
        ("twice.md", "---\nnote: The blue door.\nnote: The red door.\n---\nText.\n"),
        ("prose.md", "---\nThis sentence has: a colon.\n---\nText.\n"),
    ],
)
def test_text_that_is_no_front_matter_is_kept(run: Run, url: str, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / name).write_text(text)
    run("add", url, "notes", tmp_path / "n")
    with vecstore.connect(url) as database:
        stored = "".join(record.text or "" for record in database.open("notes").scan())
    assert "".join(stored.split()) == "".join(text.split())
