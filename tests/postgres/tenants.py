"""Roles with few rights, and a store whose rows belong to tenants, as an application sets them up."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tests.batches import vector_of
from tests.secrets import PASSWORD
from vecstore import F, Hits, VectorStore

from .catalogues import format_statement, list_tables
from .stores import open_database

MINE, THEIRS = "w1", "w2"
COUNT = 40
"""Two tenants, and how many records each has."""


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


@contextmanager
def open_tenant(url: str, namespace: str, tenant: str = MINE) -> Iterator[VectorStore]:
    with open_database(url, namespace, options=f"-c app.tenant={tenant}") as database:
        yield database.open("a")


def list_words(hits: Hits) -> list[object]:
    return [hit.metadata and hit.metadata["word"] for hit in hits]


def check_own(store: VectorStore, word: str = MINE, count: int = COUNT) -> None:
    """Prove that a store shows one tenant's records, all of them, in each way of reading."""
    assert store.count() == count
    assert {record.metadata["word"] for record in store.scan()} == {word}
    for where in (None, F.tag >= 0, F.word == word):
        for exact in (False, True):
            hits = store.search(vector_of(5), k=2 * COUNT, where=where, exact=exact, include=("metadata",))
            assert (list_words(hits), hits.complete) == ([word] * min(count, 2 * COUNT), True)
    assert len(store.search(vector_of(5), k=7)) == min(7, count)
    assert store.count(F.word != word) == len(store.search(vector_of(5), k=5, where=F.word != word)) == 0


class Observer:
    """Reads every table of records with the tenant's rights and raw SQL."""

    def __init__(self, url: str, namespace: str) -> None:
        self._link = psycopg.connect(url, autocommit=True, options=f"-c app.tenant={MINE}")
        self._namespace = namespace
        self.seen = 0

    def look(self) -> None:
        tables = [name for name in list_tables(self._link, self._namespace) if name.startswith("vecstore_g_")]
        shown = [self._read(name) for name in tables]
        assert all(words <= {MINE} for words in shown), shown
        self.seen += any(shown)

    def _read(self, table: str) -> set[str]:
        query = sql.SQL("SELECT DISTINCT f_word FROM {}").format(sql.Identifier(self._namespace, table))
        try:
            return {word for (word,) in self._link.execute(query)}
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
            return set()

    def close(self) -> None:
        self._link.close()
