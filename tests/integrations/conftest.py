"""One database a module on each backend, and a new store for each test."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

import vecstore
from tests.postgres.server import get_shared_url as get_postgres_url
from tests.postgres.stores import add_parameters as add_postgres_parameters
from tests.redis.places import add_parameters as add_redis_parameters
from tests.redis.server import get_shared_url as get_redis_url
from vecstore import Database

# Haystack reads this when it is imported; a test sends nothing to anybody.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

BACKENDS = ["memory", "file", "postgres", "redis"]
_NUMBERS = itertools.count()


@pytest.fixture(scope="module", params=BACKENDS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An open database in an empty place, which is emptied in the end."""
    url = make_url(request.param, tmp_path_factory.mktemp("place"))
    with vecstore.connect(url, migrate=request.param == "postgres") as database:
        yield database
        for name in database.names():
            database.drop(name)


def make_url(backend: str, directory: Path) -> str:
    namespace = f"t_{secrets.token_hex(8)}"
    if backend == "postgres":
        return add_postgres_parameters(get_postgres_url(), namespace)
    if backend == "redis":
        return add_redis_parameters(get_redis_url(), namespace=namespace)
    return "memory:" if backend == "memory" else f"file:{directory}"


@pytest.fixture
def name() -> str:
    """The name of a store that does not exist."""
    return f"documents_{next(_NUMBERS)}"
