"""The contents of a namespace, read from PostgreSQL's system tables, and a store with records added by hand."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine, NullPool, create_engine

REVISIONS = ("vs0001", "vs0002", "vs0003", "vs0004")
STORES = {"vecstore_alembic_version", "vecstore_generation", "vecstore_store"}
CHANGES = {"vecstore_change"}
FOLLOWERS = {"vecstore_follower", "vecstore_follower_left", "vecstore_follower_note"}
TABLES = STORES | CHANGES | FOLLOWERS

STORE, GENERATION, STANDBY = "5" * 32, "a" * 32, "b" * 32

_FACTS = """
SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default, ordinal_position
FROM information_schema.columns WHERE table_schema = %(namespace)s ORDER BY table_name, ordinal_position;
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = %(namespace)s::regnamespace ORDER BY conname;
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = %(namespace)s ORDER BY indexname;
SELECT relname, relkind, pg_get_serial_sequence(%(namespace)s || '.vecstore_change', 'seq')
FROM pg_class WHERE relnamespace = %(namespace)s::regnamespace ORDER BY relname
"""


def make_engine(url: str) -> Engine:
    """Return an engine that keeps no connection."""
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)


@contextmanager
def connect_engine(url: str) -> Iterator[Connection]:
    with make_engine(url).connect() as connection:
        yield connection


def list_tables(admin: psycopg.Connection, namespace: str) -> set[str]:
    rows = admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [namespace]).fetchall()
    return {name for (name,) in rows}


def describe_namespace(admin: psycopg.Connection, namespace: str) -> list[list[Any]]:
    """Describe columns, constraints, indexes and sequences, without the namespace's name."""
    found = []
    for query in _FACTS.split(";"):
        rows = psycopg.ClientCursor(admin).execute(query, {"namespace": namespace}).fetchall()
        found.append([tuple(str(value).replace(namespace, "NAMESPACE") for value in row) for row in rows])
    return found


def list_schemas(admin: psycopg.Connection) -> set[str]:
    return {name for (name,) in admin.execute("SELECT nspname FROM pg_namespace").fetchall()}


def add_store(admin: psycopg.Connection, namespace: str) -> None:
    """Add a store with one generation and three records."""
    with admin.transaction():
        admin.execute(
            format_statement("INSERT INTO {}.vecstore_store VALUES (%s, 'articles', %s)", namespace),
            [STORE, GENERATION],
        )
        _add_generation(admin, namespace, GENERATION)
        admin.execute(
            format_statement(
                'CREATE TABLE {}.{} (id text COLLATE "C" PRIMARY KEY, embedding vector(2))', namespace, GENERATION
            )
        )
        admin.execute(
            format_statement(
                "INSERT INTO {}.{} VALUES ('a', '[1,0]'), ('b', '[0,1]'), ('c', '[1,1]')", namespace, GENERATION
            )
        )


def add_standby(admin: psycopg.Connection, namespace: str) -> None:
    """Give the store a generation under construction, and a changed record that it must still copy."""
    with admin.transaction():
        _add_generation(admin, namespace, STANDBY)
        admin.execute(
            format_statement("UPDATE {}.vecstore_store SET standby = %s, standby_role = 'building'", namespace),
            [STANDBY],
        )
        admin.execute(format_statement("INSERT INTO {}.vecstore_change VALUES (%s, 'a')", namespace), [GENERATION])


def read_contents(admin: psycopg.Connection, namespace: str) -> list[Any]:
    """Return all rows of stores, generations and the store's records."""
    # The columns of the first revision: later ones add some.
    names = {
        "vecstore_store": sql.SQL("each"),
        "vecstore_generation": sql.SQL("(id, store, schema, identity, ef)"),
        f"vecstore_g_{GENERATION}": sql.SQL("each"),
    }
    statements = [
        sql.SQL("SELECT {}::text FROM {}.{} AS each ORDER BY 1").format(row, *map(sql.Identifier, (namespace, name)))
        for name, row in names.items()
    ]
    return [admin.execute(statement).fetchall() for statement in statements]


def _add_generation(admin: psycopg.Connection, namespace: str, id_: str) -> None:
    schema = json.dumps({"dim": 2, "metric": "cosine"})
    admin.execute(
        format_statement("INSERT INTO {}.vecstore_generation VALUES (%s, %s, %s)", namespace), [id_, STORE, schema]
    )


def format_statement(statement: str, namespace: str, generation: str | None = None) -> sql.Composed:
    """Fill a statement's placeholders with a namespace and a generation's table."""
    names = [namespace, *([f"vecstore_g_{generation}"] if generation else [])]
    return sql.SQL(statement).format(*map(sql.Identifier, names))


@contextmanager
def create_database(url: str) -> Iterator[str]:
    """Give the URL of an empty database, without the extension."""
    name = f"vecstore_{secrets.token_hex(8)}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
