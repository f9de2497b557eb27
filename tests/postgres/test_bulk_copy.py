"""Batches that are copied in: what is read back, and what prevents a copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql

import vecstore
from tests.batches import batch, schema
from tests.postgres.places import PostgresPlace
from tests.proxy import make_proxy
from vecstore import HNSW, F, Flat, Record, RecordExists, Schema, VectorStore, fields
from vecstore.backend import Generation
from vecstore.backends.postgres import bulk_copy
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.generation_table import make_layout

from .stores import open_database, prepare_namespace, read_stored_ids

MANY = bulk_copy.FEWEST + 30
KINDS = {
    "word": fields.Keyword(),
    "words": fields.Keywords(),
    "whole": fields.Int(),
    "number": fields.Float(),
    "truth": fields.Bool(),
    "at": fields.DateTime(),
}
STRINGS = ["", "a", "é\n\t\\", 'say "no"', "{a,b}", "NULL", "日本", "x" * 900, "\u007f", "'; --"]


@pytest.fixture
def place(postgres_url: str) -> Iterator[PostgresPlace]:
    place = PostgresPlace(postgres_url)
    yield place
    place.close()


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each batch that might be copied was."""
    seen: list[bool] = []
    tried = PostgresBackend._copy_in

    def copied(*arguments: Any, **named: Any) -> bool:
        seen.append(tried(*arguments, **named))
        return seen[-1]

    monkeypatch.setattr(PostgresBackend, "_copy_in", copied)
    return seen


def make_metadata(number: int) -> dict[str, Any]:
    """Return metadata of all kinds, each missing in some records."""
    word = STRINGS[number % 9]
    values: dict[str, Any] = {
        "word": word,
        "words": [word, "b", word][: number % 4],
        "whole": (-1) ** number * (2**53 - number),
        "number": (-1) ** number * 1.5 ** (number % 700),
        "truth": number % 3 == 0,
        "at": datetime(1900 + number, 1, 2, 3, 4, 5, number, UTC),
        "other": {"nested": [word, number, None, 1.0]},
    }
    return {key: value for place, (key, value) in enumerate(values.items()) if (number + place) % 5}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_copied_records_come_back(place: PostgresPlace, copies: list[bool], dtype: str) -> None:
    draw = np.random.default_rng(1).standard_normal((MANY, 3)).astype(dtype)
    given = [
        Record(f"{STRINGS[n % 7]}{n}", draw[n], STRINGS[n % 10] if n % 7 else None, make_metadata(n))
        for n in range(MANY)
    ]
    with place.connect() as db:
        copied = db.create("copied", Schema(3, "l2", dtype, Flat(), KINDS))
        written = db.create("written", Schema(3, "l2", dtype, Flat(), KINDS))
        assert copied.insert(given) == MANY
        assert written.insert(given, batch_size=bulk_copy.FEWEST - 1) == MANY
        assert copies == [True, False, False]
        assert list(copied.scan()) == list(written.scan()) == sorted(given, key=lambda record: record.id.encode())
        for where in (
            F.word == "",
            F.words.contains("b"),
            F.whole < 0,
            F.number > 1e20,
            F.truth.exists(),
            F.at.exists(),
        ):
            assert copied.count(where) == written.count(where) > 0


def test_an_upsert_of_new_ids_is_copied_and_one_of_stored_ids_is_not(place: PostgresPlace, copies: list[bool]) -> None:
    with place.connect() as db:
        store = db.create("a", schema())
        assert store.upsert(batch(1, MANY)) == MANY
        assert store.upsert([*batch(2, MANY), batch(1)[3]]) == MANY + 1
        assert store.upsert(batch(3, MANY)) == MANY
        assert copies == [True, False, False]
        assert store.count() == 3 * MANY


def test_of_a_batch_with_a_stored_id_nothing_is_written(place: PostgresPlace, copies: list[bool]) -> None:
    with place.connect() as db:
        store = db.create("a", schema())
        store.insert([batch(1)[7]])
        with pytest.raises(RecordExists, match="b00001-07"):
            store.insert(batch(1, MANY))
        assert copies[-1] is False
        assert store.count() == 1


def test_a_tombstone_keeps_its_version(place: PostgresPlace, copies: list[bool]) -> None:
    with place.connect() as db:
        store = db.create("a", schema())
        backend, generation = store._backend, store._current.entry.active
        backend.delete(generation, [batch(1)[7].id], fence=[5])
        assert store.insert(batch(1, MANY)) == MANY
        assert copies[-1] is False
        versions = backend.fetch(generation, [batch(1)[7].id, batch(1)[8].id]).versions
        assert sorted(versions or ()) == [0, 5]


def test_a_rebuild_copies_versions_in(place: PostgresPlace, copies: list[bool]) -> None:
    with place.connect() as db:
        store, given = db.create("a", schema()), batch(1, MANY)
        store.insert(given)
        backend, generation = store._backend, store._current.entry.active
        rows = backend.fetch(generation, [record.id for record in given])
        fence = [number % 5 for number in range(len(rows))]
        assert backend.write(generation, rows, insert=False, fence=fence) == MANY
        before = dict(zip(rows.ids, fence, strict=True))
        copies.clear()
        db.rebuild("a", schema=schema(HNSW()), keep_previous=False)
        assert copies == [True]
        again = backend.fetch(backend.find(name="a").active, list(before))
        assert dict(zip(again.ids, again.versions or (), strict=True)) == before
        assert list(store.scan()) == sorted(given, key=lambda record: record.id.encode())


