"""An application on a file of SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine

from tests.postgres.conftest import milvus_url, namespace, postgres_server, postgres_url  # noqa: F401

from .application import Application, make_engine, open_application


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'app.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "sqlite":
        engine = make_engine(request.getfixturevalue("sqlite_url"))
        yield engine
        engine.dispose()
        return
    url, schema = request.getfixturevalue("postgres_url"), request.getfixturevalue("namespace")
    with psycopg.connect(url, autocommit=True) as link:
        link.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        engine = make_engine(urlsplit(url)._replace(scheme="postgresql+psycopg").geturl(), schema)
        yield engine
        engine.dispose()
        link.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


@pytest.fixture
def app(engine: Engine) -> Iterator[Application]:
    with open_application(engine) as app:
        yield app
