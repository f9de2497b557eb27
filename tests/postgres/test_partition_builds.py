"""Building the graphs of a divided store: several at once, in the memory of one; killed, given up, incomplete."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest
from psycopg import sql

from vecstore import HNSW, BackendUnavailable, Database, Record, Schema, VectorStore
from vecstore.backends.postgres import index_build
from vecstore.backends.postgres.build_lanes import BuildLanes
from vecstore.backends.postgres.build_plan import BuildPlan, divide_build, estimate_graph
from vecstore.backends.postgres.client import Client
from vecstore.backends.postgres.statements import Statement

from .stores import open_database
from .tenants import run
from .test_interrupted_index import COUNT, DATA, DIM, check_answers, count_graphs, kill_when


def load(postgres_url: str, namespace: str, database: Database) -> VectorStore:
    made = Schema(dim=DIM, metric="l2", index=HNSW(ef_construction=400), partitions=2)
    database.create("a", made)
    with open_database(postgres_url, namespace, index_min_rows=1 << 30) as loading:
        loading.open("a").insert(Record(str(number), row) for number, row in enumerate(DATA))
    return database.open("a")


def test_a_build_that_is_killed_in_one_partition(
    postgres_url: str, namespace: str, database: Database, admin: psycopg.Connection
) -> None:
    store = load(postgres_url, namespace, database)
    with ThreadPoolExecutor(1) as threads:
        building = threads.submit(store.reindex)
        kill_when(admin, namespace, "building index", COUNT // 8, building)
        with pytest.raises(BackendUnavailable):
            building.result()
    assert store.index_status().state == "invalid"
    assert not store.verify().ok
    check_answers(store)
    store.reindex()
    assert store.index_status().state == "ready"
    assert count_graphs(admin, namespace) == (2, 2)
    check_answers(store)


def test_a_graph_that_is_missing_in_one_partition(
    postgres_url: str, namespace: str, database: Database, admin: psycopg.Connection
) -> None:
    store = load(postgres_url, namespace, database)
    store.reindex()
    [graph] = admin.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relname LIKE 'vecstore_h_%%_1'",
        (namespace,),
    ).fetchall()
    run(admin, "DROP INDEX {}", sql.Identifier(namespace, *graph))
    assert store.index_status().state == "invalid"
    check_answers(store)
    with open_database(postgres_url, namespace) as another:
        another.open("a").upsert([Record("1000", DATA[0])])  # a write builds what is missing
    assert store.index_status().state == "ready"
    assert count_graphs(admin, namespace) == (2, 2)


def test_progress_of_several_builds_only_grows(postgres_url: str, namespace: str, database: Database) -> None:
    store, calls = load(postgres_url, namespace, database), list[tuple[int, int | None]]()
    store.reindex(on_progress=lambda phase, done, total: calls.append((done, total)) if phase == "indexing" else None)
    assert calls == sorted(calls)
    assert (calls[0], calls[-1]) == ((0, COUNT), (COUNT, COUNT))


def test_a_progress_that_fails_leaves_no_graph(
    postgres_url: str, namespace: str, database: Database, admin: psycopg.Connection
) -> None:
    store = load(postgres_url, namespace, database)

    def fail(phase: str, done: int, total: int | None) -> None:
        if done:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        store.reindex(on_progress=fail)
    assert count_graphs(admin, namespace)[0] in {0, 2}  # none, or it failed at the very end
    check_answers(store)


def test_builds_at_once_get_no_more_than_one_build_has(
    database: Database, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (
        "SELECT pg_size_bytes(current_setting('maintenance_work_mem')), "
        "current_setting('max_parallel_maintenance_workers')::int"
    )
    [(memory, helpers)] = admin.execute(settings).fetchall()
    store, run_statement, seen = database.create("a", Schema(2, "l2", index=HNSW(), partitions=4)), index_build._run, []
    store.insert(Record(str(number), [number, 1]) for number in range(20))

    def run_and_look(connection: psycopg.Connection, statement: Statement) -> None:
        if "CREATE INDEX" in statement.text:
            seen.extend(connection.execute(settings).fetchall())
        run_statement(connection, statement)

    monkeypatch.setattr(index_build, "_run", run_and_look)
    store.reindex()
    assert len(seen) == 4
    at_once = min(4, 1 + helpers)
    assert at_once > 1
    assert {mine * at_once <= memory and (1 + workers) * at_once <= 1 + helpers for mine, workers in seen} == {True}


MIB = 1 << 20


@pytest.mark.parametrize(
    "parts, largest, memory, helpers, connections, plan",
    [
        (8, 100 * MIB, 300 * MIB, 1, 6, BuildPlan(2, 150 * MIB, 0)),
        (8, 100 * MIB, 250 * MIB, 3, 6, BuildPlan(2, 125 * MIB, 1)),
        (8, 100 * MIB, 64 * MIB, 2, 6, BuildPlan(1, 64 * MIB, 2)),
        (2, MIB, 64 * MIB, 7, 6, BuildPlan(2, 32 * MIB, 3)),
        (256, MIB, 64 * MIB, 0, 6, BuildPlan(1, 64 * MIB, 0)),
        (8, MIB, 64 * MIB, 2, -1, BuildPlan(1, 64 * MIB, 2)),
    ],
)
def test_a_plan_never_asks_for_more_than_one_build(
    parts: int, largest: int, memory: int, helpers: int, connections: int, plan: BuildPlan
) -> None:
    assert divide_build(parts, largest, memory, helpers, connections) == plan
    assert plan.at_once * plan.memory <= memory
    assert plan.at_once * (1 + (plan.helpers or 0)) <= 1 + helpers


def test_builds_at_once_leave_connections_to_each_other() -> None:
    lanes = BuildLanes(16)
    with lanes.take(3) as first, lanes.take(9) as second, lanes.take(2) as third:
        assert (first, second, third) == (3, 5, 1)
    with lanes.take(99) as alone:
        assert alone == 12


def test_a_build_waits_for_no_connection_of_another_build(
    postgres_url: str, namespace: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = database.create("a", Schema(dim=2, metric="l2", index=HNSW(), partitions=2))
    store.insert(Record(str(number), [number, 1]) for number in range(20))
    check_out, held, counts = Client.connection, list[Client](), list[int]()

    @contextmanager
    def connection(self: Client) -> Iterator[psycopg.Connection]:
        with check_out(self) as found:
            held.append(self)
            counts.append(len(held))
            yield found
            held.pop()

    monkeypatch.setattr(Client, "connection", connection)
    store.reindex()
    assert max(counts) == 2
    counts.clear()
    with database._backend._client.build_lanes.take(99):  # type: ignore[attr-defined]
        store.reindex()
    assert max(counts) == 1


def test_the_memory_of_a_graph_is_not_underrated(postgres_url: str, namespace: str, database: Database) -> None:
    """With a fifth more than the estimate no build says that its graph does not fit."""
    rows = np.random.default_rng(3).standard_normal((3_000, 96)).astype(np.float32)
    needed = estimate_graph(len(rows), 96, "vector", 8)
    store = database.create("a", Schema(96, index=HNSW(m=8, ef_construction=16)))
    with store.loading():
        store.insert(Record(str(number), row) for number, row in enumerate(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_database(
            postgres_url,
            namespace,
            build_memory=-(-needed * 6 // 5 // MIB),
            build_workers=0,
        ) as tight:
            tight.open("a").reindex()