def test_a_fenced_batch_that_meets_a_newer_version_is_not_copied(place: PostgresPlace, copies: list[bool]) -> None:
    with place.connect() as db:
        store, given = db.create("a", schema()), batch(1, MANY)
        backend, generation = store._backend, store._current.entry.active
        store.insert(given)
        rows = backend.fetch(generation, [record.id for record in given])
        store.delete(ids=[record.id for record in given])
        backend.delete(generation, [given[7].id], fence=[5])
        copies.clear()
        assert backend.write(generation, rows, insert=False, fence=[3] * MANY) == MANY - 1
        assert copies == [False]
        assert store.get([given[7].id]) == [None]
        assert store.count() == MANY - 1


def test_what_is_written_beside_a_standby_is_noted(place: PostgresPlace, copies: list[bool]) -> None:
    with place.connect() as db:
        store = db.create("a", schema())
        db.rebuild("a", schema=schema(HNSW()))
        assert store.insert(batch(1, MANY)) == MANY
        assert copies[-1] is False
        db.rollback("a")
        assert db.open("a").count() == MANY


def test_a_handle_of_a_replaced_generation_writes_into_the_new_one(place: PostgresPlace) -> None:
    with place.connect() as db, place.connect() as other:
        store = db.create("a", schema())
        other.rebuild("a", schema=schema(HNSW()))
        other.drop_previous("a")
        assert store.insert(batch(1, MANY)) == MANY
        assert other.open("a").count() == MANY


def test_writers_of_the_same_ids_do_not_deadlock(place: PostgresPlace) -> None:
    """Each id is inserted by one of them; the others are told."""
    with place.connect() as db:
        db.create("a", schema())
        outcomes: list[object] = []

        def write(turn: int) -> None:
            with place.connect() as own:
                store = own.open("a")
                for number in range(6):
                    records = batch(number, MANY)
                    try:
                        outcomes.append(store.insert(records[::-1] if turn % 2 else records))
                    except RecordExists as error:
                        outcomes.append(type(error))

        threads = [threading.Thread(target=write, args=(turn,)) for turn in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes.count(MANY) == 6
        assert outcomes.count(RecordExists) == 18
        assert db.open("a").count() == 6 * MANY


def test_a_divided_table_takes_rows_in_the_order_of_ids(place: PostgresPlace, admin: psycopg.Connection) -> None:
    """While a copy waits for an id, it holds none after it, in no partition."""
    records, parts = batch(1, MANY), list[list[str]]()
    with place.connect() as db, psycopg.connect(place.server) as link, ThreadPoolExecutor(1) as threads:
        store: VectorStore = db.create("a", schema().with_partitions(4))
        name = f"vecstore_g_{store._current.entry.active.id}"
        table = sql.Identifier(place.namespace, name)
        query = "SELECT id FROM unnest(%s::text[]) AS id WHERE satisfies_hash_partition(%s::regclass, 4, %s, id)"
        for number in range(4):
            found = admin.execute(query, ([record.id for record in records], table.as_string(admin), number))
            parts.append([id_ for (id_,) in found])
        first = next(part for part in parts if records[0].id in part)
        awaited = min(part[0] for part in parts if part is not first)
        assert records[0].id < awaited < first[-1]
        insert = sql.SQL("INSERT INTO {} (id, version) VALUES (%s, 0)").format(table)
        link.execute(insert, (awaited,))
        writing = threads.submit(store.insert, records)
        waiting = "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND query LIKE %s"
        until = time.monotonic() + 60
        while not admin.execute(waiting, (f"COPY%{name}%",)).fetchone():
            assert time.monotonic() < until
        link.execute("SET LOCAL lock_timeout = 200")
        link.execute(insert, (first[-1],))
        link.rollback()
        assert writing.result() == MANY == store.count()


@pytest.mark.parametrize(
    "partitions, has_citus, has_condition", [(1, False, False), (4, False, True), (4, True, False)]
)
def test_only_a_copy_into_a_divided_table_has_a_condition(
    partitions: int, *, has_citus: bool, has_condition: bool
) -> None:
    """Citus refuses one."""
    generation = Generation("0" * 32, schema().with_partitions(partitions))
    layout = make_layout(generation, "vecstore", "public", has_citus=has_citus)
    assert (b" WHERE " in bulk_copy.make_target(layout)) is has_condition


def test_a_copy_that_is_cut_off_is_done_again(postgres_url: str, namespace: str) -> None:
    prepare_namespace(postgres_url, namespace)
    with (
        make_proxy(postgres_url) as proxy,
        open_database(proxy.replace_address(postgres_url), namespace, timeout=5) as database,
    ):
        store = database.create("a", schema())
        store.insert(batch(1, MANY))
        before = proxy.forwarded["client"]
        store.insert(batch(2, MANY))
        sent = proxy.forwarded["client"] - before
        for number, at in enumerate(range(0, sent - 60, sent // 5)):
            proxy.cut_after(client_bytes=at)
            assert store.insert(batch(3 + number, MANY)) == MANY
        assert len(read_stored_ids(postgres_url, namespace, "a")) == store.count() == MANY * (3 + number)


def test_a_constraint_of_the_application_holds(place: PostgresPlace) -> None:
    """A COPY is refused where an INSERT is."""
    with place.connect() as db:
        store: VectorStore = db.create("a", schema())
        table = f'"{place.namespace}".vecstore_g_{store._current.entry.active.id}'
        with psycopg.connect(place.server, autocommit=True) as link:
            link.execute(f"ALTER TABLE {table} ADD CHECK (id <> 'b00001-99')".encode())
        with pytest.raises(vecstore.StorageFailed):
            store.insert(batch(1, MANY))
        assert store.count() == 0
