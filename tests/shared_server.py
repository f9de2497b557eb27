"""One server of a kind for all tests of a run, started by whoever asks first.

A room of servers, such as ``tests.postgres.server``, is a module with a context manager ``serving(folder)`` that runs
its server in a folder and gives the URL. A process of its own, the keeper, enters it, and leaves it when the run has
ended, killed or not.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from servers import NoServer
from tests.sources import ROOT


def shared_url(room: str) -> str:
    """Return the URL of the run's server of a room, which is a module's name.

    Raises
    ------
    NoServer
    """
    # pytest-xdist's workers are children of the process whose end is the end of the run.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    anchor = os.getppid() if run else os.getpid()
    kind = room.split(".")[-2]
    folder = Path(tempfile.gettempdir()) / f"vecstore-{kind}-{run or secrets.token_hex(8)}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with open(folder / "answer.json", "a+", encoding="utf-8", opener=_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        line = file.read()
        if not line:
            line = _keeper(room, folder, anchor)
            file.write(line)
    answer = json.loads(line)
    if "url" not in answer:
        raise NoServer(answer["reason"])
    return str(answer["url"])


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # a password is in there


_keepers: list[subprocess.Popen[str]] = []


def _keeper(room: str, folder: Path, anchor: int) -> str:
    """Start the keeper; return what it says about the server, one line of JSON."""
    with (folder / "keeper.log").open("w", encoding="utf-8") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.server_owner", room, str(anchor), str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the run; the keeper sees it end
        )
    _keepers.append(keeper)
    assert keeper.stdout
    with keeper.stdout as answers:
        line = answers.readline()
    if line:
        return line
    reason = f"The keeper of the server of {room} has ended."
    with suppress(FileNotFoundError):
        reason += "\n" + (folder / "keeper.log").read_text(encoding="utf-8")[-4_000:]
    return json.dumps({"reason": reason})
