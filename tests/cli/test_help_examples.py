"""The examples of every command's help, run word by word in a shell."""

from __future__ import annotations

import gzip
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import Run, write_lines
from tests.cli.places import postgres_server as postgres_server
from tests.cli.places import postgres_url as postgres_url
from tests.cli.test_processes import COMMANDS
from vecstore.cli.app import _COMMANDS
from vecstore.cli.migrations import COMMANDS as MIGRATIONS

NEWS = [
    {"id": "a1", "text": "Solar power at night needs storage.", "lang": "en", "year": 2021},
    {"id": "a2", "text": "Batteries became cheaper.", "lang": "en", "year": 2024},
    {"id": "a3", "text": "Der Strom kommt aus der Steckdose.", "lang": "de", "year": 1999},
]


def list_examples(text: str | None) -> list[str]:
    return re.findall(r"^ +((?:\w+ .* \| )?vecstore .*)$", (text or "").partition("For example:")[2], re.MULTILINE)


EXAMPLES = {command.__name__: list_examples(command.__doc__) for command in _COMMANDS}
ELSEWHERE = ("follow",)
"""Commands that need two servers, and run in `tests/postgres/test_followed.py`."""


def run_line(line: str, directory: Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=directory, input=typed, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path},
    )  # fmt: skip


Here = Callable[[str, Path], tuple[int, str, str]]


@pytest.fixture
def here(run: Run, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Return a function that runs a line in this process, unless it needs a shell.

    Most of a command's time goes into the start of a process. The long tests run the lines of most commands in a shell.
    """

    def run_here(line: str, directory: Path) -> tuple[int, str, str]:
        if any(sign in line for sign in "<>|"):
            done = run_line(line, directory)
            return done.returncode, done.stdout, done.stderr
        name, *arguments = shlex.split(line)
        assert name == "vecstore"
        with monkeypatch.context() as patch:
            patch.chdir(directory)
            answer = run(*arguments)
        return answer.code, answer.out, answer.err

    return run_here


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory as a newcomer has it, with the stores that the examples of `add` make."""
    directory = tmp_path_factory.mktemp("examples")
    (directory / "docs").mkdir()
    (directory / "docs" / "install.md").write_text("# Install\n\nRun the installer.\n")
    write_lines(directory / "news.jsonl", NEWS)
    line = json.dumps({"id": "b1", "body": "Wind power is stored too.", "lang": "en", "year": 2023})
    (directory / "big.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    for line in (*EXAMPLES["add"], *EXAMPLES["add"]):  # twice, as a reader does
        done = run_line(line, directory)
        assert (done.returncode, done.stderr) == (0, ""), (line, done.stderr)
    return directory


def test_every_command_has_examples() -> None:
    assert list(EXAMPLES) == [*COMMANDS, *ELSEWHERE]
    assert all(EXAMPLES.values())


ALONE = [name for name in EXAMPLES if name not in {"add", "import", *ELSEWHERE}]


@pytest.mark.parametrize("command", ALONE)
def test_the_first_example_of_a_command(filled: Path, tmp_path: Path, here: Here, command: str) -> None:
    line, directory = EXAMPLES[command][0], copy_of(filled, tmp_path)
    code, shown, error = here(complete(line), directory)
    assert code == 0, (line, error)
    check_output(line, directory, shown)


@pytest.mark.long
@pytest.mark.parametrize("command", ALONE)
def test_the_examples_of_a_command(filled: Path, tmp_path: Path, command: str) -> None:
    for line in EXAMPLES[command]:
        check_in_shell(line, copy_of(filled, tmp_path))


def check_in_shell(line: str, directory: Path) -> None:
    done = run_line(complete(line), directory)
    assert done.returncode == 0, (line, done.stderr)
    check_output(line, directory, done.stdout)


def complete(line: str) -> str:
    """Answer beforehand what a command asks on a terminal."""
    return f"{line} --yes" if line.startswith("vecstore drop ") else line


def copy_of(filled: Path, tmp_path: Path) -> Path:
    directory = tmp_path / secrets.token_hex(4)
    shutil.copytree(filled, directory)
    return directory


def check_output(line: str, directory: Path, shown: str) -> None:
    assert shown or line.startswith("vecstore mcp ") or "articles.parquet" in os.listdir(directory), line
    if "--no-header" in line:
        assert [json.loads(each)["id"] for each in shown.splitlines()] == ["a1", "a2", "b1"]


def test_the_examples_of_import(postgres_url: str, tmp_path: Path, here: Here) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as link:
        link.execute("CREATE EXTENSION IF NOT EXISTS vector")
        link.execute(
            "CREATE TABLE documents (id int PRIMARY KEY, v vector(2)); INSERT INTO documents VALUES (1, '[1,2]')"
        )
        link.execute(
            "CREATE TABLE notes (langchain_id text, content text, embedding vector(2), langchain_metadata json)"
        )
        link.execute("INSERT INTO notes VALUES ('a', 'A note.', '[1,2]', '{}')")
        for line in EXAMPLES["import"]:
            code, shown, error = here(line.replace("postgresql://localhost/app", f"'{postgres_url}'"), tmp_path)
            assert (code, shown.startswith("Imported 1 record into the new store")) == (0, True), (shown, error)
        link.execute("DROP TABLE documents, notes")


def test_the_example_of_the_first_page(filled: Path, here: Here) -> None:
    text = run_line("vecstore --help", filled).stdout
    lines = re.findall(r"^ +(vecstore (?:add|search) .*)$", text, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        assert run_line(line, filled).returncode == 0, line
    for line in lines:  # again, as a reader does
        assert here(line, filled)[0] == 0, line
    assert "..." not in text.partition("Commands:")[2]


def test_the_examples_of_migrations(postgres_url: str, tmp_path: Path, here: Here) -> None:
    place = f"'{postgres_url}?namespace=t_{secrets.token_hex(8)}'"
    examples = {command.__name__: list_examples(command.__doc__) for command in MIGRATIONS}
    assert all(examples.values())
    for name in sorted(examples, key=["upgrade", "current", "history", "sql", "downgrade"].index):
        for line in examples[name]:
            code, _, error = here(line.replace("postgresql://localhost/app", place), tmp_path)
            assert code == 0, (line, error)
