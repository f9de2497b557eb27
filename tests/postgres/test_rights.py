"""A role that lacks a right is told enough: the statements of the message, run as they are, make the call work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

import vecstore
from tests.batches import DIM, batch, vector_of
from tests.secrets import PASSWORD, change_url, check_secret_free
from vecstore import HNSW, Database, F, Schema, StorageFailed, Unsupported, VecstoreError, fields, migrate

from .catalogues import connect_engine, create_database, list_tables
from .stores import add_parameters, open_database, prepare_namespace
from .tenants import make_role, read_table, run

SCHEMA = Schema(dim=DIM, metric="l2", index=HNSW(m=8), fields={"tag": fields.Int(), "word": fields.Keyword()})
WIDER = replace(SCHEMA, fields={**SCHEMA.fields, "more": fields.Int()})
ROUNDS = 6
"""Statements of one call may have to be run one after the other, as one right hides the next."""

CALLS: dict[str, Callable[[Database], object]] = {
    "connect": lambda db: None,
    "names": lambda db: db.names(),
    "create": lambda db: db.create("new", SCHEMA),
    "open": lambda db: db.open("a"),
    "count": lambda db: db.open("a").count(),
    "count where": lambda db: db.open("a").count(F.tag == 1),
    "get": lambda db: db.open("a").get(["b00001-00"]),
    "scan": lambda db: list(db.open("a").scan()),
    "search": lambda db: db.open("a").search(vector_of(1), k=3),
    "search where": lambda db: db.open("a").search(vector_of(1), k=3, where=F.tag == 1),
    "exact search": lambda db: db.open("a").search(vector_of(1), k=3, exact=True),
    "upsert": lambda db: db.open("a").upsert(batch(2)),
    "upsert many": lambda db: db.open("a").upsert(batch(2, 200)),
    "insert": lambda db: db.open("a").insert(batch(3)),
    "insert many": lambda db: db.open("a").insert(batch(3, 200)),
    "update": lambda db: db.open("a").update(ids=["b00001-00"], metadata={"tag": 2, "note": 1}),
    "update where": lambda db: db.open("a").update(where=F.tag == 1, metadata={"tag": 2}),
    "delete": lambda db: db.open("a").delete(ids=["b00001-00"]),
    "delete where": lambda db: db.open("a").delete(where=F.tag == 1),
    "stats": lambda db: db.open("a").stats(),
    "verify": lambda db: db.open("a").verify(),
    "index status": lambda db: db.open("a").index_status(),
    "reindex": lambda db: db.open("a").reindex(),
    "calibrate": lambda db: db.open("a").calibrate(),
    "compact": lambda db: db.open("a").compact(),
    "rename": lambda db: db.rename("a", "b"),
    "drop": lambda db: db.drop("a"),
    "rebuild": lambda db: db.rebuild("a", schema=WIDER),
    "rollback": lambda db: db.rollback("a"),
    "drop previous": lambda db: db.drop_previous("a"),
}


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as database:
        database.create("a", replace(SCHEMA, dtype="float16")).upsert([*batch(1), *batch(4)])
        database.rebuild("a", schema=SCHEMA)
        yield database


def follow(admin: psycopg.Connection, error: VecstoreError) -> list[str]:
    """Run the statements of a message as they are."""
    check_secret_free(str(error), error)
    statements = str(error).partition(" run: ")[2].split("; ")
    assert statements != [""], error
    assert "mode=ro" not in str(error)
    for statement in statements:
        admin.execute(statement.encode())
    return statements


def repeat(admin: psycopg.Connection, call: Callable[[], object]) -> list[str]:
    """Make a call, do what its errors say, and repeat it until it works; return the statements."""
    done: list[str] = []
    for _ in range(ROUNDS):
        try:
            call()
        except StorageFailed as error:
            new = follow(admin, error)
            assert not set(new) & set(done), "the message says what was done already"
            done += new
        else:
            return done
    raise AssertionError(f"the advice is not enough: {done}")


def choose_calls() -> list[Any]:
    """Return all calls with both owners; most of them are for `make test-long`, since each makes a role."""
    every = [(call, owned) for call in CALLS for owned in (False, True)]
    return [
        pytest.param(
            *case,
            marks=[pytest.mark.long] * bool(number % 3),
            id=f"{case[0]}-of a {'role' if case[1] else 'superuser'}",
        )
        for number, case in enumerate(every)
    ]


@pytest.mark.parametrize("call, owned", choose_calls())
def test_the_statements_of_the_message_are_enough(
    database: Database,
    admin: psycopg.Connection,
    postgres_url: str,
    namespace: str,
    role: str,
    call: str,
    *,
    owned: bool,
) -> None:
    with make_role(admin) as owner:
        if owned:
            for table in list_tables(admin, namespace):
                run(admin, "ALTER TABLE {} OWNER TO {}", sql.Identifier(namespace, table), owner)
            run(admin, "ALTER SCHEMA {} OWNER TO {}", namespace, owner)
        url = add_parameters(change_url(postgres_url, user=quote(role), password=PASSWORD), namespace)

        def connect_and_call() -> None:
            with vecstore.connect(url) as theirs:
                CALLS[call](theirs)

        done = repeat(admin, connect_and_call)
        assert any(f'GRANT USAGE ON SCHEMA {namespace} TO "{role}"' in each for each in done)
        if owned:
            for table in list_tables(admin, namespace):
                run(admin, "ALTER TABLE {} OWNER TO CURRENT_USER", sql.Identifier(namespace, table))
            run(admin, "ALTER SCHEMA {} OWNER TO CURRENT_USER", namespace)


RIGHTS = {
    "SELECT on the records": ("REVOKE SELECT ON {t} FROM {r}", "GRANT SELECT ON {t} TO {r}", "search"),
    "INSERT": ("REVOKE INSERT ON {t} FROM {r}", "GRANT INSERT ON {t} TO {r}", "upsert"),
    "UPDATE": ("REVOKE UPDATE ON {t} FROM {r}", "GRANT UPDATE ON {t} TO {r}", "upsert"),
    "DELETE": ("REVOKE DELETE ON {t} FROM {r}", "GRANT DELETE ON {t} TO {r}", "delete"),
    "the catalogue": (
        "REVOKE SELECT ON {n}.vecstore_generation FROM {r}",
        "GRANT SELECT ON {n}.vecstore_generation TO {r}",
        "search",
    ),
    "the change list": (
        "REVOKE INSERT ON {n}.vecstore_change FROM {r}",
        "GRANT INSERT ON {n}.vecstore_change TO {r}",
        "upsert",
    ),
    "the sequence": (
        "REVOKE ALL ON SEQUENCE {n}.vecstore_change_seq FROM {r}",
        "GRANT USAGE ON SEQUENCE {n}.vecstore_change_seq TO {r}",
        "upsert",
    ),
    "the row lock": (
        "REVOKE UPDATE ON {n}.vecstore_store FROM {r}",
        "GRANT UPDATE ON {n}.vecstore_store TO {r}",
        "upsert",
    ),
    "the schema": ("REVOKE USAGE ON SCHEMA {n} FROM {r}", "GRANT USAGE ON SCHEMA {n} TO {r}", "count"),
    "making tables": ("REVOKE CREATE ON SCHEMA {n} FROM {r}", "GRANT CREATE ON SCHEMA {n} TO {r}", "create"),
}


@pytest.mark.parametrize("right", RIGHTS)
def test_exactly_the_missing_right_is_named(
    database: Database, admin: psycopg.Connection, postgres_url: str, namespace: str, role: str, right: str
) -> None:
    places = {"n": sql.Identifier(namespace), "r": sql.Identifier(role), "t": read_table(admin, namespace, "a")}
    for kind in ("SCHEMA {n}", "ALL TABLES IN SCHEMA {n}", "ALL SEQUENCES IN SCHEMA {n}"):
        admin.execute(sql.SQL("GRANT ALL ON " + kind + " TO {r}").format(**places))
    take, give, call = RIGHTS[right]
    with open_database(change_url(postgres_url, user=quote(role), password=PASSWORD), namespace) as theirs:
        CALLS["count"](theirs)
        admin.execute(sql.SQL(take).format(**places))
        with pytest.raises(StorageFailed) as caught:
            CALLS[call](theirs)
        wanted = sql.SQL(give).format(**places).as_string(admin).replace(f'"{namespace}"', namespace)
        assert follow(admin, caught.value) == [re.sub(r'"(vecstore_\w+)"', r"\1", wanted)]
        CALLS[call](theirs)


def test_a_right_to_a_function(
    database: Database, admin: psycopg.Connection, postgres_url: str, namespace: str
) -> None:
    with create_database(postgres_url) as url, psycopg.connect(url, autocommit=True) as link, make_role(link) as role:
        prepare_namespace(url, namespace)
        with open_database(url, namespace) as db:
            db.create("a", SCHEMA)
        for kind in ("SCHEMA {}", "ALL TABLES IN SCHEMA {}", "ALL SEQUENCES IN SCHEMA {}"):
            run(link, f"GRANT ALL ON {kind} TO {{}}", namespace, role)
        link.execute("REVOKE EXECUTE ON FUNCTION pg_advisory_xact_lock_shared(bigint) FROM PUBLIC")
        with open_database(change_url(url, user=quote(role), password=PASSWORD), namespace) as theirs:
            done = repeat(link, lambda: theirs.open("a").upsert(batch(1)))
        assert [each.partition(" TO ")[0] for each in done] == [
            "GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_xact_lock_shared(bigint)"
        ]


class TestMigrating:
    """`connect(migrate=True)` and `vecstore migrate` by a role without rights."""

    @pytest.mark.parametrize("state", ["nothing", "empty schema", "older catalogue"])
    def test_the_statements_of_the_message_are_enough(
        self, admin: psycopg.Connection, postgres_url: str, namespace: str, role: str, state: str
    ) -> None:
        if state == "empty schema":
            run(admin, "CREATE SCHEMA {}", namespace)
        if state == "older catalogue":
            with vecstore.connect(postgres_url, namespace=namespace, migrate=True):
                pass
            with connect_engine(postgres_url) as connection:
                migrate.downgrade(connection, "vs0001", namespace=namespace)
        url = change_url(postgres_url, user=quote(role), password=PASSWORD)
        done = repeat(admin, lambda: vecstore.connect(url, namespace=namespace, migrate=True).close())
        assert done
        run(admin, "DROP SCHEMA {} CASCADE", namespace)


class TestReadOnly:
    """What says why nothing can be written, and what to do."""

    def test_by_the_url(self, database: Database, postgres_url: str, namespace: str) -> None:
        with open_database(postgres_url, namespace, mode="ro") as theirs:
            store = theirs.open("a")
            with pytest.raises(Unsupported, match=r"connect without mode=ro"):
                store.upsert(batch(2))

    def test_by_the_role(
        self, database: Database, admin: psycopg.Connection, postgres_url: str, namespace: str, role: str
    ) -> None:
        run(admin, "GRANT ALL ON SCHEMA {} TO {}", namespace, role)
        run(admin, "GRANT ALL ON ALL TABLES IN SCHEMA {} TO {}", namespace, role)
        run(admin, "GRANT ALL ON ALL SEQUENCES IN SCHEMA {} TO {}", namespace, role)
        run(admin, "ALTER ROLE {} SET default_transaction_read_only = on", role)
        url = change_url(postgres_url, user=quote(role), password=PASSWORD)
        with open_database(url, namespace) as theirs:
            store = theirs.open("a")
            with pytest.raises(Unsupported, match="default_transaction_read_only") as caught:
                store.upsert(batch(2))
        assert "mode=ro" not in str(caught.value)
        admin.execute(str(caught.value).partition("run ")[2].partition(" (")[0].encode())
        with open_database(url, namespace) as theirs:
            theirs.open("a").upsert(batch(2))

    def test_a_role_that_may_read_is_not_told_of_writing(
        self, database: Database, admin: psycopg.Connection, postgres_url: str, namespace: str, role: str
    ) -> None:
        url = add_parameters(change_url(postgres_url, user=quote(role), password=PASSWORD), namespace, mode="ro")

        def read() -> None:
            with vecstore.connect(url) as theirs:
                theirs.open("a").search(vector_of(1), k=1)

        done = repeat(admin, read)
        assert not [each for each in done if re.search("INSERT|UPDATE|DELETE|CREATE", each)]
