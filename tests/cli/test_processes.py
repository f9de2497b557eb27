"""The commands as a shell sees them: processes, pipes, signals, terminals, exit codes."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest

import vecstore
from tests.cli.conftest import NO_MODEL, Run, command_line
from vecstore import Record
from vecstore.cli import app, main
from vecstore.cli.exits import INTERRUPTED

COMMANDS = [
    "add", "load", "import", "search", "get", "delete", "count", "digest", "export", "ls", "info", "verify", "reindex",
    "calibrate", "recall", "compact", "backup", "rebuild", "declare", "undeclare", "copy", "move",
    "drop", "plot", "mcp",
]  # fmt: skip


def on_terminal(arguments: Sequence[object], typed: bytes = b"", **environment: str) -> tuple[int, str]:
    """Run a command on a terminal of 80 columns; return its exit code and all that it wrote there."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    inherited = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "NO_COLOR"}}
    child = subprocess.Popen(
        command_line(arguments), stdin=theirs, stdout=theirs, stderr=theirs,
        env={**inherited, "TERM": "xterm-256color", **environment}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(mine, typed)
    shown = b""
    while True:
        try:
            part = os.read(mine, 65_536)
        except OSError:  # what Linux says when the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(mine)
    return child.wait(), shown.decode()


def test_the_way_of_a_newcomer(process: Run, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Install\n\nRun pip install vecstore-db.\n")
    (tmp_path / "docs" / "b.txt").write_text("The weather will be sunny tomorrow.\n")
    added = process("add", "file:./kb", "notes", "docs/")
    assert (added.code, added.err) == (0, "")
    assert added.out.startswith("Wrote 2 records to the new store notes in ")
    searched = process("search", "file:./kb", "notes", "how do I install it?")
    assert searched.code == 0
    assert searched.out.splitlines()[0].split() == ["1", searched.out.split()[1], "docs/a.md#1"]
    assert "\x1b" not in searched.out + searched.err


def test_stdin(process: Run, tmp_path: Path) -> None:
    lines = b'{"id": "a", "vector": [1, 0]}\n{"id": "b", "vector": [0, 1]}\n'
    assert process("add", "file:./kb", "s", "-", "--json", stdin=lines).json["written"] == 2
    assert process("count", "file:./kb", "s").out == "2\n"


def test_help_is_quick_and_loads_no_model_nor_index_library() -> None:
    program = (
        "import sys\nfrom vecstore.cli.app import run\nrun(['--help'])\n"
        "heavy = {'faiss', 'pyarrow', 'torch', 'wordllama', 'sentence_transformers'}\n"
        "print(*heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    answer = run(command, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert f"\n  For example:\n    vecstore {command} file:./kb" in answer.out
    assert ("--json" in answer.out) == (command != "mcp")
    assert command in run("--help").out.split("Commands:")[1]


def test_an_interrupt_among_the_imports_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "vecstore.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "vecstore.cli.app")
    monkeypatch.setattr(sys, "meta_path", [Interrupting, *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert (ended.value.code, capsys.readouterr().err) == (INTERRUPTED, "vecstore: Interrupted.\n")


def test_no_lines_of_grpc_among_ours(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_VERBOSITY", "DEBUG")
    assert (run("--version").code, os.environ["GRPC_VERBOSITY"]) == (0, "DEBUG")
    monkeypatch.delenv("GRPC_VERBOSITY")
    assert (run("--version").code, os.environ["GRPC_VERBOSITY"]) == (0, "ERROR")


def test_help_without_a_command(run: Run) -> None:
    answer = run()
    assert answer.code == 0
    assert "Exit codes: 0 done; 1 " in answer.out
    assert run("--version").out.startswith("vecstore 0.")


@pytest.mark.parametrize(
    "arguments",
    [["serch"], ["--nope"], ["search"], ["search", "file:./kb"], ["count", "file:./kb", "x", "y"],
     ["ls", "file:./kb", "--nope"], ["add", "file:./kb", "x"], ["recall", "file:./kb", "x", "--min-recall", "2"]],
)  # fmt: skip
def test_wrong_usage_is_one_line(run: Run, arguments: list[str]) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.rstrip().endswith("--help")
    machine = run(*arguments, "--json")
    assert (machine.code, machine.error["type"]) == (2, "Usage")


def test_a_reader_that_leaves_ends_the_command_quietly(articles: str) -> None:
    with vecstore.connect(articles) as db:  # more than a pipe takes
        db.open("articles").upsert(Record(str(number), [1, number, 0]) for number in range(10_000))
    for arguments in (["export", articles, "articles"], ["search", articles, "articles", "--like", "a", "-k", "9999"]):
        child = subprocess.Popen(command_line(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(10)
        child.stdout.close()
        assert (child.stderr.read(), child.wait()) == (b"", 141)
        child.stderr.close()


def test_what_the_driver_of_postgresql_logs_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It warns of a lost connection with the text of its own objects; the command's error says what to do."""
    driver = logging.getLogger("psycopg")
    monkeypatch.setattr(driver, "level", driver.level)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(app, "run", lambda arguments: 0)
    with pytest.raises(SystemExit):
        app.main(["ls"])
    assert not driver.isEnabledFor(logging.WARNING)
    assert logging.getLogger("vecstore").isEnabledFor(logging.WARNING)


def test_a_full_disk_is_a_storage_failure(articles: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command_line(["export", articles, "articles"]), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (3, b"vecstore: no space left on device.\n")


def test_closed_output_is_no_crash(articles: str) -> None:
    line = f"{sys.executable} -m vecstore count {articles} articles >&-"
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_interrupt_says_what_is_written_and_the_same_command_goes_on(url: str, tmp_path: Path) -> None:
    command = command_line(["add", url, "s", "-", "--batch-size", "1"])
    # A shell starts what it puts into the background deaf to SIGINT, and its children inherit that.
    child = subprocess.Popen(
        ["env", "--default-signal=INT", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdin is not None
    child.stdin.write(b'{"id": "a", "vector": [1, 0]}\n{"id": "b", "vector": [0, 1]}\n')
    child.stdin.flush()
    for _ in range(600):
        time.sleep(0.05)
        counted = subprocess.run(command_line(["count", url, "s"]), capture_output=True, text=True, check=False)
        if counted.stdout == "2\n":
            break
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    assert (child.returncode, out) == (130, b"")
    assert err == b"2 records were written. Run the same command again to continue.\nvecstore: Interrupted.\n"


def test_a_locked_store_is_a_storage_failure(run: Run, articles: str) -> None:
    import vecstore

    with vecstore.connect(articles) as database, database._backend.builder(database._backend.find(name="articles").uid):
        answer = run("rebuild", f"{articles}?lock_timeout=0.1", "articles", "--metric", "l2", "--json")
    assert (answer.code, answer.error["type"], answer.error["retryable"]) == (3, "StoreLocked", True)


def test_damage_is_a_storage_failure(run: Run, articles: str, tmp_path: Path) -> None:
    (tmp_path / "kb" / "catalog.db").write_bytes(b"not a database at all" * 100)
    answer = run("ls", articles, "--json")
    assert (answer.code, answer.out) == (3, "")
    assert "exit_code" in answer.error


def test_latin_locale(articles: str) -> None:
    lines = '{"id": "ü", "text": "日本", "vector": [1, 1, 0]}\n'.encode()
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "VECSTORE_EMBEDDER": NO_MODEL}
    subprocess.run(command_line(["add", articles, "articles", "-"]), input=lines, check=True, capture_output=True)
    shown = subprocess.run(
        command_line(["get", articles, "articles", "ü"]), env=environment, capture_output=True, check=True
    ).stdout
    assert shown == b"\xfc\n    \\u65e5\\u672c\n"
    machine = subprocess.run(
        command_line(["get", articles, "articles", "ü", "--json"]), env=environment, capture_output=True, check=True
    ).stdout
    assert json.loads(machine.decode())["records"][0]["text"] == "日本"


def test_drop_asks_on_a_terminal(articles: str) -> None:
    code, shown = on_terminal(["drop", articles, "articles"], b"n\n")
    assert (code, "Remove store articles with 3 records? [y/N]" in shown) == (130, True)
    code, shown = on_terminal(["drop", articles, "articles"], b"y\n")
    assert (code, "Removed articles" in shown) == (0, True)


def test_progress_is_shown_on_a_terminal(url: str, tmp_path: Path) -> None:
    with (tmp_path / "x.jsonl").open("w") as file:
        for number in range(3_000):
            file.write(f'{{"id": "{number}", "text": "text number {number}"}}\n')
    code, shown = on_terminal(["add", url, "s", tmp_path / "x.jsonl"])
    assert code == 0
    assert "Adding" in shown
    assert "records" in shown
    assert "/s" in shown
    assert "\x1b[" in shown
    assert "Wrote 3,000 records to the new store s in" in shown
    code, shown = on_terminal(["search", url, "s", "number 17", "-k", "2"])
    assert (code, "\x1b[" in shown) == (0, True)
    code, shown = on_terminal(["search", url, "s", "number 17", "-k", "2"], NO_COLOR="1")
    assert "\x1b[3" not in shown


def test_python_m_and_the_script_are_the_same() -> None:
    script = Path(sys.executable).parent / "vecstore"
    outputs = [
        subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
        for command in ([str(script)], [sys.executable, "-m", "vecstore"])
    ]
    assert outputs[0] == outputs[1]
