"""A directory that another process makes a database at the same moment."""

from __future__ import annotations

from pathlib import Path

import pytest

import vecstore
from vecstore import Schema
from vecstore.backends.file.storage.layout import DirectoryLayout


@pytest.mark.parametrize("has_mark", [False, True])
@pytest.mark.parametrize("has_store", [False, True])
def test_a_directory_that_becomes_a_database_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_store: bool, has_mark: bool
) -> None:
    """A mark says how many commits there were; the catalogue is there before its first one."""
    check = DirectoryLayout.check_unused

    def look_late(layout: DirectoryLayout) -> None:
        monkeypatch.setattr(DirectoryLayout, "check_unused", check)
        with vecstore.connect(f"file:{tmp_path}") as other:
            other.create("docs", Schema(dim=2))
            if not has_store:
                other.drop("docs")
        if not has_mark:
            layout.catalog_lock.write_bytes(b"")
        check(layout)

    monkeypatch.setattr(DirectoryLayout, "check_unused", look_late)
    with vecstore.connect(f"file:{tmp_path}") as database:
        assert database.names() == (["docs"] if has_store else [])
