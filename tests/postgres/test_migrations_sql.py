"""SQL that is written to a file instead of run: the same catalogue, the same refusals."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres import catalogues
from tests.postgres.catalogues import CHANGES, REVISIONS, STORES, TABLES
from vecstore import InvalidArgument, migrate


def apply(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())


def test_the_script_makes_what_an_upgrade_makes(postgres_url: str, admin: psycopg.Connection, namespace: str) -> None:
    online = f"{namespace}_online"
    apply(postgres_url, migrate.sql(namespace=namespace))
    with catalogues.connect_engine(postgres_url) as connection:
        migrate.upgrade(connection, namespace=online)
        migrate.check(connection, namespace=namespace)
    written = catalogues.describe_namespace(admin, namespace)
    assert all(written)
    assert written == catalogues.describe_namespace(admin, online)
    assert tables_after_a_change(admin, namespace) == tables_after_a_change(admin, online)


def tables_after_a_change(admin: psycopg.Connection, namespace: str) -> list[object]:
    """Add a store, a rebuild and a noted change, and return them."""
    catalogues.add_store(admin, namespace)
    catalogues.add_standby(admin, namespace)
    query = catalogues.format_statement("SELECT generation, id, seq FROM {}.vecstore_change", namespace)
    return [catalogues.read_contents(admin, namespace), admin.execute(query).fetchall()]


def test_scripts_of_single_steps_go_up_and_down(postgres_url: str, admin: psycopg.Connection, namespace: str) -> None:
    first, second, third, fourth = REVISIONS
    changes = STORES | CHANGES
    for start, end, left in (
        (None, first, STORES), (first, second, changes), (second, first, STORES), (first, second, changes),
        (second, third, changes), (third, second, changes), (second, third, changes), (third, fourth, TABLES),
        (fourth, third, changes), (third, first, STORES), (first, "head", TABLES), (fourth, "base", set()),
        (None, "head", TABLES),
    ):  # fmt: skip
        apply(postgres_url, migrate.sql(namespace=namespace, from_revision=start, to_revision=end))
        assert catalogues.list_tables(admin, namespace) == left
        with catalogues.connect_engine(postgres_url) as connection:
            at = {"head": fourth, "base": None}.get(end, end)
            assert migrate.current(connection, namespace=namespace) == at


def test_a_script_refuses_too_where_something_would_be_lost(
    postgres_url: str, admin: psycopg.Connection, namespace: str
) -> None:
    apply(postgres_url, migrate.sql(namespace=namespace))
    catalogues.add_store(admin, namespace)
    catalogues.add_standby(admin, namespace)
    before = catalogues.describe_namespace(admin, namespace)
    with pytest.raises(psycopg.Error, match="articles"):
        apply(postgres_url, migrate.sql(namespace=namespace, from_revision=REVISIONS[1], to_revision=REVISIONS[0]))
    with pytest.raises(psycopg.Error, match="articles"):
        apply(postgres_url, migrate.sql(namespace=namespace, from_revision=REVISIONS[1], to_revision="base"))
    assert catalogues.describe_namespace(admin, namespace) == before


def test_a_script_that_is_run_twice_changes_nothing_the_second_time(
    postgres_url: str, admin: psycopg.Connection, namespace: str
) -> None:
    script = migrate.sql(namespace=namespace)
    apply(postgres_url, script)
    before = catalogues.describe_namespace(admin, namespace)
    with pytest.raises(psycopg.errors.DuplicateTable):
        apply(postgres_url, script)
    assert catalogues.describe_namespace(admin, namespace) == before


def test_names_in_a_script_are_quoted_where_they_must_be() -> None:
    script = migrate.sql(namespace="user")
    assert '"user".vecstore_store' in script
    assert " user." not in script


@pytest.mark.parametrize("start, end", [(None, "base"), ("base", "base"), ("vs0004", "head"), ("vs0001", "vs0001")])
def test_a_script_for_no_step_is_refused(start: str | None, end: str) -> None:
    with pytest.raises(InvalidArgument, match="nothing to do"):
        migrate.sql(from_revision=start, to_revision=end)
