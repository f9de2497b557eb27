"""Two places for each test, of every ordered pair of backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import permutations
from pathlib import Path

import pytest

from tests.places import FilePlace, MemoryPlace
from tests.postgres import conftest as postgres_fixtures
from tests.postgres.places import PostgresPlace
from tests.redis import conftest as redis_fixtures
from tests.redis.places import RedisPlace
from vecstore import Database
from vecstore.testing import Place

postgres_server, postgres_url = postgres_fixtures.postgres_server, postgres_fixtures.postgres_url
namespaces = postgres_fixtures.namespaces
redis_server = redis_fixtures.redis_server

BACKENDS = ("memory", "file", "postgres", "redis")
PAIRS = [*permutations(BACKENDS, 2)]
NewPlace = Callable[[str], Place]


@pytest.fixture
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewPlace]:
    """Return a function that makes an empty place on a backend; the servers start on first use."""
    with ExitStack() as places:

        def make(backend: str) -> Place:
            made: Place
            if backend == "memory":
                made = MemoryPlace()
            elif backend == "file":
                made = FilePlace(tmp_path / f"place-{len(list(tmp_path.iterdir()))}")
                Path(made.url.removeprefix("file:").partition("?")[0]).mkdir()
            elif backend == "postgres":
                made = PostgresPlace(
                    request.getfixturevalue("postgres_url"), namespaces=request.getfixturevalue("namespaces")
                )
            else:
                made = RedisPlace(request.getfixturevalue("redis_server"))
            return places.enter_context(closing(made))

        yield make


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest, new_place: NewPlace) -> tuple[Place, Place]:
    """Return two places of different backends."""
    one, other = request.param
    return new_place(one), new_place(other)


@pytest.fixture
def databases(pair: tuple[Place, Place]) -> Iterator[tuple[Database, Database]]:
    """Return a Database on each of both places."""
    with pair[0].connect() as here, pair[1].connect() as there:
        yield here, there
