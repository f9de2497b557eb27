"""The places in which the application keeps its notes and their vectors."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from psycopg import sql

from tests.postgres.conftest import postgres_server  # noqa: F401
from tests.redis.conftest import redis_server  # noqa: F401
from tests.redis.places import add_parameters, wipe


@contextmanager
def make_database(server: str) -> Iterator[str]:
    """Yield the URL of an empty database."""
    name = f"notes_{secrets.token_hex(8)}"
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        link.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def empty_database(request: pytest.FixtureRequest) -> Iterator[str]:
    with make_database(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture(scope="module", params=["files", "postgresql", "postgresql and redis"])
def place(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Yield what the environment says of a place."""
    if request.param == "files":
        yield {}
        return
    with make_database(request.getfixturevalue("postgres_server")) as url:
        if request.param == "postgresql":
            yield {"NOTES_DATABASE_URL": url, "NOTES_VECTORS_URL": url}
            return
        server, namespace = request.getfixturevalue("redis_server"), f"t_{secrets.token_hex(8)}"
        yield {"NOTES_DATABASE_URL": url, "NOTES_VECTORS_URL": add_parameters(server, namespace=namespace)}
        with redis.Redis.from_url(server) as client:
            wipe(client, namespace)
