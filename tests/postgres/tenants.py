"""Roles with few rights, and a store whose rows belong to tenants, as an application sets them up."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tests.secrets import PASSWORD

from .catalogues import format_statement

CATALOGUE = "vecstore_store, {0}.vecstore_generation, {0}.vecstore_change"


@contextmanager
def make_role(admin: psycopg.Connection, options: str = "") -> Iterator[str]:
    """Create a role that may log in; its name has to be quoted."""
    name = f"Role {secrets.token_hex(4)}"
    create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}")
    admin.execute(create.format(sql.Identifier(name), sql.Literal(PASSWORD), sql.SQL(options)))
    try:
        yield name
    finally:
        admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def read_table(admin: psycopg.Connection, namespace: str, store: str) -> sql.Identifier:
    """Return the table of a store's active generation."""
    where = format_statement("SELECT active FROM {}.vecstore_store WHERE name = %s", namespace)
    [(generation,)] = admin.execute(where, (store,)).fetchall()
    return sql.Identifier(namespace, f"vecstore_g_{generation}")


def run(admin: psycopg.Connection, statement: str, *names: str | sql.Composable) -> None:
    """Run a statement with names in its places."""
    parts = [sql.Identifier(each) if isinstance(each, str) else each for each in names]
    admin.execute(sql.SQL(statement).format(*parts))


def grant_catalogue(admin: psycopg.Connection, namespace: str, role: str, *, writes: bool) -> None:
    """Let a role read the catalogue, and write as much of it as its writes need."""
    run(admin, "GRANT USAGE ON SCHEMA {} TO {}", namespace, role)
    for table in ("vecstore_store", "vecstore_generation", "vecstore_alembic_version"):
        run(admin, "GRANT SELECT ON {} TO {}", sql.Identifier(namespace, table), role)
    if writes:
        run(admin, "GRANT UPDATE ON {} TO {}", sql.Identifier(namespace, "vecstore_store"), role)
        run(admin, "GRANT SELECT, INSERT, UPDATE ON {} TO {}", sql.Identifier(namespace, "vecstore_change"), role)
        run(admin, "GRANT USAGE ON SEQUENCE {} TO {}", sql.Identifier(namespace, "vecstore_change_seq"), role)
