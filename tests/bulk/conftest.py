"""A place of each backend that several processes share."""

from __future__ import annotations

import pytest

from tests.swap import conftest as swap_fixtures
from vecstore.testing import Place

postgres_server, postgres_url = swap_fixtures.postgres_server, swap_fixtures.postgres_url
namespaces = swap_fixtures.namespaces
redis_server, new_place = swap_fixtures.redis_server, swap_fixtures.new_place


@pytest.fixture(params=["file", "postgres", "redis"])
def place(request: pytest.FixtureRequest, new_place: swap_fixtures.NewPlace) -> Place:
    return new_place(request.param)


@pytest.fixture
def file_place(new_place: swap_fixtures.NewPlace) -> Place:
    """For tests that start several processes, which take seconds."""
    return new_place("file")


_PLACES = ["file", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("postgres", "redis"))]
long_on_servers = pytest.mark.parametrize("place", _PLACES, indirect=True)
"""For tests that start several processes: `make test` has them on files."""
