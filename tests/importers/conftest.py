"""The server, the databases and the stores that tests of importers use."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest

import vecstore
from tests.cli.conftest import run as run
from tests.cli.conftest import url as url
from tests.postgres import conftest as postgres_fixtures
from vecstore import Database

postgres_server, postgres_url = postgres_fixtures.postgres_server, postgres_fixtures.postgres_url


@pytest.fixture
def peer(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A connection to the database of another program, with pgvector and nothing of vecstore's."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        name = f"peer_{secrets.token_hex(6)}"
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            with psycopg.connect(change_database(postgres_url, name), autocommit=True) as connection:
                connection.execute("CREATE EXTENSION vector")
                yield connection
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def peer_url(peer: psycopg.Connection, postgres_url: str) -> str:
    return change_database(postgres_url, peer.info.dbname)


@pytest.fixture
def db() -> Iterator[Database]:
    with vecstore.connect("memory:") as database:
        yield database


def change_database(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"
