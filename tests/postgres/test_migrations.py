"""The catalogue up and down on a real server, with data in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

import vecstore
from tests.postgres import catalogues
from tests.postgres.catalogues import REVISIONS, STORES, TABLES
from vecstore import InvalidArgument, MigrationRequired, StorageError, StoreExists, migrate
from vecstore.backends.postgres.catalogue_tables import make_catalogue_tables
from vecstore.backends.postgres.migrations.revisions import list_revisions


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    with catalogues.connect_engine(postgres_url) as connection:
        yield connection


def test_history_lists_every_revision_in_order() -> None:
    listed = migrate.history()
    assert tuple(revision for revision, _ in listed) == list_revisions() == REVISIONS
    assert all(adds.endswith(".") for _, adds in listed)


def test_upgrade_creates_the_catalogue_and_nothing_else(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    before = catalogues.list_schemas(admin)
    migrate.upgrade(connection, namespace=namespace)
    assert catalogues.list_schemas(admin) - before == {namespace}
    assert catalogues.list_tables(admin, namespace) == TABLES
    assert migrate.current(connection, namespace=namespace) == REVISIONS[-1]
    migrate.check(connection, namespace=namespace)
    assert not connection.in_transaction()


def test_the_backends_tables_are_what_the_migrations_make(connection: Connection, namespace: str) -> None:
    migrate.upgrade(connection, namespace=namespace)
    options = {
        "include_schemas": True,
        "version_table": "vecstore_alembic_version",
        "version_table_schema": namespace,
        "include_name": lambda name, type_, _: type_ != "schema" or name == namespace,
    }
    context = MigrationContext.configure(connection, opts=options)
    tables = make_catalogue_tables(namespace)
    assert {table.name for table in tables.stores.metadata.sorted_tables} == TABLES - {"vecstore_alembic_version"}
    assert compare_metadata(context, tables.stores.metadata) == []


def test_the_backends_tables_hold_every_constraint_and_collation(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    """What compare_metadata does not look at: checks, collations, names, the sequence."""
    migrate.upgrade(connection, namespace=namespace)
    made = make_catalogue_tables(f"{namespace}_b")
    connection.execute(text(f"CREATE SCHEMA {namespace}_b"))
    made.stores.metadata.create_all(connection)
    connection.execute(
        text(f"ALTER SEQUENCE {namespace}_b.vecstore_change_seq OWNED BY {namespace}_b.vecstore_change.seq")
    )
    connection.commit()
    migrated, declared = (catalogues.describe_namespace(admin, name) for name in (namespace, f"{namespace}_b"))
    without_versions = [[row for row in rows if not any("alembic" in value for value in row)] for rows in migrated]
    assert without_versions == [
        [tuple(value.replace("NAMESPACE_b", "NAMESPACE") for value in row) for row in rows] for rows in declared
    ]


def test_every_revision_runs_up_down_and_up_on_live_data(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    migrate.upgrade(connection, REVISIONS[0], namespace=namespace)
    assert catalogues.list_tables(admin, namespace) == STORES
    catalogues.add_store(admin, namespace)
    before = catalogues.read_contents(admin, namespace)
    for revision in (*REVISIONS[1:], *reversed(REVISIONS[:-1]), *REVISIONS[1:]):
        going_up = revision > str(migrate.current(connection, namespace=namespace))
        (migrate.upgrade if going_up else migrate.downgrade)(connection, revision, namespace=namespace)
        assert migrate.current(connection, namespace=namespace) == revision
        assert catalogues.read_contents(admin, namespace) == before
    assert catalogues.list_tables(admin, namespace) >= TABLES


def test_down_to_nothing_leaves_namespace_extension_and_records(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    migrate.upgrade(connection, namespace=namespace)
    catalogues.add_store(admin, namespace)
    admin.execute(catalogues.format_statement("DELETE FROM {}.vecstore_store", namespace))
    migrate.downgrade(connection, "base", namespace=namespace)
    assert migrate.current(connection, namespace=namespace) is None
    assert catalogues.list_tables(admin, namespace) == {f"vecstore_g_{catalogues.GENERATION}"}
    assert admin.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone()
    migrate.upgrade(connection, namespace=namespace)
    assert catalogues.list_tables(admin, namespace) >= TABLES


def test_a_downgrade_that_would_lose_stores_is_refused(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    migrate.upgrade(connection, namespace=namespace)
    catalogues.add_store(admin, namespace)
    before = catalogues.describe_namespace(admin, namespace), catalogues.read_contents(admin, namespace)
    with pytest.raises(StoreExists, match=r"articles.*Drop them first"):
        migrate.downgrade(connection, "base", namespace=namespace)
    assert (catalogues.describe_namespace(admin, namespace), catalogues.read_contents(admin, namespace)) == before
    assert migrate.current(connection, namespace=namespace) == REVISIONS[-1]


def test_a_downgrade_that_would_lose_noted_changes_is_refused(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    migrate.upgrade(connection, namespace=namespace)
    catalogues.add_store(admin, namespace)
    catalogues.add_standby(admin, namespace)
    for revision in (REVISIONS[0], "base"):
        with pytest.raises(StoreExists, match=r"would be lost: articles"):
            migrate.downgrade(connection, revision, namespace=namespace)
    assert migrate.current(connection, namespace=namespace) == REVISIONS[-1]
    assert admin.execute(
        catalogues.format_statement("SELECT count(*) FROM {}.vecstore_change", namespace)
    ).fetchone() == (1,)


def test_a_downgrade_that_would_hide_records_without_a_vector_is_refused(
    connection: Connection, admin: psycopg.Connection, namespace: str, postgres_url: str
) -> None:
    migrate.upgrade(connection, namespace=namespace)
    schema = vecstore.Schema(dim=2, vectors="optional")
    with vecstore.connect(postgres_url, namespace=namespace) as db:
        db.create("plain", vecstore.Schema(dim=2)).insert([vecstore.Record("a", [1, 0])])
        store = db.create("sparse", schema)
        store.insert([vecstore.Record("a"), vecstore.Record("b", [1, 0])])
        with pytest.raises(StoreExists, match=r"lost in these stores: sparse\."):
            migrate.downgrade(connection, "vs0002", namespace=namespace)
        assert migrate.current(connection, namespace=namespace) == "vs0004"
        store.update(ids=["a"], vector=[0, 1])
        db.rebuild("sparse", schema=vecstore.Schema(dim=2))
        with pytest.raises(StoreExists, match="sparse"):
            migrate.downgrade(connection, "vs0002", namespace=namespace)
        db.drop_previous("sparse")
        migrate.downgrade(connection, "vs0002", namespace=namespace)
    with pytest.raises(MigrationRequired):
        vecstore.connect(postgres_url, namespace=namespace)
    migrate.upgrade(connection, namespace=namespace)
    with vecstore.connect(postgres_url, namespace=namespace) as db:
        assert [db.open(name).count() for name in ("plain", "sparse")] == [1, 2]


def test_going_where_the_catalogue_is_already_changes_nothing(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    migrate.downgrade(connection, "base", namespace=namespace)
    assert namespace not in catalogues.list_schemas(admin)
    for _ in range(2):
        migrate.upgrade(connection, namespace=namespace)
    before = catalogues.describe_namespace(admin, namespace)
    migrate.upgrade(connection, REVISIONS[0], namespace=namespace)
    migrate.downgrade(connection, REVISIONS[-1], namespace=namespace)
    assert catalogues.describe_namespace(admin, namespace) == before


def test_namespaces_do_not_disturb_each_other(
    connection: Connection, admin: psycopg.Connection, namespace: str
) -> None:
    other = f"{namespace}_other"
    migrate.upgrade(connection, namespace=namespace)
    migrate.upgrade(connection, REVISIONS[0], namespace=other)
    migrate.downgrade(connection, "base", namespace=namespace)
    assert catalogues.list_tables(admin, namespace) == set()
    assert catalogues.list_tables(admin, other) == STORES


def test_a_namespace_may_be_called_like_a_word_of_sql(postgres_url: str, admin: psycopg.Connection) -> None:
    with catalogues.connect_engine(postgres_url) as connection:
        migrate.upgrade(connection, namespace="user")
        assert catalogues.list_tables(admin, "user") == TABLES
        migrate.downgrade(connection, "base", namespace="user")
    admin.execute('DROP SCHEMA "user"')


@pytest.mark.parametrize("namespace", ["", "Upper", "a b", 'a"b', "a" * 49, "pg_mine", "information_schema", "ä"])
def test_names_that_are_no_namespace_are_refused(connection: Connection, namespace: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: migrate.upgrade(connection, namespace=namespace),
        lambda: migrate.downgrade(connection, "base", namespace=namespace),
        lambda: migrate.current(connection, namespace=namespace),
        lambda: migrate.check(connection, namespace=namespace),
        lambda: migrate.sql(namespace=namespace),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument, match="namespace"):
            call()


@pytest.mark.parametrize("revision", ["vs0009", "vs000", "heads", "+1", "", "base; DROP TABLE x"])
def test_unknown_revisions_are_refused(connection: Connection, namespace: str, revision: str) -> None:
    for run in (migrate.upgrade, migrate.downgrade):
        with pytest.raises(InvalidArgument, match="There is no revision"):
            run(connection, revision, namespace=namespace)


def test_a_table_of_that_name_is_not_touched(connection: Connection, admin: psycopg.Connection, namespace: str) -> None:
    admin.execute(catalogues.format_statement("CREATE SCHEMA {}", namespace))
    admin.execute(catalogues.format_statement("CREATE TABLE {}.vecstore_generation (mine text)", namespace))
    with pytest.raises(StorageError, match="a table of that name") as caught:
        migrate.upgrade(connection, namespace=namespace)
    assert isinstance(caught.value.__cause__, Exception)
    assert catalogues.list_tables(admin, namespace) == {"vecstore_generation"}
