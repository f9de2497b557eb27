"""A database for this worker and run, and a namespace for each test, on a real server."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from servers import NoServer
from tests.batches import batch, schema
from vecstore import Database, VectorStore

from .namespaces import Namespaces
from .own_server import OwnServer
from .server import INSTALL, get_shared_url
from .stores import open_database, prepare_namespace
from .tenants import make_role


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The run's server, as a superuser. Without one the tests fail: a skip would hide that nothing was tested."""
    try:
        url = get_shared_url()
    except NoServer as error:
        pytest.fail(str(error), pytrace=False)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    if found is None:
        pytest.fail(f"The server has no pgvector. {INSTALL}", pytrace=False)
    return url


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of this worker's own database: ``postgresql://…`` through TCP, as its owner and a superuser."""
    name = f"vecstore_{secrets.token_hex(8)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def namespaces(postgres_url: str) -> Iterator[Namespaces]:
    """Namespaces of that database for the conformance suite."""
    with Namespaces(postgres_url) as namespaces:
        yield namespaces


@pytest.fixture
def namespace() -> str:
    """The name of a schema that does not exist."""
    return f"t_{secrets.token_hex(8)}"


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A superuser's connection to the worker's database, each statement its own transaction."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    """An open database in a namespace with a catalogue."""
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, lock_timeout=2) as database:
        yield database


@pytest.fixture
def store(database: Database) -> VectorStore:
    """A store of one batch."""
    store = database.create("a", schema())
    store.upsert(batch(1))
    return store


@pytest.fixture(scope="session")
def milvus_url() -> str:
    """The URL of the run's Milvus server. Without one the tests fail: a skip would hide that nothing was tested."""
    from tests.milvus.server import get_shared_url as get_milvus_url

    try:
        return get_milvus_url()
    except NoServer as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def role(admin: psycopg.Connection) -> Iterator[str]:
    """A role that may log in and nothing else; its name has to be quoted."""
    with make_role(admin) as name:
        yield name


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A short path for the test's own server, whose user cannot enter pytest's folders if root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="vecstore-pg-"))
    yield folder / "pg"
    shutil.rmtree(folder)


@pytest.fixture
def own_server(server_folder: Path) -> Iterator[OwnServer]:
    """A running server for tests that stop and kill it."""
    with OwnServer(server_folder) as server:
        yield server
