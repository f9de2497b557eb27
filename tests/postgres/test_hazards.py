"""Silent mistakes of pgvector and psycopg that no other test covers, one per hazard."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest

from tests.batches import DIM, batch, checked_answer, schema, vector_of
from vecstore import (
    HNSW,
    Database,
    F,
    Flat,
    InvalidId,
    InvalidMetadata,
    InvalidVector,
    Record,
    Schema,
    StorageFailed,
    Unsupported,
    VectorStore,
    fields,
)
from vecstore.backends.postgres.server_checks import ServerWarning

from .catalogues import create_database, format_statement, list_tables
from .own_server import OwnServer
from .stores import open_database, prepare_namespace

NORMAL = np.random.default_rng(2).normal


@pytest.fixture
def database(postgres_url: str, namespace: str) -> Iterator[Database]:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as database:
        yield database


@pytest.fixture
def store(database: Database) -> VectorStore:
    return database.create("a", schema())


def test_a_batch_and_a_list_may_have_more_values_than_a_statement_has_parameters(store: VectorStore) -> None:
    many = [
        Record(str(number), vector_of(number), "x", {"tag": number, "word": str(number)}) for number in range(14_000)
    ]
    assert store.upsert(many, batch_size=14_000) == 14_000  # 70,000 values
    ids = [record.id for record in many[:10_000]]
    assert store.count(F.id.in_(ids)) == store.count(F.word.in_(ids)) == 10_000
    assert store.count(F.id.not_in(ids)) == 4_000
    assert len(store.get(ids)) == len(store.search(vector_of(1), k=10_000, where=F.word.in_(ids))) == 10_000
    assert store.delete(ids=ids) == 10_000


def test_one_bad_record_keeps_its_whole_batch_out_and_is_named(store: VectorStore) -> None:
    bad = [
        (InvalidVector, Record("bad", [float("nan")] * DIM)),
        (InvalidVector, Record("bad", [float("inf")] * DIM)),
        (InvalidVector, Record("bad", [1e39] * DIM)),
        (InvalidVector, Record("bad", [1.0] * (DIM + 1))),
        (InvalidMetadata, Record("bad", vector_of(1), "a\0b")),
        (InvalidMetadata, Record("bad", vector_of(1), None, {"more": float("nan")})),
        (InvalidMetadata, Record("bad", vector_of(1), None, {"more": "\ud800"})),
        (InvalidId, Record("bad\0", vector_of(1))),
    ]
    for kind, record in bad:
        for write in (store.upsert, store.insert):
            with pytest.raises(kind, match="bad"):
                write([*batch(1), record])
            assert store.count() == 0


def test_a_zero_vector_is_refused_where_a_graph_would_lose_it(database: Database) -> None:
    store = database.create("a", Schema(dim=3, metric="cosine"))
    for call in (lambda: store.upsert([Record("a", [0, 0, 0])]), lambda: store.search([0, 0, 0])):
        with pytest.raises(InvalidVector):
            call()


def test_rounded_values_are_stored(database: Database) -> None:
    store = database.create("a", Schema(dim=3, metric="l2", dtype="float16", index=Flat()))
    store.upsert([Record("a", [2049, 1e-9, 1])])
    [record] = store.get(["a"])
    assert record
    assert np.asarray(record.vector).tolist() == [2048, 0, 1]
    with pytest.raises(InvalidVector, match="float16"):
        store.upsert([Record("b", [70_000, 0, 0])])


def test_a_graph_answers_k_whatever_the_filter_and_the_limit(postgres_url: str, namespace: str) -> None:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as database:
        store = database.create(
            "a", Schema(dim=8, metric="l2", index=HNSW(m=4, ef_construction=8), fields={"n": fields.Int()})
        )
        store.insert(Record(f"{n:05}", row, None, {"n": n}) for n, row in enumerate(NORMAL(size=(3_000, 8))))
        assert store.index_status().state == "ready"
        for k in (100, 499, 1_500):
            assert len(store.search(NORMAL(size=8), k=k, ef=16)) == k
        assert len(store.search(NORMAL(size=8), k=10, ef=16, where=F.n < 6)) == 6
        store.delete(where=F.n < 2_900)
        assert len(store.search(NORMAL(size=8), k=150, ef=16)) == 100
        store.compact()
        assert len(store.search(NORMAL(size=8), k=100, ef=16)) == 100


def test_too_many_dimensions_for_a_graph_are_refused_before_anything_is_created(
    database: Database, admin: psycopg.Connection, namespace: str
) -> None:
    before = list_tables(admin, namespace)
    with pytest.raises(Unsupported):
        database.create("a", Schema(dim=4_001, index=HNSW()))
    assert list_tables(admin, namespace) == before
    assert database.names() == []


def test_a_graph_beyond_the_servers_memory_warns(postgres_url: str, namespace: str) -> None:
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace, build_memory=1, build_workers=0) as database:
        described = Schema(dim=256, metric="l2", index=HNSW(m=4, ef_construction=8, target_recall=0.1))
        with open_database(postgres_url, namespace, index_min_rows=1 << 30) as loading:
            loading.create("a", described).insert(
                Record(str(number), row) for number, row in enumerate(NORMAL(size=(1_500, 256)))
            )
        store = database.open("a")
        with pytest.warns(ServerWarning, match="build_memory"):
            store.reindex()
        assert store.index_status().state == "ready"
    with (
        open_database(postgres_url, namespace, build_memory=64, build_workers=0) as database,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        database.open("a").reindex()


def test_the_extension_is_never_created_by_connecting(postgres_url: str) -> None:
    with create_database(postgres_url) as url:
        with pytest.raises(Exception, match="vecstore migrate upgrade"), open_database(url, "ns"):
            pass
        with psycopg.connect(url) as link:
            assert link.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone() is None


def test_settings_of_the_server_change_no_answer(own_server: OwnServer) -> None:
    """Settings of a role that have broken clients: scans off, small ef, other time zone, styles and JIT."""
    settings = {
        "hnsw.ef_search": "1",
        "enable_seqscan": "off",
        "DateStyle": "'SQL, DMY'",
        "TimeZone": "'Asia/Kathmandu'",
        "extra_float_digits": "-15",
        "bytea_output": "'escape'",
        "default_transaction_isolation": "'serializable'",
        "search_path": "''",
        "jit_above_cost": "0",
        "standard_conforming_strings": "on",
        "client_encoding": "'LATIN1'",
    }
    prepare_namespace(own_server.url, "ns")
    with psycopg.connect(own_server.url, autocommit=True) as admin:
        for name, value in settings.items():
            admin.execute(f"ALTER ROLE postgres SET {name} = {value}".encode())
    with open_database(own_server.url, "ns") as database:
        store = database.create("a", schema(HNSW(m=4, ef_construction=8)))
        store.insert([record for number in range(8) for record in batch(number)])
        store.upsert([Record("x", vector_of(9) / 3, "日本 é", {"tag": 9, "word": "é日"})])
        for tag in range(8):
            checked_answer(store, tag, k=20)
        [found] = store.get(["x"])
        assert found
        assert (found.text, found.metadata) == ("日本 é", {"tag": 9, "word": "é日"})
        assert np.asarray(found.vector).tobytes() == (vector_of(9) / 3).tobytes()


def test_a_full_disk_is_reported_and_loses_nothing(
    store: VectorStore, admin: psycopg.Connection, namespace: str
) -> None:
    """A trigger raises the server's own error, because a tablespace of limited size needs rights to mount."""
    store.upsert(batch(1))
    [(generation,)] = admin.execute(format_statement("SELECT active FROM {}.vecstore_store", namespace)).fetchall()
    function = (
        "CREATE FUNCTION {}.fill() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = 'disk_full'; END $$"
    )
    admin.execute(format_statement(function, namespace))
    trigger = "CREATE TRIGGER full_ AFTER INSERT ON {0}.{1} EXECUTE FUNCTION {0}.fill()"
    admin.execute(format_statement(trigger, namespace, generation))
    with pytest.raises(StorageFailed, match=r"disk is full"):
        store.upsert(batch(2))
    admin.execute(format_statement("DROP TRIGGER full_ ON {}.{}", namespace, generation))
    assert store.count() == 20
    assert store.upsert(batch(2)) == 20
