"""`make demo` does what it promises: real documentation, a real model, good answers, and commands that work."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import vecstore
from tests.lateness import Lateness
from tests.sources import ROOT

DEMO = ROOT / "examples" / "demo.py"


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(DEMO), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def shown(place: Path) -> str:
    with Lateness() as lateness:
        answer = demo(place)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert lateness.undisturbed() < 60
    return answer.stdout


def test_three_questions_are_answered_well(shown: str) -> None:
    answers = {
        question.splitlines()[0].rpartition("  ")[0]: re.findall(r"^  \d\.\d\d  ([\w.]+)", question, re.MULTILINE)
        for question in shown.split("\n? ")[1:]
    }
    assert [len(found) for found in answers.values()] == [3, 3, 3]
    assert answers["run a command and capture its output"][0].startswith("subprocess.")
    assert answers["iterate over all combinations of elements"][0] == "itertools.combinations"
    assert "glob.glob" in answers["which paths match a pattern?"]


def test_one_question_is_filtered(shown: str) -> None:
    assert shown.count("\n  where {") == 1


def test_it_is_fit_for_a_pipe(shown: str) -> None:
    assert "\x1b" not in shown
    assert all(len(line) <= 80 for line in shown.splitlines() if not line.startswith("  vecstore "))


def test_the_store_holds_thousands_of_passages_with_two_fields(shown: str, place: Path) -> None:
    with vecstore.connect(f"file:{place}/demo-kb") as database:
        store = database.open("pydocs")
        assert store.count() > 4_000
        assert set(store.schema.fields) == {"module", "kind"}
        kinds = {kind: store.count({"kind": kind}) for kind in ("module", "class", "method", "function")}
        assert min(kinds.values()) > 100
        assert sum(kinds.values()) == store.count()
        names = ("asyncio.gather", "os.path.join", "str.split", "itertools.groupby", "collections.abc.Mapping")
        assert None not in store.get(names)
        (groupby,) = store.get(["itertools.groupby"])
    assert groupby is not None
    assert groupby.metadata["signature"] == "itertools.groupby(iterable, key=None)"


def test_the_commands_at_its_end_work(shown: str, place: Path) -> None:
    commands = [shlex.split(line) for line in shown.splitlines() if line.startswith("  vecstore ")]
    assert {command[1] for command in commands} == {"search", "info", "verify"}
    for command in commands:
        answer = subprocess.run(
            [sys.executable, "-m", *command], cwd=place, capture_output=True, text=True, check=False
        )
        assert (answer.returncode, answer.stdout != "") == (0, True), answer.stderr


def test_it_runs_again_and_elsewhere(place: Path, shown: str) -> None:
    (place / "other").mkdir()
    again = demo(place / "other", "../demo-kb")
    assert (again.returncode, again.stderr) == (0, "")
    with vecstore.connect(f"file:{place}/demo-kb") as database:
        assert database.names() == ["pydocs"]


def test_what_goes_wrong_is_told_in_one_line(place: Path) -> None:
    (place / "file").write_text("not a directory")
    answer = demo(place, "file")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.count("\n") == 1
