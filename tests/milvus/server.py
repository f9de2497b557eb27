"""The Milvus server that all tests of a run share: the first of these that is available.

1. ``VECSTORE_TEST_MILVUS``: the ``host:port`` of a server;
2. Docker, through testcontainers;
3. the program in the wheel ``milvus``, in a network namespace.

The last two are run by `tests.server_owner`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers.milvus.own_server import OwnServer
from tests import shared_server
from tests.docker_engine import docker_answers

IMAGE = "milvusdb/milvus:v3.0.1"
VARIABLE = "VECSTORE_TEST_MILVUS"


def get_shared_url() -> str:
    """Return the URL of the shared server, which the first caller starts.

    Raises
    ------
    NoServer
    """
    given = os.environ.get(VARIABLE)
    return f"milvus://{given}" if given else shared_server.get_shared_url(__name__)


@contextmanager
def run_server(folder: Path) -> Iterator[str]:
    """Run the first available kind of server, in a folder for it alone, and yield its URL.

    Raises
    ------
    NoServer
    """
    with ExitStack() as stack:
        if docker_answers() and (url := _run_container(stack)):
            yield url
            return
        yield stack.enter_context(OwnServer(folder / "milvus")).url


def _run_container(stack: ExitStack) -> str | None:
    """Run a container until the stack ends, and return the server's URL, or None if the image is not available."""
    docker = importlib.import_module("docker")
    kind = importlib.import_module("testcontainers.community.milvus").MilvusContainer
    try:
        running = stack.enter_context(kind(IMAGE))
        return f"milvus://{running.get_container_host_ip()}:{running.get_exposed_port(running.port)}"
    except (docker.errors.DockerException, OSError):
        return None
