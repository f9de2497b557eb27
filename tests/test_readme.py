"""The README is true: its code runs, its commands work, its table is what the code says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.capability_table import README, with_table
from tests.redis import conftest

# The fixtures of Redis' room, for the commands that name a server.
admin, namespace = conftest.admin, conftest.namespace
redis_server, redis_url = conftest.redis_server, conftest.redis_url

_REDIS = "redis://:change-me@127.0.0.1:6379/0"
_TEXT = README.read_text("utf-8")


OTHERS = (
    "Water for green tea should not boil.",
    "The train to the coast leaves at nine.",
    "Tomatoes want sun and little wind.",
    "A bicycle chain is oiled every month.",
    "The museum is closed on Mondays.",
    "Bread rises faster in a warm kitchen.",
    "Our cat sleeps on the piano.",
    "The lake freezes in January.",
    "Paint the fence before it rains.",
    "Violins are tuned in fifths.",
    "Swallows return in April.",
)
"""Notes about other things: `vecstore eval` asks for a dozen records."""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _TEXT, re.DOTALL | re.MULTILINE)


def test_the_table_of_backends_is_the_code_s() -> None:
    assert with_table(_TEXT) == _TEXT, "run: python -m tests.capability_table"
    assert "| `file:` |" in _TEXT


def test_the_python_code_runs(tmp_path: Path) -> None:
    blocks = _blocks("python")
    assert len(blocks) == 4
    for block in (blocks[0], *blocks):  # the first one again, as a reader does
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_the_commands_work_in_the_order_of_the_text(tmp_path: Path, redis_url: str) -> None:
    notes = tmp_path / "my-notes"
    notes.mkdir()
    (notes / "account.md").write_text("# Account\n\nTo reset a forgotten password, open the settings.\n", "utf-8")
    for number, line in enumerate(OTHERS):
        (notes / f"note-{number}.txt").write_text(f"{line}\n", "utf-8")
    lines = [line for block in _blocks("console") for line in block.splitlines() if line.startswith("vecstore ")]
    assert len([line for line in lines if _REDIS in line]) == 1
    commands = [line.replace(_REDIS, f"'{redis_url}'") for line in lines]
    assert len(commands) >= 6
    for command in commands:
        done = _run(command, tmp_path)
        assert done.returncode == 0, (command, done.stderr)
        if " search " in command:
            found = done.stdout.index("forgotten password")
            assert [line for line in OTHERS if 0 <= done.stdout.find(line) < found] == []


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words, _, target = command.partition(" > ")
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [str(scripts / "vecstore"), *shlex.split(words)[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    if target:
        (folder / target).write_text(done.stdout, "utf-8")
    return done


def test_every_file_the_readme_names_exists() -> None:
    names = re.findall(r"`((?:tests|docs|vecstore)/[\w/.]+)`|\]\(([\w/.]+)\)", _TEXT)
    assert names
    for quoted, linked in names:
        assert (README.parent / (quoted or linked)).exists(), quoted or linked
