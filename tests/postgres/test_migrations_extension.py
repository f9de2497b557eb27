"""The extension `vector`: created once by a role that may, otherwise the error names the SQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.postgres import catalogues
from tests.postgres.catalogues import REVISIONS, TABLES
from vecstore import ExtensionMissing, StorageError, migrate


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    """An empty database without the extension, as a superuser."""
    with catalogues.create_database(postgres_url) as url:
        yield url


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def role(database: str, owner: psycopg.Connection) -> Iterator[str]:
    """The URL of the same database for a role that owns a schema `mine` and nothing else."""
    name, password = f"role_{secrets.token_hex(8)}", secrets.token_hex(8)
    identifier = sql.Identifier(name)
    owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(identifier, sql.Literal(password)))
    owner.execute(sql.SQL("CREATE SCHEMA mine AUTHORIZATION {}").format(identifier))
    parts = urlsplit(database)
    yield urlunsplit(parts._replace(netloc=f"{name}:{password}@{parts.netloc.rpartition('@')[2]}"))
    owner.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(identifier))
    owner.execute(sql.SQL("DROP ROLE {}").format(identifier))


def upgrade(url: str, namespace: str = "mine") -> None:
    with catalogues.connect_engine(url) as connection:
        migrate.upgrade(connection, namespace=namespace)


def find_extension_schema(owner: psycopg.Connection) -> str | None:
    query = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
    row = owner.execute(query).fetchone()
    return None if row is None else str(row[0])


def allow_to_create(owner: psycopg.Connection, role: str) -> None:
    names = map(sql.Identifier, (owner.info.dbname, str(urlsplit(role).username)))
    owner.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(*names))


def test_the_extension_is_created_where_everybody_finds_it(database: str, owner: psycopg.Connection) -> None:
    owner.execute(sql.SQL("ALTER DATABASE {} SET search_path TO ''").format(sql.Identifier(owner.info.dbname)))
    upgrade(database)
    assert find_extension_schema(owner) == "public"


def test_an_extension_in_another_schema_is_left_alone(database: str, owner: psycopg.Connection) -> None:
    owner.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector WITH SCHEMA extensions")
    upgrade(database)
    assert find_extension_schema(owner) == "extensions"
    with catalogues.connect_engine(database) as connection:
        migrate.downgrade(connection, "base", namespace="mine")
    assert find_extension_schema(owner) == "extensions"


def test_a_role_without_the_right_gets_the_sql_for_one_with_it(role: str, owner: psycopg.Connection) -> None:
    with pytest.raises(ExtensionMissing, match="administrator") as caught:
        upgrade(role)
    assert not caught.value.retryable
    assert catalogues.list_tables(owner, "mine") == set()
    owner.execute(str(caught.value).partition("in this database: ")[2].encode())
    upgrade(role)
    assert catalogues.list_tables(owner, "mine") == TABLES


def test_a_refused_extension_leaves_the_callers_transaction_as_it_was(role: str, owner: psycopg.Connection) -> None:
    with catalogues.connect_engine(role) as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE mine.of_the_application ()")
        with pytest.raises(ExtensionMissing):
            migrate.upgrade(connection, namespace="mine")
    assert catalogues.list_tables(owner, "mine") == {"of_the_application"}


def trust_extension(owner: psycopg.Connection) -> None:
    """Let roles with CREATE on the database create the extension, as some hosts do.

    pgvector's own control file does not say so. A changed copy of it is beside the server's data.
    """
    (share,) = owner.execute("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'").fetchone() or [""]
    (data,) = owner.execute("SHOW data_directory").fetchone() or [""]
    folder = f"{data}/trusted-{secrets.token_hex(8)}"
    program = (
        f"mkdir -p '{folder}/extension' && cp '{share}'/extension/vector* '{folder}/extension' && "
        f"echo 'trusted = true' >> '{folder}/extension/vector.control'"
    )
    owner.execute(sql.SQL("COPY (SELECT) TO PROGRAM {}").format(sql.Literal(program)))
    place = map(sql.Identifier, [owner.info.dbname])
    owner.execute(sql.SQL("ALTER DATABASE {} SET extension_control_path TO {}").format(*place, sql.Literal(folder)))


def test_a_role_with_create_on_the_database_may_not_create_it(role: str, owner: psycopg.Connection) -> None:
    allow_to_create(owner, role)
    with pytest.raises(ExtensionMissing, match="administrator"):
        upgrade(role, "of_the_role")
    assert "of_the_role" not in catalogues.list_schemas(owner)


def test_but_it_may_where_the_server_trusts_the_extension(role: str, owner: psycopg.Connection) -> None:
    allow_to_create(owner, role)
    trust_extension(owner)
    upgrade(role, "of_the_role")
    assert find_extension_schema(owner) == "public"
    assert catalogues.list_tables(owner, "of_the_role") == TABLES


def test_a_role_that_may_not_create_the_namespace_is_told_so(role: str, owner: psycopg.Connection) -> None:
    owner.execute("CREATE EXTENSION vector")
    with pytest.raises(StorageError, match="lacks rights"):
        upgrade(role, "theirs")
    assert "theirs" not in catalogues.list_schemas(owner)


def test_a_role_without_rights_may_not_look(role: str, owner: psycopg.Connection, database: str) -> None:
    upgrade(database, "theirs")
    with catalogues.connect_engine(role) as connection:
        for call in (migrate.check, migrate.current, migrate.upgrade):
            with pytest.raises(StorageError, match="lacks rights"):
                call(connection, namespace="theirs")
    assert catalogues.list_tables(owner, "theirs") == TABLES


def test_a_database_without_public_asks_where_to_put_it(database: str, owner: psycopg.Connection) -> None:
    owner.execute("DROP SCHEMA public")
    with pytest.raises(ExtensionMissing, match="WITH SCHEMA a_schema_of_yours"):
        upgrade(database)
    owner.execute("CREATE SCHEMA a_schema_of_yours; CREATE EXTENSION vector WITH SCHEMA a_schema_of_yours")
    upgrade(database)
    assert catalogues.list_tables(owner, "mine") == TABLES


def test_a_server_without_pgvector_is_told_from_a_missing_right(database: str, owner: psycopg.Connection) -> None:
    # The server then looks for extensions where there are none.
    with catalogues.connect_engine(database) as connection:
        connection.exec_driver_sql("SET extension_control_path TO '/nowhere'")
        connection.commit()
        with pytest.raises(ExtensionMissing, match="The server has no pgvector"):
            migrate.upgrade(connection, REVISIONS[0])
    assert catalogues.list_schemas(owner) & {"vecstore"} == set()
