"""The memory of few matches changes no answer, whatever has happened since."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.postgres.places import PostgresPlace
from vecstore import HNSW, Database, F, Flat, Record, Schema, VectorStore, fields
from vecstore.backends.postgres import few_matches_cache
from vecstore.backends.postgres.backend import PostgresBackend

ROWS = 6_000
DIM = 4


@pytest.fixture(scope="module")
def place(postgres_url: str) -> Iterator[PostgresPlace]:
    place = PostgresPlace(postgres_url, min_rows=100)
    yield place
    place.close()


@pytest.fixture
def db(place: PostgresPlace) -> Iterator[Database]:
    with place.connect() as db:
        yield db


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name the function that compiled the statement of each search."""
    ways: list[str] = []
    ask = PostgresBackend._ask

    def note(self: PostgresBackend, *arguments: object) -> object:
        build = arguments[-1]
        ways.append(getattr(build, "__name__", ""))
        return ask(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresBackend, "_ask", note)
    return ways


def draw_vectors(count: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((count, DIM)).astype(np.float32)


def create_filled(db: Database, name: str, rows: int = 1_000) -> VectorStore:
    index = HNSW(m=8, ef_construction=40, target_recall=0.5)
    store = db.create(name, Schema(DIM, "l2", index=index, fields={"n": fields.Int()}))
    store.insert(Record(str(n), vector, metadata={"n": n}) for n, vector in enumerate(draw_vectors(rows)))
    assert store.index_status().ef is not None
    return store


def test_a_graph_is_searched_until_there_is_none(db: Database, place: PostgresPlace, asked: list[str]) -> None:
    store, query = create_filled(db, "graph"), draw_vectors(1)[0]
    asked.clear()
    first = [hit.id for hit in store.search(query)]
    hits = store.search(query)
    assert ([hit.id for hit in hits], hits.exact) == (first, False)
    with place.connect() as other:
        other.open("graph").reindex(Flat())
    assert store.search(query).exact
    assert store.search(query).exact
    assert asked == ["compile_search"] * 4


def test_few_matches_are_compared_at_once_for_a_while(
    db: Database, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, query = create_filled(db, "few", ROWS), draw_vectors(1)[0]
    few = F.n < 40
    monkeypatch.setattr(few_matches_cache, "_SECONDS", 600.0)
    asked.clear()
    found = [store.search(query, where=few) for _ in range(3)]
    assert asked == ["compile_search", "compile_exact_search", "compile_exact_search"]
    assert all(hits.exact for hits in found)
    assert len({tuple(hit.id for hit in hits) for hits in found}) == 1
    store.update(where=F.n >= 40, metadata={"n": 1})
    hits = store.search(query, where=few)
    assert hits.exact
    assert [hit.id for hit in hits] == [hit.id for hit in store.search(query, exact=True)]
    monkeypatch.setattr(few_matches_cache, "_SECONDS", -1.0)
    monkeypatch.setattr(store._backend, "_few_matches", few_matches_cache.FewMatches())
    asked.clear()
    assert not store.search(query, where=few).exact
    assert store.search(query, where=F.n < 1).exact
    assert store.search(query, where=F.n < 1).exact
    assert asked == ["compile_search"] * 3


def test_a_dropped_store_is_not_searched(db: Database, place: PostgresPlace) -> None:
    store, query = create_filled(db, "gone"), draw_vectors(1)[0]
    store.search(query)
    with place.connect() as other:
        other.rebuild("gone", schema=Schema(DIM, "l2", fields={"n": fields.Int()}))
        other.drop_previous("gone")
    assert len(store.search(query)) == 10
    store.search(query)
    with place.connect() as other:
        other.drop("gone")
    with pytest.raises(Exception, match="gone"):
        store.search(query)


def test_the_memory_of_few_matches_is_bounded() -> None:
    memory = few_matches_cache.FewMatches()
    for number in range(5_000):
        memory.remember(number, are_few=number % 2 == 0)
    assert len(memory._few) <= few_matches_cache._KEPT
    assert memory.are_few(4_998)
    assert not memory.are_few(4_999)
    assert not memory.are_few(0)
