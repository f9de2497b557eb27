"""Migrations on a caller's connection."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, text

from tests.postgres import catalogues
from tests.postgres.catalogues import REVISIONS, STORES
from vecstore import InvalidArgument, MigrationRequired, StorageError, StoreExists, migrate


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    with catalogues.connect_engine(postgres_url) as connection:
        yield connection


def test_a_run_joins_the_callers_transaction(connection: Connection, admin: psycopg.Connection, namespace: str) -> None:
    with connection.begin() as transaction:
        migrate.upgrade(connection, namespace=namespace)
        assert migrate.current(connection, namespace=namespace) == REVISIONS[-1]
        assert namespace not in catalogues.list_schemas(admin)
        transaction.rollback()
    assert namespace not in catalogues.list_schemas(admin)


def test_after_a_refusal_the_callers_transaction_goes_on(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    migrate.upgrade(connection, namespace=namespace)
    catalogues.add_store(admin, namespace)
    with connection.begin():
        connection.execute(text(f"CREATE TABLE {namespace}.of_the_application ()"))
        with pytest.raises(StoreExists):
            migrate.downgrade(connection, "base", namespace=namespace)
        with pytest.raises(MigrationRequired):
            migrate.check(connection, namespace=f"{namespace}_other")
        assert connection.scalar(text("SELECT 1")) == 1
    assert "of_the_application" in catalogues.list_tables(admin, namespace)


def test_the_callers_search_path_does_not_matter(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    connection.execute(text("SET search_path TO ''"))
    migrate.upgrade(connection, namespace=namespace)
    migrate.check(connection, namespace=namespace)
    migrate.downgrade(connection, REVISIONS[0], namespace=namespace)
    assert connection.scalar(text("SHOW search_path")) == '""'
    connection.commit()
    assert catalogues.list_tables(admin, namespace) == STORES


def test_connections_that_cannot_carry_a_migration_are_refused(postgres_url: str, namespace: str) -> None:
    with catalogues.make_engine(postgres_url).connect() as connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(InvalidArgument, match="autocommit"):
            migrate.upgrade(autocommit, namespace=namespace)
        assert migrate.current(autocommit, namespace=namespace) is None
    with pytest.raises(InvalidArgument, match="cannot be used"):
        migrate.upgrade(connection, namespace=namespace)
    with create_engine("sqlite://").connect() as sqlite, pytest.raises(InvalidArgument, match="sqlite"):
        migrate.upgrade(sqlite)
    with pytest.raises(InvalidArgument, match="not Engine"):
        migrate.upgrade(catalogues.make_engine(postgres_url))  # type: ignore[arg-type]


def test_a_transaction_that_may_only_read_is_told_so(connection: Connection, namespace: str) -> None:
    with connection.begin():
        connection.execute(text("SET TRANSACTION READ ONLY"))
        assert migrate.current(connection, namespace=namespace) is None
        with pytest.raises(StorageError, match="read-only"):
            migrate.upgrade(connection, namespace=namespace)


def test_logging_of_the_application_is_left_alone(postgres_url: str, namespace: str) -> None:
    program = (
        "import logging, sys\n"
        "from tests.postgres.catalogues import connect_engine\n"
        "from vecstore import migrate\n"
        "logging.getLogger('of.the.application').setLevel(logging.DEBUG)\n"
        "with connect_engine(sys.argv[1]) as connection:\n"
        "    migrate.upgrade(connection, namespace=sys.argv[2])\n"
        "root = logging.getLogger()\n"
        "print(root.handlers, root.level, logging.getLogger('alembic').level)\n"
        "print(logging.getLogger('of.the.application').level, logging.getLogger('of.the.application').disabled)\n"
    )
    command = [sys.executable, "-W", "error", "-c", program, postgres_url, namespace]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert (answer.stdout.splitlines(), answer.stderr) == (["[] 30 0", "10 False"], "")
