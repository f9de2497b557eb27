"""What belongs to a store's table besides its records stays over a rebuild, or the rebuild is refused."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.batches import schema
from vecstore import Database, Rebuilt, Schema, Unsupported, VectorStore, fields

from .catalogues import list_tables
from .tenants import make_role, read_table, run

WIDER = Schema(dim=schema().dim, metric="l2", fields={**schema().fields, "more": fields.Int()})

_OF_TABLE: dict[str, str] = {
    "owner": "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %(t)s::regclass",
    "row security": "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %(t)s::regclass",
    "rights": """SELECT grantee::regrole::text, privilege_type, is_grantable FROM pg_class, aclexplode(relacl)
        WHERE oid = %(t)s::regclass""",
    "rights to columns": """SELECT attname, grantee::regrole::text, privilege_type, is_grantable
        FROM pg_attribute, aclexplode(attacl) WHERE attrelid = %(t)s::regclass""",
    "policies": """SELECT policyname, permissive, roles::text, cmd, replace(qual, tablename, 'T'),
        replace(with_check, tablename, 'T') FROM pg_policies WHERE (quote_ident(schemaname) || '.' || tablename) = %(t)s
        ORDER BY 1""",
    "comments of policies": """SELECT polname, obj_description(oid, 'pg_policy') FROM pg_policy
        WHERE polrelid = %(t)s::regclass ORDER BY 1""",
    "comments": """SELECT objsubid, description FROM pg_description WHERE objoid = %(t)s::regclass
        AND classoid = 'pg_class'::regclass ORDER BY 1""",
    "options": """SELECT (SELECT array_agg(o ORDER BY o) FROM unnest(reloptions) o), relreplident, relpersistence
        FROM pg_class WHERE oid = %(t)s::regclass""",
    "toast": """SELECT toast.reloptions FROM pg_class t JOIN pg_class toast ON toast.oid = t.reltoastrelid
        WHERE t.oid = %(t)s::regclass""",
    "columns": """SELECT attname, nullif(attstattarget, -1), attoptions, attstorage, attcompression FROM pg_attribute
        WHERE attrelid = %(t)s::regclass AND attnum > 0 AND attname <> 'f_more' ORDER BY 1""",
    "publications": """SELECT pubname, array_remove(attnames, 'f_more'), rowfilter FROM pg_publication_tables
        WHERE (quote_ident(schemaname) || '.' || tablename) = %(t)s ORDER BY 1""",
}


def widen(database: Database, name: str) -> Rebuilt:
    return database.rebuild(name, schema=WIDER)


def narrow(database: Database, name: str) -> Rebuilt:
    return database.rebuild(name, schema=schema())


def describe(admin: psycopg.Connection, table: sql.Identifier) -> dict[str, Any]:
    name = {"t": table.as_string(admin)[1:].replace('"."', ".").replace('"', "")}
    return {what: sorted(map(repr, admin.execute(query, name).fetchall())) for what, query in _OF_TABLE.items()}


@pytest.fixture
def other(admin: psycopg.Connection) -> Iterator[str]:
    with make_role(admin) as name:
        yield name


@pytest.fixture
def publication(admin: psycopg.Connection) -> Iterator[str]:
    name = f"Pub {secrets.token_hex(4)}"
    run(admin, "CREATE PUBLICATION {} WITH (publish = 'insert')", name)
    yield name
    run(admin, "DROP PUBLICATION {}", name)


CARRIED: dict[str, str] = {
    "owner": "ALTER TABLE {t} OWNER TO {r}",
    "rights": "GRANT SELECT, INSERT ON {t} TO {r}; GRANT DELETE ON {t} TO {o} WITH GRANT OPTION",
    "rights of everybody": "GRANT SELECT ON {t} TO PUBLIC",
    "rights to columns": "GRANT SELECT (id, f_tag), UPDATE (body) ON {t} TO {r}; GRANT SELECT (id) ON {t} TO PUBLIC",
    "a right that the owner gave up": "REVOKE TRUNCATE ON {t} FROM CURRENT_USER",
    "no rights at all": "REVOKE ALL ON {t} FROM CURRENT_USER",
    "row security": "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY",
    "forced row security": "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    "a policy": """ALTER TABLE {t} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY "who's it" ON {t} AS RESTRICTIVE FOR UPDATE TO {r}, {o} USING (f_word = 'it''s 100%')
            WITH CHECK (f_tag > 1);
        CREATE POLICY all_rows ON {t} USING (true);
        COMMENT ON POLICY all_rows ON {t} IS 'they''re all'""",
    "a policy that asks another table": """CREATE TABLE {n}.allowed (tag bigint);
        CREATE POLICY p ON {t} FOR SELECT USING (EXISTS (SELECT FROM {n}.allowed a WHERE a.tag = f_tag))""",
    "comments": """COMMENT ON TABLE {t} IS 'it''s "100%"'; COMMENT ON COLUMN {t}.body IS '%s {{}}'""",
    "options": """ALTER TABLE {t} SET (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
        ALTER TABLE {t} REPLICA IDENTITY FULL""",
    "unlogged": "ALTER TABLE {t} SET UNLOGGED",
    "columns": """ALTER TABLE {t} ALTER body SET STATISTICS 500, ALTER body SET STORAGE EXTERNAL,
        ALTER body SET (n_distinct = 7), ALTER extra SET COMPRESSION pglz""",
    "publications": "ALTER PUBLICATION {p} ADD TABLE {t}",
    "a publication of columns and rows": "ALTER PUBLICATION {p} ADD TABLE {t} (id, f_word) WHERE (f_word = 'it''s')",
}


@pytest.mark.parametrize("what", CARRIED)
def test_it_is_carried(
    database: Database,
    store: VectorStore,
    admin: psycopg.Connection,
    namespace: str,
    role: str,
    other: str,
    publication: str,
    what: str,
) -> None:
    table = read_table(admin, namespace, "a")
    names = {"n": namespace, "r": role, "o": other, "p": publication}
    places = {"t": table, **{key: sql.Identifier(name) for key, name in names.items()}}
    admin.execute(sql.SQL(CARRIED[what]).format(**places))
    before = describe(admin, table)
    kept = sorted(record.id for record in store.scan())
    for change in (widen, Database.rollback):
        change(database, "a")
        now = read_table(admin, namespace, "a")
        assert now != table
        table, found = now, describe(admin, now)
        for each, value in before.items():
            known = found[each] if each != "rights" or value else value
            assert known == value, each
        assert sorted(record.id for record in store.scan()) == kept


REFUSED: dict[str, tuple[str, str]] = {
    "a view": ('CREATE VIEW {n}."my view" AS SELECT id FROM {t}', 'view .*"my view"'),
    "a materialized view": ("CREATE MATERIALIZED VIEW {n}.mine AS SELECT id FROM {t}", "materialized view .*mine"),
    "a trigger": (
        "CREATE TRIGGER mine BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger mine",
    ),
    "a rule": ("CREATE RULE mine AS ON DELETE TO {t} DO INSTEAD NOTHING", "rule mine"),
    "an index": ("CREATE INDEX mine ON {t} (version)", "index .*mine"),
    "an expression index": ("CREATE INDEX mine ON {t} (lower(body))", "index .*mine"),
    "a unique constraint": ("ALTER TABLE {t} ADD CONSTRAINT mine UNIQUE (f_tag, id)", "table constraint mine"),
    "a check": ("ALTER TABLE {t} ADD CONSTRAINT mine CHECK (version >= 0)", "table constraint mine"),
    "a foreign key to it": ("CREATE TABLE {n}.notes (id text REFERENCES {t})", "constraint .*notes"),
    "a foreign key of it": (
        'CREATE TABLE {n}.words (w text COLLATE "C" PRIMARY KEY); '
        "ALTER TABLE {t} ADD CONSTRAINT mine FOREIGN KEY (f_word) REFERENCES {n}.words NOT VALID",
        "table constraint mine",
    ),
    "a column": ("ALTER TABLE {t} ADD tenant text", "column tenant"),
    "a default": ("ALTER TABLE {t} ALTER body SET DEFAULT ''", "default value"),
    "a generated column": ("ALTER TABLE {t} ADD n int GENERATED ALWAYS AS (length(body)) STORED", "column n"),
    "a child": ("CREATE TABLE {n}.child () INHERITS ({t})", "table .*child"),
    "a parent": ("CREATE TABLE {n}.parent (); ALTER TABLE {t} INHERIT {n}.parent", "parent table .*parent"),
    "statistics": ("CREATE STATISTICS {n}.mine ON f_tag, f_word FROM {t}", "statistics object .*mine"),
    "a function": (
        "CREATE FUNCTION {n}.mine() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM {t}; END",
        "function .*mine",
    ),
    "a function of its rows": (
        "CREATE FUNCTION {n}.mine(r {t}) RETURNS text LANGUAGE sql RETURN r.id",
        "function .*mine",
    ),
    "a sequence": ("CREATE SEQUENCE {n}.mine OWNED BY {t}.version", "sequence .*mine"),
    "a column that the policy of another table needs": (
        "CREATE TABLE {n}.notes (id text); "
        "CREATE POLICY mine ON {n}.notes USING (EXISTS (SELECT FROM {t} r WHERE r.id = notes.id))",
        "policy mine",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_before_anything_is_copied(
    database: Database, store: VectorStore, admin: psycopg.Connection, namespace: str, what: str
) -> None:
    database.rebuild("a", schema=WIDER)
    table = read_table(admin, namespace, "a")
    statement, named = REFUSED[what]
    admin.execute(sql.SQL(statement).format(t=table, n=sql.Identifier(namespace)))
    tables = list_tables(admin, namespace)
    for change in (narrow, Database.rollback):
        with pytest.raises(Unsupported, match=named) as caught:
            change(database, "a")
        assert table.as_string(admin).rpartition(".")[2].strip('"') in str(caught.value)
    assert read_table(admin, namespace, "a") == table
    assert list_tables(admin, namespace) == tables, "a table was made to copy to"


def test_a_policy_on_a_column_that_goes_is_refused(
    database: Database, store: VectorStore, admin: psycopg.Connection, namespace: str
) -> None:
    table = read_table(admin, namespace, "a")
    run(admin, "CREATE POLICY by_tag ON {} USING (f_tag = 1)", table)
    without = Schema(dim=schema().dim, metric="l2", fields={"word": fields.Keyword()})
    with pytest.raises(Unsupported, match=r"policy by_tag.*column"):
        database.rebuild("a", schema=without)
    assert read_table(admin, namespace, "a") == table
    run(admin, "DROP POLICY by_tag ON {}", table)
    assert database.rebuild("a", schema=without).copied == 20


def test_default_rights_do_not_widen_what_others_see(
    database: Database, store: VectorStore, admin: psycopg.Connection, namespace: str, role: str
) -> None:
    run(admin, "ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT ON TABLES TO {}, PUBLIC", namespace, role)
    seen: list[Any] = []
    tables = """SELECT count(*) FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'
        AND starts_with(relname, 'vecstore_g_') AND has_table_privilege(%s, oid, 'SELECT')"""

    def look(phase: str, done: int, total: int | None) -> None:
        seen.append(admin.execute(tables, (namespace, role)).fetchone())

    before = admin.execute(tables, (namespace, role)).fetchone()
    database.rebuild("a", schema=WIDER, on_progress=look)
    look("copying", 0, 0)
    assert len(seen) >= 2
    assert set(seen) == {before}


def test_what_changes_while_it_runs_is_not_lost(
    database: Database, store: VectorStore, admin: psycopg.Connection, namespace: str, role: str, publication: str
) -> None:
    table = read_table(admin, namespace, "a")
    run(admin, "CREATE POLICY early ON {} USING (true)", table)

    def change(phase: str, done: int, total: int | None) -> None:
        if phase != "copying":
            return
        run(admin, "DROP POLICY early ON {}", table)
        run(admin, "CREATE POLICY late ON {} USING (f_tag = 1)", table)
        run(admin, "ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table)
        run(admin, "COMMENT ON TABLE {} IS 'late'", table)
        run(admin, "GRANT SELECT ON {} TO {}", table, role)
        run(admin, "ALTER PUBLICATION {} ADD TABLE {}", publication, table)

    database.rebuild("a", schema=WIDER, on_progress=change)
    now = describe(admin, read_table(admin, namespace, "a"))
    assert [text.split("'")[1] for text in now["policies"]] == ["late"]
    assert now["row security"] == ["(True, False)"]
    assert "late" in now["comments"][0]
    assert any(role in text for text in now["rights"])
    assert publication in now["publications"][0]


def test_what_comes_while_it_runs_and_cannot_be_carried_stops_the_switch(
    database: Database, store: VectorStore, admin: psycopg.Connection, namespace: str
) -> None:
    table = read_table(admin, namespace, "a")
    with pytest.raises(Unsupported, match=r"view .*mine"):
        database.rebuild(
            "a",
            schema=WIDER,
            on_progress=lambda *_: run(admin, "CREATE OR REPLACE VIEW {}.mine AS SELECT id FROM {}", namespace, table),
        )
    assert read_table(admin, namespace, "a") == table
    run(admin, "DROP VIEW {}.mine", namespace)
    assert database.rebuild("a", schema=WIDER).copied == 0
