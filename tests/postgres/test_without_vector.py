"""Records without a vector in PostgreSQL: what their rows hold, how they come in, which plans find the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import psycopg
import pytest

from vecstore import ALL, HNSW, F, Record, Schema, VectorStore, fields
from vecstore.backends.postgres import bulk_copy

from .catalogues import format_statement
from .stores import open_database, prepare_namespace

SCHEMA = Schema(
    dim=2, metric="l2", index=HNSW(m=8, ef_construction=40), fields={"year": fields.Int()}, vectors="optional"
)
MANY = 2 * bulk_copy.FEWEST


@pytest.fixture(params=[True, False], ids=["copied", "inserted"])
def store(request: pytest.FixtureRequest, postgres_url: str, namespace: str) -> Iterator[VectorStore]:
    """Return a store in which every other record has no vector, filled by COPY or by INSERT."""
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as db:
        store = db.create("docs", SCHEMA)
        records = (
            Record(f"r{number:03}", [number, 1] if number % 2 else None, f"t{number}", {"year": number % 4})
            for number in range(MANY)
        )
        store.insert(records, batch_size=None if request.param else bulk_copy.FEWEST // 2)
        yield store


def read_rows(url: str, namespace: str) -> dict[str, tuple[bool, bool]]:
    """Return of each row whether it has an embedding, and undeclared metadata, which tombstones lack."""
    with psycopg.connect(url) as link:
        [(active,)] = link.execute(format_statement("SELECT active FROM {}.vecstore_store", namespace)).fetchall()
        statement = "SELECT id, embedding IS NOT NULL, extra IS NOT NULL FROM {}.{}"
        rows = link.execute(format_statement(statement, namespace, active)).fetchall()
    return {id_: (has_vector, is_record) for id_, has_vector, is_record in rows}


def test_rows_and_tombstones(store: VectorStore, postgres_url: str, namespace: str) -> None:
    rows = read_rows(postgres_url, namespace)
    assert rows == {f"r{number:03}": (number % 2 == 1, True) for number in range(MANY)}
    backend = store._backend
    active = backend.find(name="docs").active
    assert backend.delete(active, ["r000", "r001"], fence=[5, 6]) == 2
    store.update(ids=["r002"], vector=[1, 1])
    store.update(ids=["r003"], vector=None)
    rows = read_rows(postgres_url, namespace)
    assert rows["r000"] == rows["r001"] == (False, False)
    assert (rows["r002"], rows["r003"]) == ((True, True), (False, True))
    assert backend.tombstones(active, None, 9) == {"r000": 5, "r001": 6}
    assert store.get(["r000", "r001"]) == [None, None]
    assert store.count() == MANY - 2
    assert store.insert([Record("r000"), Record("r001", [1, 1])]) == 2
    assert backend.tombstones(active, None, 9) == {}


def test_each_way_of_searching(store: VectorStore) -> None:
    status = store.index_status()
    assert (status.state, status.rows, status.indexed, status.without_vector) == ("ready", MANY, MANY // 2, MANY // 2)
    queries = np.array([[number, 1] for number in range(6)])
    for where in (None, F.year == 1, F.year == 0, F.year.in_([0, 1]), ~(F.year == 1)):
        expected = {each.id for each in store.scan(where) if each.vector is not None}
        for ef in (None, 1_000):
            for exact in (True, False):
                found = store.search_many(queries, k=MANY, where=where, exact=exact, ef=ef)
                found.append(store.search([5, 1], k=MANY, where=where, exact=exact, ef=ef))
                assert [{hit.id for hit in hits} for hits in found] == [expected] * 7
                assert all(hits.complete for hits in found)


def test_wide_vectors_beside_records_without(postgres_url: str, namespace: str) -> None:
    """Above 2,000 dimensions the graph is over rounded vectors, which a zero could not be under cosine."""
    prepare_namespace(postgres_url, namespace)
    with open_database(postgres_url, namespace) as db:
        store = db.create("wide", Schema(dim=2_100, metric="cosine", index=HNSW(m=4), vectors="optional"))
        draws = np.random.default_rng(1).standard_normal((40, 2_100)).astype(np.float32)
        store.insert(Record(f"r{number}", row if number % 2 else None) for number, row in enumerate(draws))
        store.reindex()
        hits = store.search(draws[1], k=40)
        assert ({int(hit.id[1:]) % 2 for hit in hits}, len(hits), hits[0].id) == ({1}, 20, "r1")
        store.update(where=ALL, vector=None)
        assert len(store.search(draws[1], k=40)) == 0
        assert store.verify().ok


def test_a_callers_transaction(store: VectorStore, postgres_url: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        inside = store.using(connection)
        inside.upsert([Record("mine"), Record("r001")])
        assert inside.update(ids=["r002"], vector=[3, 3]) == 1
        assert inside.get(["mine"]) == [Record("mine")]
        connection.rollback()
    engine.dispose()
    assert store.get(["mine"]) == [None]
    [kept] = store.get(["r001"])
    assert kept is not None
    assert kept.vector is not None
