"""The start of the application: a new folder, an old one, wrong settings, and parts that do not answer."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from examples.notes.settings import Settings, SettingsError, read_settings
from tests.sources import ROOT

from .application import make_environment, run_application, start

SYNC = [sys.executable, "-W", "error", "-m", "vecstore", "sync"]


def test_a_new_folder_begins_with_notes_and_an_old_one_goes_on(tmp_path: Path) -> None:
    with run_application(tmp_path, NOTES_WORKER="none") as app:
        assert "60 changes will be searchable in a moment." in app.get("/").text
        done = subprocess.run(
            [*SYNC, "once", "examples.notes.storage:vectors"],
            cwd=tmp_path,
            env=make_environment({}),
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (0, "60 changes worked off, 0 left.\n"), done.stderr
        assert app.search("railway journey")[0] == "The night train to Vienna"
        path = app.add(title="Mine")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        process = start(tmp_path, NOTES_PORT=port)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"notes: port {port} is taken")
    with run_application(tmp_path, NOTES_PORT=port) as app:
        assert app.url.endswith(f":{port}")
        assert app.read_settled().count("61 notes, all of them searchable.") == 1
        assert "Mine" in app.get(path).text


def test_without_the_store_the_notes_are_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"redis://:secret@127.0.0.1:{taken.getsockname()[1]}/0"
        process = start(tmp_path, NOTES_VECTORS_URL=url)
        assert process.stdout is not None
        address = process.stdout.readline().split()[1]
        with httpx.Client(base_url=address, timeout=60) as client:
            assert client.get("/").status_code == 200
            found = client.get("/", params={"q": "kettle"})
            assert found.status_code == 503
            assert "Search by meaning does not work at the moment." in found.text
            assert "The blue <mark>kettle</mark>" in found.text
        process.terminate()
        err = process.communicate(timeout=60)[1]
    assert "there is no search by meaning" in err
    assert "secret" not in err


@pytest.mark.parametrize(
    "variable, value, message",
    [
        ("NOTES_WORKER", "threads", "NOTES_WORKER must be one of thread, none."),
        ("NOTES_PORT", "eighty", "NOTES_PORT must be a number from 1 to 65535."),
        ("NOTES_PORT", "65536", "NOTES_PORT must be a number from 1 to 65535."),
        ("NOTES_PORT", "0", "NOTES_PORT must be a number from 1 to 65535."),
        ("NOTES_PORT", "８０", "NOTES_PORT must be a number from 1 to 65535."),
    ],
)
def test_wrong_settings(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_settings({variable: value})


def test_settings() -> None:
    assert read_settings({"NOTES_PORT": "", "NOTES_WORKER": ""}) == Settings()
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        assert read_settings({"NOTES_DATABASE_URL": f"{scheme}://me@h/d"}).database_url == "postgresql+psycopg://me@h/d"
    assert read_settings({"NOTES_PORT": "8000"}).port == 8000


@pytest.mark.parametrize(
    "environment",
    [
        {"NOTES_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/app"},
        {"NOTES_VECTORS_URL": "nonsense://me:secret@x"},
        pytest.param({"NOTES_WORKER": "threads"}, marks=pytest.mark.long),
        pytest.param({"NOTES_DATABASE_URL": "nonsense"}, marks=pytest.mark.long),
    ],
    ids=str,
)
def test_what_goes_wrong_at_the_start_is_told_in_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    process = start(tmp_path, **environment)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("notes: ")
    assert err.count("\n") == 1, err
    assert "secret" not in err


def test_the_requirements_are_those_of_the_tests() -> None:
    listed = (ROOT / "examples" / "notes" / "requirements.txt").read_text("utf-8").splitlines()
    wanted = [line for line in listed if not line.startswith("#")]
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert len(wanted) == 4
    assert [line for line in wanted if f'"{line}"' not in project] == []
