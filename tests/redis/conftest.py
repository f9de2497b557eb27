"""A namespace for each test on the shared server, and servers for single tests."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from servers import NoServer
from servers.redis.own_server import OwnServer
from servers.redis.programs import INSTALL

from .places import add_parameters, wipe
from .server import SETTINGS, get_shared_url


@pytest.fixture(scope="session")
def redis_server() -> str:
    """The URL of the shared server. Without one the tests fail, because a skip would hide that nothing was tested."""
    try:
        url = get_shared_url()
    except NoServer as error:
        pytest.fail(str(error), pytrace=False)
    with redis.Redis.from_url(url) as client:
        try:
            client.execute_command("FT._LIST")
        except redis.ResponseError:
            pytest.fail(f"The server has no search module. {INSTALL}", pytrace=False)
    return url


@pytest.fixture
def namespace() -> str:
    """A new namespace."""
    return f"t_{secrets.token_hex(8)}"


@pytest.fixture
def redis_url(redis_server: str, namespace: str) -> Iterator[str]:
    """A URL with an empty namespace for one test."""
    yield add_parameters(redis_server, namespace=namespace)
    with redis.Redis.from_url(redis_server) as client:
        wipe(client, namespace)


@pytest.fixture
def admin(redis_server: str) -> Iterator[redis.Redis]:
    """A client of the shared server that returns bytes."""
    with redis.Redis.from_url(redis_server) as client:
        yield client


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A short path for a server of a single test."""
    folder = Path(tempfile.mkdtemp(prefix="vecstore-redis-"))
    yield folder / "redis"
    shutil.rmtree(folder)


@pytest.fixture
def own_server(server_folder: Path) -> Iterator[OwnServer]:
    """A running server for tests that change its settings, stop it or kill it.

    It has no append-only file, because Redis may wait for a busy disk for seconds and answer no client meanwhile.
    """
    with OwnServer(server_folder, SETTINGS) as server:
        yield server
