"""`vecstore add` of a directory with parts that it cannot or should not read."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.test_documents import docs as docs
from tests.cli.test_documents import ids, skipped


def test_passages_stay_where_a_directory_cannot_be_read(
    run: Run, url: str, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rights to a directory are gone: lstat of its files fails too, which does not mean that they are gone."""
    (docs / "more.md").write_text("More.")
    assert run("add", url, "notes", docs, "--json").json["written"] == 4
    closed, real = docs / "sub", {name: getattr(os, name) for name in ("lstat", "scandir")}

    def make_denied(name: str) -> Any:
        def call(path: Any, *args: Any, **options: Any) -> Any:
            inside = Path(os.fsdecode(path)).is_relative_to(closed) if isinstance(path, str | bytes | Path) else False
            if inside and (name == "scandir" or Path(os.fsdecode(path)) != closed):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return real[name](path, *args, **options)

        return call

    with monkeypatch.context() as patch:
        for name in real:
            patch.setattr(os, name, make_denied(name))
        for options in ((), ("--yes",)):
            report = run("add", url, "notes", docs, "--json", *options).json
            assert (report["removed"], report["unchanged"]) == (0, 3)
    assert "docs/sub/notes.txt#1" in ids(url)
    (docs / "sub" / "notes.txt").unlink()
    assert run("add", url, "notes", docs, "--json").json["removed"] == 1


def test_a_database_among_the_documents_is_one_line(run: Run, docs: Path) -> None:
    url = f"file:{docs}/kb"
    (docs / "pg" / "data").mkdir(parents=True)
    (docs / "pg" / "data" / "PG_VERSION").write_text("18")
    (docs / "pg" / "data" / "notes.txt").write_text("Tea")
    for _ in range(2):
        report = run("add", url, "notes", docs, "--json").json
        assert {key for key in skipped(report) if "kb" in key} <= {"docs/kb/"}
        assert skipped(report)["docs/pg/data/"] == "a database"
    assert skipped(report) == {"docs/kb/": "a database", "docs/pg/data/": "a database"}
    assert ids(url) == ["docs/guide.md#1", "docs/guide.md#2", "docs/sub/notes.txt#1"]
