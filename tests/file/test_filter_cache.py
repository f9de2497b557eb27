"""What a filter chose is kept for one commit: searches find the same with it, and see every write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import vecstore
from vecstore import HNSW, Database, F, Filter, Flat, Hits, Record, Schema, fields
from vecstore.backends.file.search.filter_cache import _MOST, Choices
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


def seen(hits: Hits) -> list[tuple[str, float]]:
    return [(hit.id, round(hit.score, 9)) for hit in hits]


@pytest.mark.parametrize("where", [FEW, MANY], ids=["few", "many"])
def test_a_filter_used_again_finds_what_it_found(twins: list[Database], vectors: np.ndarray, where: Filter) -> None:
    files, memory = (database.open("docs") for database in twins)
    for _ in range(3):
        for query in vectors[::500] + np.float32(0.1):
            assert seen(files.search(query, where=where, exact=True)) == seen(
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
                assert seen(found) == seen(memory.search(query, where=FEW, exact=True))
            for store in (other, memory):
                store.delete(ids=[found[0].id])
                store.update(ids=[found[1].id], set={"n": 5_000})
                store.upsert([Record(f"new {step}", query, metadata={"n": step})])


def test_a_mask_is_made_once() -> None:
    choices, made = Choices(), []

    def make() -> np.ndarray:
        made.append(True)
        return np.array([True, False, True])

    first = choices.of(Compare("n", "eq", 1), make)
    assert choices.of(Compare("n", "eq", 1), make) is first
    assert (first.count, len(made)) == (2, 1)
    assert choices.of(Compare("n", "eq", 2), make) is not first


def test_what_was_used_longest_ago_is_forgotten() -> None:
    choices = Choices(room=250)
    one, two, three = (Compare("n", "eq", number) for number in range(3))
    first = choices.of(one, lambda: np.ones(100, np.bool_))
    second = choices.of(two, lambda: np.ones(100, np.bool_))
    assert choices.of(one, lambda: np.zeros(0, np.bool_)) is first
    choices.of(three, lambda: np.ones(100, np.bool_))
    assert choices.of(one, lambda: np.zeros(0, np.bool_)) is first
    assert choices.of(two, lambda: np.ones(100, np.bool_)) is not second


def test_no_more_filters_are_kept_than_there_is_use_for() -> None:
    choices = Choices()
    for number in range(3 * _MOST):
        choices.of(Compare("n", "eq", number), lambda: np.ones(1, np.bool_))
    assert len(choices._known) == _MOST


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    choices, condition = Choices(room=10), Compare("n", "eq", 1)
    first = choices.of(condition, lambda: np.ones(100, np.bool_))
    assert first.count == 100
    assert choices.of(condition, lambda: np.ones(100, np.bool_)) is not first
