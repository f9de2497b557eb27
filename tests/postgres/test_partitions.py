"""Divided stores: which graphs a search walks, what belongs to which table, interrupted builds, older versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import numpy as np
import psycopg
import pytest
from psycopg import sql

from tests.batches import batch, schema
from tests.secrets import PASSWORD, change_url
from vecstore import (
    HNSW,
    Database,
    F,
    Record,
    Schema,
    StorageFailed,
    Unsupported,
    VectorStore,
    fields,
)
from vecstore import schema as schemas
from vecstore.backends.postgres import search
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.column_types import PackedQuery, register_types

from .places import PostgresPlace
from .stores import open_database
from .tenants import make_role, read_table, run
from .test_table_properties import describe, publication

__all__ = ["publication"]

ROWS = 16_000
PARTS = 4
K = 10
DIVIDED = schema().with_partitions(PARTS)
WIDER = Schema(dim=schema().dim, metric="l2", fields={**schema().fields, "more": fields.Int()})


@pytest.fixture(scope="module")
def large(postgres_url: str) -> Iterator[tuple[PostgresPlace, VectorStore, PostgresBackend]]:
    """A divided store that is large enough for the server to prefer graphs."""
    place = PostgresPlace(postgres_url, min_rows=ROWS // 2)
    draw = np.random.default_rng(5).standard_normal((ROWS, 16)).astype(np.float32)
    index = HNSW(m=8, ef_construction=40, target_recall=0.5)
    with place.connect() as db:
        store = db.create("shelf", Schema(16, "l2", "float32", index, {"n": fields.Int()}, partitions=PARTS))
        store.insert(Record(str(n), v, "text", {"n": n}) for n, v in enumerate(draw))
        assert store.index_status().ef is not None
        assert isinstance(db._backend, PostgresBackend)
        yield place, store, db._backend
    place.close()


def explain(large: tuple[PostgresPlace, VectorStore, PostgresBackend], *, exact: bool) -> list[dict[str, Any]]:
    """Return the nodes of a plan that were executed, from the top down."""
    place, store, backend = large
    generation = backend.find(name=store.name).active
    layout = backend._layouts.get(generation)
    build = search.compile_exact_search if exact else search.compile_search
    wish = search.SearchStatement(layout, None, frozenset({"text"}), K, single=True, standby=False)
    statement = build(backend._tables, wish)
    values = {"query": PackedQuery(np.ones((1, 16), np.float32)), "ef": None, "generation": generation.id}
    with psycopg.connect(place.server, autocommit=True) as link:
        register_types(link, backend._server.oids)
        text = "EXPLAIN (ANALYZE, FORMAT JSON) " + statement.text
        [plan] = link.execute(text, {**statement.constants, **values}).fetchone() or ([],)
    found = json.loads(plan) if isinstance(plan, str) else plan
    return list(walk(found[0]["Plan"]))


def walk(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if plan["Actual Loops"]:
        yield plan
        for each in plan.get("Plans", []):
            yield from walk(each)


def test_a_search_walks_every_graph_and_merges_no_more_than_it_needs(
    large: tuple[PostgresPlace, VectorStore, PostgresBackend],
) -> None:
    nodes = explain(large, exact=False)
    graphs = [node for node in nodes if "_h_" in node.get("Index Name", "")]
    assert len({node["Index Name"] for node in graphs}) == len(graphs) == PARTS
    assert all(1 <= node["Actual Rows"] <= K for node in graphs)
    assert sum(node["Actual Rows"] for node in graphs) <= K + PARTS
    [merge] = [node for node in nodes if node["Node Type"] == "Merge Append"]
    assert merge["Actual Rows"] == K
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan" and "_g_" in node["Relation Name"]]


def test_an_exact_search_walks_none(large: tuple[PostgresPlace, VectorStore, PostgresBackend]) -> None:
    nodes = explain(large, exact=True)
    assert not [node for node in nodes if "_h_" in node.get("Index Name", "")]
    assert len([node for node in nodes if node["Node Type"] == "Seq Scan" and "_g_" in node["Relation Name"]]) == PARTS


def test_filters_and_completeness_over_graphs(large: tuple[PostgresPlace, VectorStore, PostgresBackend]) -> None:
    _, store, _ = large
    query = np.ones(16, np.float32)
    for where, matching in ((F.n >= 4_000, 12_000), (F.n < 8_000, 8_000), (F.n < 700, 700), (F.n < 3, 3)):
        for k in (1, 10, 120):
            hits = store.search(query, k, where=where)
            assert len(hits) == min(k, matching)
            assert len({hit.id for hit in hits}) == len(hits)
        exact = store.search(query, K, where=where, exact=True)
        few = store.search(query, K, where=where)
        if matching < 5_000:
            assert [hit.id for hit in few] == [hit.id for hit in exact]
    assert len(store.search(query, 400)) == 400


def list_parts(admin: psycopg.Connection, table: sql.Identifier) -> list[sql.Identifier]:
    rows = admin.execute(
        "SELECT nspname, relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE inhparent = %s::regclass ORDER BY length(relname), relname",
        (table.as_string(admin),),
    ).fetchall()
    return [sql.Identifier(*row) for row in rows]


def read_classes(admin: psycopg.Connection, tables: list[sql.Identifier]) -> list[tuple[Any, ...]]:
    """Return owner, options, replica identity and who else has rights, of each table."""
    query = (
        "SELECT pg_get_userbyid(relowner), reloptions, relreplident::text, ARRAY(SELECT grantee::regrole::text "
        "FROM aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE grantee <> relowner) "
        "FROM pg_class WHERE oid = %s::regclass"
    )
    return [row for each in tables for row in admin.execute(query, (each.as_string(admin),)).fetchall()]


@pytest.fixture
def divided(database: Database) -> VectorStore:
    store = database.create("a", DIVIDED)
    store.upsert(batch(1))
    return store


@pytest.mark.parametrize("way", [(1, 4), (4, 4), (4, 1), (4, 2)], ids=str)
def test_what_belongs_to_the_table_is_carried(
    database: Database, admin: psycopg.Connection, namespace: str, role: str, publication: str, way: tuple[int, int]
) -> None:
    before_n, after_n = way
    store = database.create("a", schema().with_partitions(before_n))
    store.upsert(batch(1))
    table = read_table(admin, namespace, "a")
    run(admin, "ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT ON TABLES TO PUBLIC", namespace)
    for each in list_parts(admin, table) or [table]:
        run(admin, "ALTER TABLE {} SET (fillfactor = 70); ALTER TABLE {} REPLICA IDENTITY FULL", each, each)
    run(admin, "GRANT SELECT, INSERT ON {} TO {}; ALTER PUBLICATION {} ADD TABLE {}", table, role, publication, table)
    run(admin, "ALTER TABLE {} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {} USING (f_tag > 0)", table, table)
    run(admin, "COMMENT ON TABLE {} IS 'mine'; ALTER TABLE {} ALTER body SET STATISTICS 500", table, table)
    run(admin, "ALTER TABLE {} OWNER TO {}", table, role)
    run(admin, "GRANT {} TO CURRENT_USER", role)
    before = describe(admin, table)
    database.rebuild("a", schema=WIDER.with_partitions(after_n))
    now = read_table(admin, namespace, "a")
    found = describe(admin, now)
    for what in ("owner", "row security", "rights", "policies", "comments"):
        assert found[what] == before[what], what
    published = admin.execute(
        "SELECT count(*) FROM pg_publication_rel WHERE prrelid = %s::regclass", (now.as_string(admin),)
    )
    assert published.fetchone() == (1,)
    parts = list_parts(admin, now)
    assert len(parts) == (after_n if after_n > 1 else 0)
    for owner, options, identity, others in read_classes(admin, parts or [now]):
        assert (owner, options, identity) == (role, ["fillfactor=70"], "f")
        assert others == ([] if parts else others)
    assert store.count() == len(batch(1))


def test_partitions_that_differ_stay_different_or_are_refused(
    database: Database, divided: VectorStore, admin: psycopg.Connection, namespace: str
) -> None:
    table = read_table(admin, namespace, "a")
    run(admin, "ALTER TABLE {} SET (fillfactor = 50)", list_parts(admin, table)[2])
    with pytest.raises(Unsupported, match="into another number of partitions"):
        database.rebuild("a", schema=WIDER)
    assert read_table(admin, namespace, "a") == table
    database.rebuild("a", schema=WIDER.with_partitions(PARTS))
    parts = list_parts(admin, read_table(admin, namespace, "a"))
    assert [row[1] for row in read_classes(admin, parts)] == [None, None, ["fillfactor=50"], None]


REFUSED = {
    "an index of a partition": ("CREATE INDEX mine ON {p} (version)", "index .*mine"),
    "an index of the table": ("CREATE INDEX mine ON {t} (version)", "index .*mine"),
    "a trigger of the table": (
        "CREATE TRIGGER mine BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "carry: trigger mine on [^,]*Drop",
    ),
    "a policy of a partition": ("CREATE POLICY mine ON {p} USING (true)", "policy mine"),
    "a partition in a publication": ("ALTER PUBLICATION {pub} ADD TABLE {p}", "publication relation"),
    "a view of a partition": ("CREATE VIEW {n}.mine AS SELECT id FROM {p}", "view .*mine"),
    "a check": ("ALTER TABLE {t} ADD CONSTRAINT mine CHECK (version >= 0)", "table constraint mine"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_carried_is_named(
    database: Database, divided: VectorStore, admin: psycopg.Connection, namespace: str, publication: str, what: str
) -> None:
    table = read_table(admin, namespace, "a")
    statement, named = REFUSED[what]
    places = {
        "t": table,
        "p": list_parts(admin, table)[1],
        "n": sql.Identifier(namespace),
        "pub": sql.Identifier(publication),
    }
    admin.execute(sql.SQL(statement).format(**places))
    with pytest.raises(Unsupported, match=named):
        database.rebuild("a", schema=WIDER)
    assert read_table(admin, namespace, "a") == table


def test_an_owner_of_the_table_without_its_partitions_is_told(
    postgres_url: str, divided: VectorStore, admin: psycopg.Connection, namespace: str
) -> None:
    table = read_table(admin, namespace, "a")
    with make_role(admin) as role:
        run(admin, "GRANT USAGE, CREATE ON SCHEMA {} TO {}", namespace, role)
        run(admin, "GRANT ALL ON ALL TABLES IN SCHEMA {} TO {}", namespace, role)
        run(admin, "ALTER TABLE {} OWNER TO {}", table, role)
        with open_database(change_url(postgres_url, user=quote(role), password=PASSWORD), namespace) as theirs:
            store = theirs.open("a")
            assert store.count() == len(batch(1))
            with pytest.raises(StorageFailed, match=r"owner of table .*_p3"):
                store.reindex(HNSW())


def test_a_version_without_partitions_refuses_the_store(
    database: Database, divided: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {name: default for name, default in schemas._LATER.items() if name != "partitions"}
    monkeypatch.setattr(schemas, "_LATER", MappingProxyType(known))
    with pytest.raises(Unsupported, match="newer"):
        database.open("a")


@pytest.mark.long
def test_a_table_of_many_partitions(database: Database, admin: psycopg.Connection, namespace: str) -> None:
    store = database.create("many", schema().with_partitions(256))
    store.upsert(batch(1))
    assert len(list_parts(admin, read_table(admin, namespace, "many"))) == 256
    assert store.count() == len(batch(1))
    assert store.delete(ids=[record.id for record in batch(1)]) == len(batch(1))
    database.drop("many")
    assert database.names() == []


def test_verify_misses_a_partition_that_was_detached(
    divided: VectorStore, admin: psycopg.Connection, namespace: str
) -> None:
    assert divided.verify().ok
    find = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relname ~ '^vecstore_g_.*_p1$'"
    [(name,)] = admin.execute(find, (namespace,)).fetchall()
    part = sql.Identifier(namespace, name)
    run(admin, "ALTER TABLE {} DETACH PARTITION {}", read_table(admin, namespace, "a"), part)
    [problem] = divided.verify().problems
    assert "3 of 4 partitions are attached" in problem
    run(admin, "DROP TABLE {}", part)


@pytest.mark.parametrize("way", [(1, 4), (4, 1), (4, 2)], ids=str)
def test_what_is_written_while_the_number_changes_is_there(database: Database, way: tuple[int, int]) -> None:
    before, after = way
    store = database.create("a", schema().with_partitions(before))
    plain = database.create("plain", schema())
    for each in (store, plain):
        each.upsert(batch(1))
    calls = list[str]()

    def write(phase: str, done: int, total: int | None) -> None:
        calls.append(phase)
        if len(calls) > 3:
            return
        for each in (store, plain):
            each.upsert(batch(1 + len(calls)))
            each.delete(ids=[batch(1)[len(calls)].id])

    database.rebuild("a", schema=schema().with_partitions(after), on_progress=write)
    assert len(calls) >= 3
    assert database.open("a").schema.partitions == after
    assert store.digest() == plain.digest()
