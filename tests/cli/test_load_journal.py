"""The journal of `vecstore load`: what it refuses, and what it goes on with."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.conftest import Run, write_lines
from tests.cli.test_load import files as files
from tests.cli.test_load import list_names, make_rows
from vecstore.cli import load_journal

pytestmark = pytest.mark.usefixtures("no_model")

# The last ones have a last line without an end, as that of a journal after a kill.
OTHER_FILES = [
    "no json\n", '{"vecstore load": 2}\n', "[]\n", '{"vecstore load": 1}\n', "\xff\n",
    "a\nb", "words", '{"vecstore load": 1}\ncut o', '{"vecstore\nload',
]  # fmt: skip


@pytest.mark.parametrize("text", ["", *OTHER_FILES])
def test_what_is_no_journal(run: Run, tmp_path: Path, files: list[Path], text: str) -> None:
    journal = tmp_path / "load.journal"
    journal.write_bytes(text.encode("latin-1"))
    answer = run("load", f"file:{tmp_path}/kb", "docs", files[0], "--workers", 1, "--journal", journal)
    if text:
        assert answer.code == 2
        assert "is no journal" in answer.err
        assert journal.read_bytes() == text.encode("latin-1")
    else:
        assert answer.code == 0


def test_a_journal_of_an_earlier_version_goes_on(run: Run, tmp_path: Path, files: list[Path]) -> None:
    url, journal = f"file:{tmp_path}/kb", tmp_path / "load.journal"
    write_lines(wrong := tmp_path / "e.jsonl", [{"id": "x", "vector": [1.0]}])
    arguments = ["load", url, "docs", files[0], wrong, "--journal", journal, "--workers", 1]
    assert run(*arguments).code == 2
    begun, *rest = journal.read_text().splitlines(keepends=True)
    fields = json.loads(begun)
    assert fields.pop("files") == [str(files[0]), str(wrong)]
    journal.write_text("".join([json.dumps(fields) + "\n", *rest]))
    write_lines(wrong, make_rows(200))
    assert run(*arguments).code == 0


def test_a_journal_of_something_else(run: Run, tmp_path: Path, files: list[Path]) -> None:
    url, journal = f"file:{tmp_path}/kb", tmp_path / "load.journal"
    write_lines(wrong := tmp_path / "e.jsonl", [{"id": "x", "vector": [1.0]}])

    def load(*arguments: object) -> str:
        answer = run("load", url, "docs", *arguments, "--journal", journal, "--workers", 1)
        assert answer.code == 2
        return answer.err

    assert "e.jsonl" in load(files[0], wrong)
    assert "dim" in load(files[0], wrong)
    assert "begun with" in load(files[0])
    told = load(files[0], wrong, "--metric", "l2")
    assert "metric is cosine, not l2" in told
    assert "same options" in told
    assert "index is HNSW" in load(files[0], wrong, "--index", "flat")
    nowhere = run("load", url, "docs", files[0], "--journal", tmp_path / "no" / "journal")
    assert (nowhere.code, "There is no directory" in nowhere.err) == (2, True)
    folder = run("load", url, "docs", files[0], "--journal", tmp_path)
    assert (folder.code, "is a directory. Give the name of a file" in folder.err) == (2, True)
    write_lines(wrong, make_rows(200))
    assert run("load", url, "docs", files[0], wrong, files[1], "--journal", journal, "--workers", 1).code == 0
    assert not journal.exists()


def test_the_same_files_by_other_paths(
    run: Run, tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another directory, and through a link: what is in is not loaded again, and nothing is missed."""
    url, journal = f"file:{tmp_path}/kb", tmp_path / "load.journal"
    write_lines(wrong := tmp_path / "e.jsonl", [{"id": "x", "vector": [1.0]}])
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "link").symlink_to(tmp_path)
    options = ["--journal", journal, "--workers", 1, "--json"]
    monkeypatch.chdir(tmp_path)
    assert run("load", url, "docs", "a.jsonl", "elsewhere/link/b.json", "e.jsonl", *options).code == 2
    assert journal.read_text().count('"file"') == 2
    write_lines(wrong, make_rows(200))
    monkeypatch.chdir(elsewhere)
    others = ["link/a.jsonl", "../elsewhere/../b.json", "./link/e.jsonl"]
    refused = run("load", "file:kb", "docs", *others, *options).error
    assert "There is nothing of the journal's load" in refused["message"]
    assert run("load", url, "docs", *others, *options).json["records"] == 120


def test_a_journal_with_links_in_its_paths_goes_on(run: Run, tmp_path: Path, files: list[Path]) -> None:
    """As earlier versions wrote it."""
    url, journal = f"file:{tmp_path}/kb", tmp_path / "load.journal"
    write_lines(wrong := tmp_path / "e.jsonl", [{"id": "x", "vector": [1.0]}])
    (link := tmp_path / "link").symlink_to(tmp_path)
    given = [link / "a.jsonl", link / "e.jsonl"]
    options = ["--journal", journal, "--workers", 1, "--json"]
    assert run("load", url, "docs", *given, *options).code == 2
    journal.write_text(journal.read_text().replace(str(tmp_path), str(link)))
    assert str(given[0]) in journal.read_text()
    write_lines(wrong, make_rows(200))
    assert run("load", url, "docs", *given, *options).json["records"] == 80


def test_files_whose_paths_only_look_the_same(run: Run, tmp_path: Path, files: list[Path]) -> None:
    """Two dots behind a link lead out of the directory that it leads to."""
    url, journal = f"file:{tmp_path}/kb", tmp_path / "load.journal"
    (deep := tmp_path / "other" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(deep)
    write_lines(tmp_path / "other" / "a.jsonl", [{"id": "x", "vector": [1.0]}])
    given = [files[0], f"{tmp_path}/link/../a.jsonl"]
    options = ["--journal", journal, "--workers", 1, "--json"]
    assert run("load", url, "docs", *given, *options).code == 2
    write_lines(tmp_path / "other" / "a.jsonl", make_rows(200))
    assert run("load", url, "docs", *given, *options).json["records"] == 80


def test_a_journal_that_cannot_be_written(
    run: Run, tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: the file that it could not note is loaded again."""
    url, journal, calls = f"file:{tmp_path}/kb", tmp_path / "load.journal", list[int]()
    arguments = ["load", url, "docs", *files[:2], "--journal", journal, "--workers", 1, "--json"]

    def refuse_the_second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(load_journal, "os", SimpleNamespace(**vars(os) | {"fsync": refuse_the_second}))
    answer = run(*arguments)
    assert answer.code == 3
    assert f"The journal {journal} could not be written: no space left on device. " in answer.error["message"]
    assert list_names(url) == []
    assert run(*arguments).json["records"] == 80
    assert len(calls) == 3


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_journal_that_may_not_be_written(run: Run, tmp_path: Path, files: list[Path]) -> None:
    (folder := tmp_path / "folder").mkdir(0o500)
    answer = run("load", f"file:{tmp_path}/kb", "docs", files[0], "--journal", folder / "j")
    assert (answer.code, "cannot be written: permission denied" in answer.err) == (2, True)
