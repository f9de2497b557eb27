"""Refused connections and rights: each error names the thing and the next step."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

import vecstore
from servers.ports import reserve_port
from tests.batches import DIM, batch, checked_answer, schema, tags, vector_of
from tests.secrets import PASSWORD, change_url, expect_error
from vecstore import (
    BackendUnavailable,
    Database,
    ExtensionMissing,
    F,
    MigrationRequired,
    StorageFailed,
    Unsupported,
    VectorStore,
)
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.index_build import Builder
from vecstore.backends.postgres.server_checks import ServerWarning

from .catalogues import create_database, format_statement
from .stores import add_parameters, open_database, prepare_namespace


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, lock_timeout=0.3, timeout=5) as database:
        yield database


@pytest.fixture
def role(admin: psycopg.Connection) -> Iterator[str]:
    """A role that may log in and nothing else."""
    name = f"r_{secrets.token_hex(6)}"
    admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(PASSWORD)))
    yield name
    admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


class TestConnecting:
    @pytest.mark.parametrize(
        "change, word",
        [
            ({"password": PASSWORD}, "password"),
            ({"user": "nobody_there", "password": PASSWORD}, "user"),
            ({"database": "/nowhere_to_be_found"}, "database"),
            ({"host": "host.invalid", "password": PASSWORD}, "host"),
        ],
    )
    def test_a_url_that_leads_nowhere(self, postgres_url: str, change: dict[str, Any], word: str) -> None:
        with expect_error(BackendUnavailable, "URL", word):
            vecstore.connect(change_url(postgres_url, **change))

    def test_a_server_that_is_down(self, postgres_url: str) -> None:
        with expect_error(BackendUnavailable, "server"):
            vecstore.connect(change_url(postgres_url, port=reserve_port()))

    def test_a_url_that_is_none(self) -> None:
        with expect_error(vecstore.InvalidUrl, "postgresql://"):
            vecstore.connect(f"postgresql://user:{PASSWORD}@host:port/db")

    def test_a_database_without_a_catalogue_gets_the_command(self, postgres_url: str, namespace: str) -> None:
        with expect_error(MigrationRequired, "vecstore migrate upgrade", namespace):
            vecstore.connect(add_parameters(postgres_url, namespace))

    def test_an_older_catalogue_gets_the_command(
        self, postgres_url: str, namespace: str, admin: psycopg.Connection
    ) -> None:
        prepare_namespace(postgres_url, namespace)
        admin.execute(format_statement("UPDATE {}.vecstore_alembic_version SET version_num = 'vs0001'", namespace))
        with expect_error(MigrationRequired, "vecstore migrate upgrade", "vs0001", "vs0004"):
            vecstore.connect(add_parameters(postgres_url, namespace))

    def test_a_database_without_the_extension_gets_the_statement(self, postgres_url: str) -> None:
        with create_database(postgres_url) as url:
            prepare_namespace(url, "ns")
            with psycopg.connect(url, autocommit=True) as link:
                link.execute("DROP EXTENSION vector")
            with expect_error(ExtensionMissing, "CREATE EXTENSION vector"):
                vecstore.connect(add_parameters(url, "ns"))

    @pytest.mark.parametrize("prepare", ["on", "off"])
    def test_an_extension_in_another_schema_works_without_a_search_path(self, postgres_url: str, prepare: str) -> None:
        with create_database(postgres_url) as url:
            with psycopg.connect(url, autocommit=True) as link:
                link.execute('CREATE SCHEMA "Ext Ension"')
                link.execute('CREATE EXTENSION vector SCHEMA "Ext Ension"')
                link.execute(
                    sql.SQL("ALTER DATABASE {} SET search_path = ''").format(sql.Identifier(urlsplit(url).path[1:]))
                )
            prepare_namespace(url, "ns")
            with open_database(url, "ns", prepare=prepare) as database:
                run_whole_cycle(database, {"a": "float32", "b": "float16"} if prepare == "on" else {"a": "float32"})

    def test_an_old_extension_is_refused_and_a_faulty_one_warned_of(self, postgres_url: str) -> None:
        with create_database(postgres_url) as url:
            prepare_namespace(url, "ns")
            with expect_error(ExtensionMissing, "0.7.4", "ALTER EXTENSION vector UPDATE"):
                vecstore.connect(add_parameters(pretend_version(url, "0.7.4"), "ns"))
            with pytest.warns(ServerWarning, match=r"0\.8\.3"):
                vecstore.connect(add_parameters(pretend_version(url, "0.8.3"), "ns")).close()
            vecstore.connect(add_parameters(pretend_version(url, "0.8.4"), "ns")).close()

    def test_an_extension_that_builds_unsafely_gets_no_helpers(self, postgres_url: str) -> None:
        with create_database(postgres_url) as url:
            prepare_namespace(url, "ns")
            with pytest.warns(ServerWarning):
                opening = vecstore.connect(add_parameters(pretend_version(url, "0.8.1"), "ns"))
            with opening as database:
                store = database.create("a", schema(vecstore.HNSW()))
                assert store.count() == 0
                backend = database._backend
                assert isinstance(backend, PostgresBackend)
                layout = backend._layouts.get(backend.find(name="a").active)
                with Builder(backend._client, backend._server, layout)._hold_connection() as connection:
                    assert connection.execute("SHOW max_parallel_maintenance_workers").fetchone() == ("0",)


def pretend_version(url: str, version: str) -> str:
    """Make a database report this version of pgvector, because the wheel has scripts of only one."""
    with psycopg.connect(url, autocommit=True) as link:
        link.execute("UPDATE pg_extension SET extversion = %s WHERE extname = 'vector'", (version,))
    return url


def run_whole_cycle(database: Database, dtypes: dict[str, str]) -> None:
    for name, dtype in dtypes.items():
        described = vecstore.Schema(dim=DIM, metric="l2", dtype=dtype, index=vecstore.HNSW(), fields=schema().fields)
        store = database.create(name, described)
        assert store.upsert([record for number in range(8) for record in batch(number)]) == 160
        assert store.insert(batch(9)) == 20
        checked_answer(store, 3)
        assert tags(store.search(vector_of(3), k=3, where=F.tag == 3, exact=True)) == [3] * 3
        assert store.update(where=F.tag == 3, metadata={"word": "x"}, vector=vector_of(3)) == 20
        assert store.delete(where=F.tag == 4) == 20
        assert store.count() == 160
        store.reindex()
        assert store.index_status().state == "ready"
        assert len(store.search_many([vector_of(1)] * 3, k=40)[2]) == 40
        assert store.verify().problems == ()
        store.compact()
    database.rebuild("a", schema=schema())
    database.rollback("a")
    database.rename("a", "c")
    assert database.names()[-1] == "c"
    database.drop("c")
    assert "c" not in database.names()


class TestRights:
    @pytest.fixture
    def reader(
        self, store: VectorStore, role: str, admin: psycopg.Connection, postgres_url: str, namespace: str
    ) -> str:
        """The URL of a role that may read."""
        admin.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(*map(sql.Identifier, (namespace, role))))
        grant = sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}")
        admin.execute(grant.format(*map(sql.Identifier, (namespace, role))))
        return change_url(postgres_url, user=role, password=PASSWORD)

    def test_a_role_that_may_read_reads(self, reader: str, namespace: str) -> None:
        with open_database(reader, namespace) as database:
            store = database.open("a")
            checked_answer(store, 1)
            assert len(list(store.scan())) == store.count() == 20
            for write in (lambda: store.upsert(batch(2)), lambda: store.delete(ids=["x"]), lambda: database.drop("a")):
                with expect_error(StorageFailed, "rights"):
                    write()
            assert store.count() == 20

    def test_mode_ro_writes_nothing(self, reader: str, namespace: str) -> None:
        with open_database(reader, namespace, mode="ro") as database:
            store = database.open("a")
            checked_answer(store, 1)
            with pytest.raises(Unsupported):
                store.upsert(batch(2))
            with pytest.raises(Unsupported):
                database.create("b", schema())

    def test_a_role_whose_transactions_are_read_only(
        self, reader: str, role: str, admin: psycopg.Connection, namespace: str
    ) -> None:
        admin.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(role)))
        with open_database(reader, namespace) as database:
            assert database.open("a").count() == 20
            with pytest.raises(Unsupported):
                database.open("a").upsert(batch(2))

    def test_a_role_without_rights_is_told_so(
        self, store: VectorStore, role: str, postgres_url: str, namespace: str
    ) -> None:
        with expect_error(StorageFailed, "right", "GRANT USAGE ON SCHEMA", namespace):
            vecstore.connect(add_parameters(change_url(postgres_url, user=role, password=PASSWORD), namespace))
        assert store.count() == 20
