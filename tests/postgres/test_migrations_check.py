"""Errors for an application whose catalogue does not match its vecstore."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import Connection, create_engine

from tests.postgres import catalogues
from tests.postgres.catalogues import REVISIONS
from vecstore import BackendUnavailable, MigrationRequired, Unsupported, migrate
from vecstore.backends.postgres.migrations import revisions


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    with catalogues.connect_engine(postgres_url) as connection:
        yield connection


def test_a_missing_or_old_catalogue_comes_with_the_command(connection: Connection, namespace: str) -> None:
    command = f"vecstore migrate upgrade --url {shown(connection)} --namespace {namespace}"
    with pytest.raises(MigrationRequired, match="has no catalogue") as caught:
        migrate.check(connection, namespace=namespace)
    assert str(caught.value).endswith(f"Run: {command}")
    assert not caught.value.retryable
    migrate.upgrade(connection, REVISIONS[0], namespace=namespace)
    with pytest.raises(MigrationRequired, match=f"revision {REVISIONS[0]}, this vecstore needs {REVISIONS[-1]}. Run: "):
        migrate.check(connection, namespace=namespace)


def shown(connection: Connection) -> str:
    url = connection.engine.url
    assert url.password not in {None, ""}
    return f"postgresql://{url.username}@{url.host}:{url.port}/{url.database}"


def test_a_newer_catalogue_asks_for_a_newer_library(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    migrate.upgrade(connection, namespace=namespace)
    admin.execute(
        catalogues.format_statement("UPDATE {}.vecstore_alembic_version SET version_num = 'vs9999'", namespace)
    )
    calls: list[Callable[[], object]] = [
        lambda: migrate.check(connection, namespace=namespace),
        lambda: migrate.upgrade(connection, namespace=namespace),
        lambda: migrate.downgrade(connection, "base", namespace=namespace),
    ]
    for call in calls:
        with pytest.raises(Unsupported, match=r"'vs9999'.*newer vecstore"):
            call()
    assert migrate.current(connection, namespace=namespace) == "vs9999"


def test_a_check_is_one_query(connection: Connection, namespace: str, caplog: pytest.LogCaptureFixture) -> None:
    migrate.upgrade(connection, namespace=namespace)
    with caplog.at_level(logging.INFO, logger="sqlalchemy.engine"):
        echoing = create_engine(connection.engine.url, echo=False)
        with echoing.connect() as other:
            caplog.clear()
            migrate.check(other, namespace=namespace)
        echoing.dispose()
    assert [line for line in caplog.messages if "SELECT" in line and namespace in line and len(line) > 20]
    assert sum("SELECT" in line for line in caplog.messages) == 1


def test_a_checkout_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    revisions._find_folder.cache_clear()
    monkeypatch.setitem(sys.modules, "vecstore.migrations", None)
    with pytest.raises(BackendUnavailable, match=r"pip install -e '\.\[postgres\]'"):
        revisions._find_folder()
