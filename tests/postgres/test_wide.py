"""Beyond 2,000 dimensions the index holds rounded vectors, and every answer is scored by the stored ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.postgres.places import PostgresPlace
from vecstore import HNSW, Database, Record, Schema, Unsupported

DIM, ROWS = 2_100, 200


@pytest.fixture
def db(postgres_url: str) -> Iterator[Database]:
    place = PostgresPlace(postgres_url)
    with place.connect() as db:
        yield db
    place.close()


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_candidates_are_scored_by_stored_vectors(db: Database, metric: str) -> None:
    draw = np.random.default_rng(5)
    matrix = draw.standard_normal((ROWS, DIM)).astype(np.float32)
    store = db.create("wide", Schema(DIM, metric, index=HNSW(m=8, ef_construction=40)))
    store.insert(Record(str(number), row) for number, row in enumerate(matrix))
    assert store.index_status().state == "ready"
    query = draw.standard_normal(DIM).astype(np.float32)
    approximate, true = store.search(query, ef=400), store.search(query, exact=True)
    assert not approximate.exact
    assert [hit.id for hit in approximate] == [hit.id for hit in true]
    assert [hit.score for hit in approximate] == pytest.approx([hit.score for hit in true], rel=1e-6)
    # A query that float16 cannot hold is answered exactly.
    assert store.search(query * 1e6).exact


def test_vectors_that_rounding_would_lose_are_refused(db: Database) -> None:
    store = db.create("wide", Schema(DIM, "l2", index=HNSW()))
    with pytest.raises(Unsupported, match=r"Flat\(\)"):
        store.insert([Record("large", np.full(DIM, 1e6, np.float32))])
    assert store.count() == 0


def test_more_than_4000_dimensions_have_no_graph(db: Database) -> None:
    with pytest.raises(Unsupported, match="4,000"):
        db.create("wider", Schema(4_001, index=HNSW()))
    assert db.names() == []
