"""Roles that write to a store go on writing while and after its owner rebuilds it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from tests.batches import batch, schema, vector_of
from tests.secrets import PASSWORD, change_url
from vecstore import Database, Rebuilt, Record, Schema, StorageFailed, VectorStore, fields

from .catalogues import list_tables
from .stores import open_database
from .tenants import grant_catalogue, make_role, read_table, run

WIDER = Schema(dim=schema().dim, metric="l2", fields={**schema().fields, "more": fields.Int()})


def widen(database: Database, name: str) -> Rebuilt:
    return database.rebuild(name, schema=WIDER)


def test_only_the_active_table_is_open_to_others(
    database: Database, store: VectorStore, admin: psycopg.Connection, namespace: str, role: str
) -> None:
    """The table that was replaced, which stays for a rollback, has the policies of its time."""
    run(admin, "GRANT USAGE ON SCHEMA {} TO {}", namespace, role)
    run(admin, "GRANT SELECT ON {} TO {}", read_table(admin, namespace, "a"), role)
    changes: list[Callable[[Database, str], Rebuilt]] = [widen, Database.rollback]
    for change in changes:
        change(database, "a")
        tables = [sql.Identifier(namespace, name) for name in list_tables(admin, namespace) if "_g_" in name]
        assert len(tables) == 2
        allowed = "SELECT has_table_privilege(%s, %s, 'SELECT')"
        readable = [each for each in tables if admin.execute(allowed, (role, each.as_string())).fetchone() == (True,)]
        assert readable == [read_table(admin, namespace, "a")]


@pytest.mark.parametrize("numbers", [True, False], ids=["with the sequence", "with tables only"])
def test_a_role_goes_on_working(
    database: Database,
    store: VectorStore,
    admin: psycopg.Connection,
    postgres_url: str,
    namespace: str,
    role: str,
    *,
    numbers: bool,
) -> None:
    grant_catalogue(admin, namespace, role, writes=True)
    if not numbers:
        run(admin, "REVOKE ALL ON SEQUENCE {} FROM {}", sql.Identifier(namespace, "vecstore_change_seq"), role)
    run(admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}", read_table(admin, namespace, "a"), role)
    with open_database(change_url(postgres_url, user=role, password=PASSWORD), namespace) as theirs:
        mine = theirs.open("a")
        changes: list[Callable[[Database, str], Rebuilt]] = [widen, Database.rollback]
        for number, change in enumerate(changes):
            mine.upsert([Record(f"x{number}", batch(2)[0].vector)])
            change(database, "a")
            assert mine.count() == 21 + number
            assert len(mine.search(vector_of(1), k=5)) == 5
            mine.upsert([Record(f"x{number}", batch(3)[0].vector)])
            assert mine.delete(ids=["nothing"]) == 0


def test_numbers_that_the_owner_of_the_store_may_not_share(
    database: Database, store: VectorStore, admin: psycopg.Connection, postgres_url: str, namespace: str
) -> None:
    with make_role(admin) as owner, make_role(admin) as writer:
        grant_catalogue(admin, namespace, owner, writes=True)
        run(admin, "GRANT ALL ON SCHEMA {} TO {}", namespace, owner)
        run(admin, "GRANT ALL ON ALL TABLES IN SCHEMA {} TO {}", namespace, owner)
        run(admin, "GRANT INSERT ON {} TO {}", sql.Identifier(namespace, "vecstore_change"), writer)
        run(admin, "ALTER TABLE {} OWNER TO {}", read_table(admin, namespace, "a"), owner)
        with open_database(change_url(postgres_url, user=owner, password=PASSWORD), namespace) as theirs:
            with pytest.raises(StorageFailed, match="GRANT USAGE ON SEQUENCE") as caught:
                theirs.rebuild("a", schema=WIDER)
            assert theirs._backend.find(name="a").standby is None
            for statement in str(caught.value).partition(" run: ")[2].split("; "):
                admin.execute(statement.encode())
            assert theirs.rebuild("a", schema=WIDER).copied == 20
        run(admin, "REASSIGN OWNED BY {} TO CURRENT_USER", owner)
