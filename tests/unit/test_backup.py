from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vecstore import Database, InvalidArgument, Unsupported
from vecstore.backends.memory import MemoryBackend


@pytest.fixture
def db() -> Database:
    return Database(MemoryBackend())


@pytest.mark.parametrize("target", ["", None, 3, b"bytes", "a\0b", ["x"]])
def test_a_backup_needs_a_path(db: Database, target: Any) -> None:
    with pytest.raises(InvalidArgument, match="target"):
        db.backup(target)


def test_a_backup_overwrites_nothing(db: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to("nowhere")
    for target in (tmp_path, tmp_path / "file", tmp_path / "link"):
        with pytest.raises(InvalidArgument, match="another path"):
            db.backup(target)
    assert (tmp_path / "file").read_text() == "kept"


def test_memory_has_no_backup(db: Database, tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "new"):
        with pytest.raises(Unsupported, match="memory does not support backup"):
            db.backup(target)
    assert list(tmp_path.iterdir()) == []


def test_backup_hands_the_path_on(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(MemoryBackend, "backup", lambda _, target: given.append(target))
    db.backup(tmp_path / "new")
    assert given == [str(tmp_path / "new")]
