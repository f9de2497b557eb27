"""Groups of records on PostgreSQL: what a failure undoes, a role that changes meanwhile, and the order of locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine

from vecstore import Database, Flat, Record, Schema, StorageError, VectorStore
from vecstore.backend import Rows, Superseded
from vecstore.backends.postgres import group_writes
from vecstore.testing.backend_level import make_rows, read_versions

from .stores import open_database, prepare_namespace

SCHEMA = Schema(dim=2, metric="l2", index=Flat())
_WAITERS = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
_FAIL = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF OLD.id = 'k#2' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$
"""


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as database:
        yield database


@pytest.fixture
def store(database: Database) -> VectorStore:
    return database.create("a", SCHEMA)


def make_group(text: str, *ids: str) -> Rows:
    return make_rows(*(Record(id_, [0, 0], text) for id_ in ids), schema=SCHEMA)


def write(store: VectorStore, rows: Rows, fences: Mapping[str, int]) -> int:
    return store._current.backend.write_groups(store._current.entry.active, rows, fences)


def name_table(store: VectorStore) -> sql.Identifier:
    return sql.Identifier(*(part.strip('"') for part in str(store.stats().details["table"]).split(".")))


def test_a_failure_in_a_callers_transaction_leaves_the_group_as_it_was(
    postgres_url: str, namespace: str, store: VectorStore
) -> None:
    write(store, make_group("old", "k", "k#1", "k#2"), {"k": 1})
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        function = sql.Identifier(namespace, "fail")
        admin.execute(sql.SQL(_FAIL).format(function=function))
        trigger = "CREATE TRIGGER fail BEFORE UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
        admin.execute(sql.SQL(trigger).format(name_table(store), function))
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        inside = store.using(connection)
        with pytest.raises(StorageError):
            write(inside, make_group("new", "k", "k#1"), {"k": 5})
        assert [record.text for record in inside.scan()] == ["old"] * 3
        assert write(inside, make_group("other", "l", "l#1"), {"l": 5}) == 2  # the transaction is usable
    engine.dispose()
    texts = {record.id: record.text for record in store.scan()}
    assert texts == {"k": "old", "k#1": "old", "k#2": "old", "l": "other", "l#1": "other"}
    versions = read_versions(store._current.backend, store._current.entry.active)
    assert versions == {"k": 1, "k#1": 1, "k#2": 1, "l": 5, "l#1": 5}


@pytest.mark.parametrize("closed", ["locking", "heads", "empty heads", "members", "dropping"])
def test_a_role_that_changes_between_two_steps_undoes_all(store: VectorStore, closed: str) -> None:
    layout: Any = store._current.backend._layouts.get(store._current.entry.active)  # type: ignore[attr-defined]
    answers = {"locking": 0, "heads": ["k"], "empty heads": ["l"], "members": 1, "dropping": 0}

    def run(step: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return [(int(step != closed), answers[step])]

    with pytest.raises(Superseded):
        group_writes.write_groups(run, layout, make_group("x", "k", "k#1"), {"k": 1, "l": 1})


def test_stored_records_are_locked_in_the_order_of_ids(postgres_url: str, store: VectorStore) -> None:
    everything, fences = make_group("x", "k", "k#1", "k#2", "l", "l#1"), {"k": 1, "l": 1}
    write(store, everything, fences)
    probe = sql.SQL("SELECT id FROM {} WHERE id = ANY(%s) ORDER BY id FOR UPDATE SKIP LOCKED").format(name_table(store))
    with psycopg.connect(postgres_url) as other, psycopg.connect(postgres_url) as prober, ThreadPoolExecutor(1) as pool:
        assert other.execute(probe, (["k#1"],)).fetchall() == [("k#1",)]
        writing = pool.submit(write, store, everything, fences)
        while prober.execute(_WAITERS, (other.info.backend_pid,)).fetchone() != (1,):
            assert not writing.done()
            prober.rollback()
        # What lies behind the record that it waits for is free: a writer in the order of ids can go on.
        assert prober.execute(probe, (["k", "k#2", "l", "l#1"],)).fetchall() == [("k#2",), ("l",), ("l#1",)]
        prober.rollback()
        other.rollback()
        assert writing.result() == len(everything)


def test_new_heads_of_either_kind_are_locked_in_the_order_of_ids(postgres_url: str, store: VectorStore) -> None:
    taking = sql.SQL("INSERT INTO {} (id, version) VALUES (%s, 0)").format(name_table(store))
    for empty, filled in (("a", "b"), ("d", "c")):
        first, second = sorted((empty, filled))
        with (
            psycopg.connect(postgres_url) as other,
            psycopg.connect(postgres_url) as prober,
            ThreadPoolExecutor(1) as pool,
        ):
            other.execute(taking, (first,))
            writing = pool.submit(write, store, make_group("x", filled), {empty: 1, filled: 1})
            while prober.execute(_WAITERS, (other.info.backend_pid,)).fetchone() != (1,):
                assert not writing.done()
                prober.rollback()
            prober.execute("SET LOCAL lock_timeout = '1ms'")
            prober.execute(taking, (second,))  # which fails if the writer has it already
            prober.rollback()
            other.rollback()
            assert writing.result() == 1
    assert {record.id for record in store.scan()} == {"b", "c"}


def test_heads_take_a_statement_for_each_run_of_new_ones() -> None:
    for stored, runs in (
        ("", [(True, "a"), (False, "b"), (True, "c"), (False, "d")]),
        ("b", [(True, "ac"), (False, "db")]),
        ("abcd", [(True, "ac"), (False, "bd")]),
        ("ac", [(False, "bd"), (True, "ac")]),
    ):
        expected = [(is_filled, list(heads)) for is_filled, heads in runs]
        assert group_writes._order_heads(["a", "c", "b", "d"], set(stored), {"a", "c"}) == expected
