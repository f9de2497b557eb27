"""Commands run in this process, which is quick, or in one of their own, which is real."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from vecstore.cli import app

NO_MODEL = "there-is-no-such-model"
"""Given as VECSTORE_EMBEDDER, it fails every command that loads a model without need."""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def error(self) -> Any:
        (line,) = self.err.splitlines()
        return json.loads(line)["error"]


class Run(Protocol):
    def __call__(self, *arguments: object, stdin: bytes = b"") -> Answer: ...


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process."""
    monkeypatch.setenv("COLUMNS", "80")

    def command(*arguments: object, stdin: bytes = b"") -> Answer:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        code = app.run([str(argument) for argument in arguments])
        sys.stdout.flush()
        shown = capfdbinary.readouterr()
        return Answer(code, shown.out.decode(), shown.err.decode(errors="surrogateescape"))

    return command


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """Run a command in a process of its own."""

    def command(*arguments: object, stdin: bytes = b"") -> Answer:
        done = subprocess.run(command_line(arguments), input=stdin, capture_output=True, cwd=tmp_path, check=False)
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    return command


def command_line(arguments: Sequence[object]) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "vecstore", *map(str, arguments)]


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail every command that loads a model."""
    monkeypatch.setenv("VECSTORE_EMBEDDER", NO_MODEL)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file:{tmp_path}/kb"


ARTICLES: list[dict[str, Any]] = [
    {"id": "a", "text": "solar panels", "vector": [1, 0, 0], "lang": "en", "year": 2020, "extra": {"deep": [1, None]}},
    {"id": "b", "text": "wind turbines", "vector": [0, 1, 0], "lang": "en", "year": 2021, "tags": ["x", "y"]},
    {"id": "c", "text": "Sonnenkollektor", "vector": [0.9, 0.1, 0], "lang": "de", "at": "2024-02-03T04:05:06+00:00"},
]
FIELDS = ("--field", "lang:keyword", "--field", "year:int", "--field", "tags:keywords", "--field", "at:datetime")


@pytest.fixture(scope="session")
def articles_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a store with vectors, without a model, once."""
    folder = tmp_path_factory.mktemp("articles")
    path = write_lines(folder / "articles.jsonl", ARTICLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VECSTORE_EMBEDDER", NO_MODEL)
        assert app.run(["add", f"file:{folder}/kb", "articles", str(path), *FIELDS, "--json"]) == 0
    return folder / "kb"


@pytest.fixture
def articles(articles_directory: Path, tmp_path: Path, url: str, no_model: None) -> str:
    """Return the URL of a database with a store ``articles``, the test's own."""
    shutil.copytree(articles_directory, tmp_path / "kb")
    return url


def write_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path
