"""What a filter chose is kept for one commit: searches find the same with it, and see every write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import vecstore
from vecstore import HNSW, Database, F, Filter, Flat, Hits, Record, Schema, fields
from vecstore.backends.file.search.filter_cache import _MOST, FilterCache
from vecstore.filters.nodes import Compare

ROWS, DIM = 3_000, 8
FEW, MANY = F.n < 300, F.n < 2_700


@pytest.fixture
def vectors(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture(params=[HNSW(), Flat()], ids=["hnsw", "flat"])
def twins(request: pytest.FixtureRequest, tmp_path: Path, vectors: np.ndarray) -> Iterator[list[Database]]:
    """The same records in a directory and in memory."""
    url = f"file:{tmp_path}?index_min_rows=32"
    with vecstore.connect(url) as files, vecstore.connect("memory:") as memory:
        for database in (files, memory):
            made = database.create("docs", Schema(dim=DIM, index=request.param, fields={"n": fields.Int()}))
            made.upsert([Record(str(n), vector, metadata={"n": n}) for n, vector in enumerate(vectors)])
        yield [files, memory]


def list_scores(hits: Hits) -> list[tuple[str, float]]:
    return [(hit.id, round(hit.score, 9)) for hit in hits]


@pytest.mark.parametrize("where", [FEW, MANY], ids=["few", "many"])
def test_a_filter_used_again_finds_what_it_found(twins: list[Database], vectors: np.ndarray, where: Filter) -> None:
    files, memory = (database.open("docs") for database in twins)
    for _ in range(3):
        for query in vectors[::500] + np.float32(0.1):
            assert list_scores(files.search(query, where=where, exact=True)) == list_scores(
                memory.search(query, where=where, exact=True)
            )
            assert len(files.search(query, where=where)) == 10


def test_writes_of_others_are_seen_under_a_filter_used_before(
    twins: list[Database], tmp_path: Path, vectors: np.ndarray
) -> None:
    files, memory = (database.open("docs") for database in twins)
    query = vectors[0]
    with vecstore.connect(f"file:{tmp_path}?index_min_rows=32") as elsewhere:
        other = elsewhere.open("docs")
        for step in range(4):
            for _ in range(3):
                found = files.search(query, where=FEW, exact=True)
                assert list_scores(found) == list_scores(memory.search(query, where=FEW, exact=True))
            for store in (other, memory):
                store.delete(ids=[found[0].id])
                store.update(ids=[found[1].id], metadata={"n": 5_000})
                store.upsert([Record(f"new {step}", query, metadata={"n": step})])


def make_condition(number: int) -> Filter:
    return Compare("n", "eq", number)


def test_matches_are_found_again() -> None:
    cache = FilterCache()
    assert cache.find(make_condition(1)) is None
    first = cache.add(make_condition(1), np.array([True, False, True]))
    assert cache.find(make_condition(1)) is first
    assert first.count == 2
    assert cache.find(make_condition(2)) is None


def test_what_was_used_longest_ago_is_forgotten() -> None:
    cache = FilterCache(budget=250)
    first = cache.add(make_condition(1), np.ones(100, np.bool_))
    cache.add(make_condition(2), np.ones(100, np.bool_))
    assert cache.find(make_condition(1)) is first
    cache.add(make_condition(3), np.ones(100, np.bool_))
    assert cache.find(make_condition(1)) is first
    assert cache.find(make_condition(2)) is None


def test_no_more_filters_are_kept_than_there_is_use_for() -> None:
    cache = FilterCache()
    for number in range(3 * _MOST):
        cache.add(make_condition(number), np.ones(1, np.bool_))
    assert len(cache._known) == _MOST


def test_matches_larger_than_the_budget_are_not_kept() -> None:
    cache = FilterCache(budget=10)
    assert cache.add(make_condition(1), np.ones(100, np.bool_)).count == 100
    assert cache.find(make_condition(1)) is None
