"""One server of each kind for all tests of a run. The first test that needs it starts it.

A module such as ``tests.postgres.server`` has a context manager ``run_server(folder)``, which runs a server in a folder
and yields its URL. A separate process, `tests.server_owner`, enters the context and leaves it when the run ends, even
if the run is killed.
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


def get_shared_url(module: str) -> str:
    """Return the URL of the server that a module runs for all tests of this run.

    Raises
    ------
    NoServer
    """
    # The workers of pytest-xdist are children of the process that ends with the run.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    anchor = os.getppid() if run else os.getpid()
    kind = module.split(".")[-2]
    folder = Path(tempfile.gettempdir()) / f"vecstore-{kind}-{run or secrets.token_hex(8)}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with open(folder / "answer.json", "a+", encoding="utf-8", opener=_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        line = file.read()
        if not line:
            line = _start_owner(module, folder, anchor)
            file.write(line)
    answer = json.loads(line)
    if "url" not in answer:
        raise NoServer(answer["reason"])
    return str(answer["url"])


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # the file contains a password


def _start_owner(module: str, folder: Path, anchor: int) -> str:
    """Start the owner of the server, and return its line of JSON with the URL or a reason."""
    with (folder / "owner.log").open("w", encoding="utf-8") as log:
        owner = subprocess.Popen(
            [sys.executable, "-m", "tests.server_owner", module, str(anchor), str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C goes to the run, whose end the owner notices
        )
    assert owner.stdout
    with owner.stdout as answers:
        line = answers.readline()
    if line:
        # It outlives this process, so nobody waits for it: without a code, Python would warn of that.
        owner.returncode = 0
        return line
    owner.wait()
    reason = f"The process that owns the server of {module} has ended."
    with suppress(FileNotFoundError):
        reason += "\n" + (folder / "owner.log").read_text(encoding="utf-8")[-4_000:]
    return json.dumps({"reason": reason})
