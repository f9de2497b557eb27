"""The example of words runs on files here, and beside Milvus in `tests/postgres/test_milvus.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import words_on_milvus


def test_the_nearest_words_of_cold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words_on_milvus.main([f"file:{tmp_path / 'words'}"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert {line.split()[0] for line in lines} <= {"chilly", "frozen", "icy", "warm", "hot", "winter", "snow"}
