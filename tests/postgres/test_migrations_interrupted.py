"""Migrations that are killed part-way, and migrations that run at the same time."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import psycopg
import pytest
from sqlalchemy import Connection, event

from tests.postgres import catalogues
from tests.postgres.catalogues import REVISIONS, TABLES
from vecstore import BackendUnavailable, migrate

Run = Callable[[Connection, str], None]

_COMMIT = -1


def run_killed_at(url: str, admin: psycopg.Connection, run: Run, namespace: str, statement: int) -> None:
    """Kill the server's side of a run before a statement, counted from 1, or before the commit."""
    with catalogues.connect_engine(url) as connection:
        pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]

        begun = itertools.count(1)

        def kill_in_time(*_: object) -> None:
            if statement in {next(begun), _COMMIT}:
                assert admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone() == (True,)

        event.listen(connection, "commit" if statement == _COMMIT else "before_cursor_execute", kill_in_time)
        run(connection, namespace)


def count_statements(connection: Connection, run: Run, namespace: str) -> int:
    """Return how many statements a run executes."""
    begun: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *arguments: begun.append(arguments[2]))
    run(connection, namespace)
    return len(begun)


def upgrade_whole(connection: Connection, namespace: str) -> None:
    migrate.upgrade(connection, namespace=namespace)


def downgrade_whole(connection: Connection, namespace: str) -> None:
    migrate.downgrade(connection, "base", namespace=namespace)


@pytest.mark.parametrize(
    "before, run", [([upgrade_whole, downgrade_whole], upgrade_whole), ([upgrade_whole], downgrade_whole)]
)
def test_a_run_that_is_killed_at_any_statement_changes_nothing(
    postgres_url: str, admin: psycopg.Connection, namespace: str, before: list[Run], run: Run
) -> None:
    whole = f"{namespace}_whole"
    with catalogues.connect_engine(postgres_url) as connection:
        for each in before:
            each(connection, namespace)
            each(connection, whole)
        statements = count_statements(connection, run, whole)
    assert statements > 10
    found = catalogues.describe_namespace(admin, namespace)
    for statement in range(1, statements + 1):
        with pytest.raises(BackendUnavailable, match="run it again"):
            run_killed_at(postgres_url, admin, run, namespace, statement)
        assert catalogues.describe_namespace(admin, namespace) == found
    with catalogues.connect_engine(postgres_url) as connection:
        run(connection, namespace)
    assert catalogues.list_tables(admin, namespace) == catalogues.list_tables(admin, whole)


def test_a_run_that_is_killed_at_its_commit_can_be_repeated(
    postgres_url: str, admin: psycopg.Connection, namespace: str
) -> None:
    with pytest.raises(BackendUnavailable, match="run it again"):
        run_killed_at(postgres_url, admin, upgrade_whole, namespace, _COMMIT)
    assert namespace not in catalogues.list_schemas(admin)
    with catalogues.connect_engine(postgres_url) as connection:
        upgrade_whole(connection, namespace)
        migrate.check(connection, namespace=namespace)


def start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "vecstore", "migrate", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_waiters(admin: psycopg.Connection, count: int, database: str) -> None:
    """Return once this many sessions of a database wait for an advisory lock."""
    query = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database "
        "WHERE datname = %s AND locktype = 'advisory' AND NOT granted"
    )
    deadline = time.monotonic() + 120
    while admin.execute(query, [database]).fetchone() != (count,):
        assert time.monotonic() < deadline


def read_outputs(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    answers = [(*process.communicate(timeout=180), process.returncode) for process in processes]
    assert [(err, code) for _, err, code in answers] == [("", 0)] * len(answers)
    return [out for out, _, _ in answers]


def test_processes_that_upgrade_at_once_follow_each_other(
    postgres_url: str, admin: psycopg.Connection, namespace: str
) -> None:
    with catalogues.connect_engine(postgres_url) as connection, connection.begin() as transaction:
        migrate.upgrade(connection, namespace=namespace)
        arguments = ["upgrade", "--url", postgres_url, "--namespace", namespace]
        processes = [start(arguments) for _ in range(2)]
        wait_for_waiters(admin, len(processes), admin.info.dbname)
        transaction.rollback()
    read_outputs(processes)
    assert catalogues.list_tables(admin, namespace) == TABLES
    rows = admin.execute(catalogues.format_statement("SELECT version_num FROM {}.vecstore_alembic_version", namespace))
    assert rows.fetchall() == [(REVISIONS[-1],)]


def test_namespaces_upgraded_at_once_share_the_new_extension(postgres_url: str, admin: psycopg.Connection) -> None:
    names = ["one", "two"]
    with catalogues.create_database(postgres_url) as url:
        with catalogues.connect_engine(url) as connection, connection.begin() as transaction:
            migrate.upgrade(connection)
            processes = [start(["upgrade", "--url", url, "--namespace", name]) for name in names]
            wait_for_waiters(admin, len(processes), str(connection.engine.url.database))
            transaction.rollback()
        read_outputs(processes)
        with psycopg.connect(url) as there:
            assert [catalogues.list_tables(there, name) for name in names] == [TABLES] * len(names)
