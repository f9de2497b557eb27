"""An empty place on each backend that a command line can reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import FilePlace
from tests.postgres import conftest as postgres_fixtures
from tests.postgres.places import PostgresPlace
from tests.redis import conftest as redis_fixtures
from tests.redis.places import RedisPlace
from vecstore.testing import Place

postgres_server, postgres_url = postgres_fixtures.postgres_server, postgres_fixtures.postgres_url
redis_server = redis_fixtures.redis_server

BACKENDS = ("file", "postgres", "redis")


def make_place(backend: str, request: pytest.FixtureRequest, directory: Path) -> Place:
    """Return a new place; the servers start on first use."""
    if backend == "file":
        return FilePlace(directory)
    if backend == "postgres":
        return PostgresPlace(request.getfixturevalue("postgres_url"))
    return RedisPlace(request.getfixturevalue("redis_server"))


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    place = make_place(request.param, request, tmp_path / "place")
    yield place
    place.close()
