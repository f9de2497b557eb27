"""Undeclared metadata in PostgreSQL: what stands in the table, and which index a condition uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.postgres.places import PostgresPlace
from vecstore import F, Flat, Record, Schema, VectorStore
from vecstore.backends.postgres import filters, reads
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.filters import Filter
from vecstore.filters.binding import bind
from vecstore.testing.undeclared_keys import VALUES

ROWS = 12_000


@pytest.fixture(scope="module")
def place(postgres_url: str) -> Iterator[PostgresPlace]:
    place = PostgresPlace(postgres_url)
    yield place
    place.close()


@pytest.fixture(scope="module")
def store(place: PostgresPlace) -> Iterator[VectorStore]:
    with place.connect() as db:
        store = db.create("keys", Schema(2, index=Flat(), dynamic=True))
        store.insert(
            Record(f"r{n:05}", [1.0, n], metadata={"n": n, "parity": n % 2, "path": {"to": str(n)}, "tags": [n]})
            for n in range(ROWS)
        )
        backend = store._backend
        assert isinstance(backend, PostgresBackend)
        with psycopg.connect(place.server, autocommit=True) as link:
            link.execute(sql.SQL("VACUUM ANALYZE {}").format(get_table(store)))
        yield store


def get_table(store: VectorStore) -> sql.Identifier:
    backend = store._backend
    assert isinstance(backend, PostgresBackend)
    table = backend._layouts.get(backend.find(name=store.name).active).table
    return sql.Identifier(str(table.schema), table.name)


def list_node_types(plan: Any) -> set[str]:
    return {plan["Node Type"]}.union(*map(list_node_types, plan.get("Plans", [])))


def explain_count(place: PostgresPlace, store: VectorStore, where: Filter) -> set[str]:
    backend = store._backend
    assert isinstance(backend, PostgresBackend)
    generation = backend.find(name=store.name).active
    layout = backend._layouts.get(generation)
    bound = bind(where, generation.schema)
    assert bound is not None
    statement = reads.compile_count(backend._tables, layout, filters.make_condition(bound, layout), standby=False)
    values = {**statement.constants, "generation": generation.id, **filters.list_values(bound, layout)}
    with psycopg.connect(place.server, autocommit=True) as link:
        [plan] = link.execute(("EXPLAIN (FORMAT JSON) " + statement.text).encode(), values).fetchone() or ([],)
    found = json.loads(plan) if isinstance(plan, str) else plan
    return list_node_types(found[0]["Plan"])


@pytest.mark.parametrize(
    "where, count",
    [
        (F["n"] == 77, 1),
        (F["n"].in_([1, 2, 3]), 3),
        (F.path("path", "to") == "77", 1),
        (F["tags"] == [77], 1),
        (F["tags"].contains(77), 1),
        (F["tags"].contains_any([1, 2]), 2),
    ],
)
def test_equality_and_containment_use_the_index(
    place: PostgresPlace, store: VectorStore, where: Filter, count: int
) -> None:
    assert store.count(where) == count
    assert "Bitmap Index Scan" in explain_count(place, store, where)


def test_an_order_reads_the_rows(place: PostgresPlace, store: VectorStore) -> None:
    assert store.count(F["n"] >= ROWS - 5) == 5
    assert "Bitmap Index Scan" not in explain_count(place, store, F["n"] >= ROWS - 5)


def test_the_table_has_canonical_values_beside_the_spelling(place: PostgresPlace) -> None:
    with place.connect() as db, psycopg.connect(place.server, autocommit=True) as link:
        store = db.create("spelled", Schema(2, index=Flat(), dynamic=True))
        store.insert([Record("a", [1.0, 0.0], metadata={"big": 2**53 + 1, "gone": {"x": None}, "n": 1})])
        read = sql.SQL("SELECT extra::text, extra_values::text FROM {} WHERE id = 'a'").format(get_table(store))
        [found] = link.execute(read).fetchall()
        assert found[0] == '{"big":9007199254740993,"gone":{"x":null},"n":1}'
        assert json.loads(found[1]) == {"big": 2**53, "gone": {}, "n": 1}
        store.update(ids=["a"], metadata={"n": [1, True], "new": -0.0}, unset=["big"])
        [found] = link.execute(read).fetchall()
        assert found[0] == '{"gone":{"x":null},"n":[1,true],"new":-0.0}'
        assert json.loads(found[1]) == {"gone": {}, "n": [1, True], "new": 0}
        store.delete(ids=["a"])
        assert link.execute(read).fetchall() == []


def test_other_stores_have_no_such_column(place: PostgresPlace) -> None:
    with place.connect() as db, psycopg.connect(place.server, autocommit=True) as link:
        store = db.create("plain", Schema(2, index=Flat()))
        named = link.execute(sql.SQL("SELECT * FROM {}").format(get_table(store))).description or []
        assert "extra_values" not in {each.name for each in named}


def test_verify_compares_the_copy_with_the_metadata(place: PostgresPlace) -> None:
    with place.connect() as db, psycopg.connect(place.server, autocommit=True) as link:
        store = db.create("compared", Schema(2, index=Flat(), dynamic=True))
        store.insert(Record(name, [1.0, 0.0], metadata={"k": value}) for name, value in VALUES.items())
        store.insert(Record(f"more-{number:04}", [1.0, 0.0], metadata={"n": number}) for number in range(6_000))
        assert store.verify().ok
        spoil = sql.SQL("UPDATE {} SET extra_values = {} WHERE id = {}")
        for id_, value in (("a", "{}"), ("more-5999", '{"n": 1}'), ("true", '{"k": 1}'), ("list", None)):
            link.execute(spoil.format(get_table(store), sql.Literal(value), sql.Literal(id_)))
        found = store.verify()
        assert not found.ok
        [problem] = found.problems
        assert problem.startswith("4 records have other metadata")
        assert "'a', 'list', 'more-5999', 'true'" in problem
        store.upsert(record for record in store.get(["a", "list", "more-5999", "true"]) if record)
        assert store.verify().ok


def test_few_entries_wait_outside_of_the_index(place: PostgresPlace) -> None:
    """Each search reads through them."""
    with place.connect() as db:
        loaded = db.create("loaded", Schema(2, index=Flat(), dynamic=True))
        loaded.insert(Record(f"r{n}", [1.0, n], metadata={"n": n, "path": {"to": str(n)}}) for n in range(ROWS))
        backend = loaded._backend
        assert isinstance(backend, PostgresBackend)
        name = backend._layouts.get(backend.find(name="loaded").active).table.name
    with psycopg.connect(place.server) as link:
        index = sql.Literal(f"{place.namespace}.{name}_keys")
        [(pages,)] = link.execute(sql.SQL("SELECT gin_clean_pending_list({}::regclass)").format(index)).fetchall()
        [(size,)] = link.execute("SELECT current_setting('block_size')::int").fetchall()
    assert pages * size <= 2 * 64 * 1024
