"""Filters that need several queries or steps. The answers are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import and_, or_

import numpy as np
import pytest

import vecstore
from vecstore import ALL, F, Filter, Flat, PartialWrite, Record, Schema, Timeout, VectorStore, fields
from vecstore.backends.redis import scripts
from vecstore.backends.redis.filters import compile_filter
from vecstore.backends.redis.generation_guard import GenerationGuard
from vecstore.filters.binding import bind

COUNT = 2_500
SCHEMA = Schema(dim=4, metric="l2", index=Flat(), fields={"year": fields.Int(), "lang": fields.Keyword()})


def make_record(number: int) -> Record:
    metadata = {"year": number % 50, "lang": "abc"[number % 3]} if number % 7 else {}
    return Record(f"r{number:05}", [number % 90, 1, 2, 3], f"text {number}", {**metadata, "note": number})


RECORDS = [make_record(number) for number in range(COUNT)]


def get_year(each: Record) -> int | None:
    found: int | None = each.metadata.get("year")
    return found


SEVERAL = reduce(or_, [(F.year == number) & (F.lang == "b") for number in range(0, 50, 2)])
EXPONENTIAL = reduce(and_, [(F.year != number) | (F.lang == "c") for number in range(10)])
CASES: dict[str, tuple[Filter, Callable[[Record], bool], int | None]] = {
    "one query": (F.year < 20, lambda each: (get_year(each) or 99 if get_year(each) != 0 else 0) < 20, 1),
    "two queries": (SEVERAL, lambda each: each.metadata.get("lang") == "b" and (get_year(each) or 0) % 2 == 0, 2),
    "no query": (
        EXPONENTIAL,
        lambda each: each.metadata.get("lang") == "c" or get_year(each) is None or (get_year(each) or 0) >= 10,
        None,
    ),
}


@pytest.fixture
def store(redis_url: str) -> Iterator[VectorStore]:
    with vecstore.connect(redis_url) as db:
        store = db.create("many", SCHEMA)
        store.insert(RECORDS)
        yield store


@pytest.mark.parametrize("case", CASES)
def test_every_strategy_finds_the_same(store: VectorStore, case: str) -> None:
    where, test, queries = CASES[case]
    bound = bind(where, SCHEMA)
    assert bound is not None
    found = compile_filter(bound, SCHEMA.fields)
    assert (None if found is None else len(found)) == queries
    expected = [each for each in RECORDS if test(each)]
    assert store.count(where) == len(expected)
    assert [each.id for each in store.scan(where)] == [each.id for each in expected]
    query = np.array([17.2, 1, 2, 3])
    for k in (10, 300):
        hits = store.search(query, k, where=where)
        distances = sorted(abs(np.asarray(each.vector)[0] - 17.2) for each in expected)[:k]
        assert [hit.distance for hit in hits] == pytest.approx(distances, abs=1e-4)
        assert {hit.id for hit in hits} <= {each.id for each in expected}
        assert hits.exact
    changed = store.update(where=where, metadata={"note": "new"}, text=None)
    assert changed == len(expected)
    ids = {each.id for each in expected}
    for each in store.scan():
        assert (each.metadata["note"] == "new", each.text is None) == (each.id in ids, each.id in ids)
    assert store.delete(where=where) == len(expected)
    assert store.count() == COUNT - len(expected)
    assert store.verify().problems == ()


def test_all_records_are_updated_and_deleted(store: VectorStore) -> None:
    assert store.update(where=ALL, metadata={"year": 7, "lang": None}) == COUNT
    assert store.count(F.year == 7) == COUNT
    assert store.count(F.lang.exists()) == 0
    assert store.delete(where=ALL) == COUNT
    assert store.count() == 0


def test_an_interrupted_delete_reports_how_many_it_removed(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run, steps = GenerationGuard.run, []

    def run_until_third(
        self: GenerationGuard, generation: object, script: object, *args: object, **kwargs: object
    ) -> object:
        if script is scripts.DELETE:
            steps.append(script)
            if len(steps) > 2:
                raise Timeout("The server did not answer.")
        return run(self, generation, script, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(GenerationGuard, "run", run_until_third)
    with pytest.raises(PartialWrite) as caught:
        store.delete(where=ALL)
    monkeypatch.undo()
    assert 0 < caught.value.committed < COUNT
    assert store.count() == COUNT - caught.value.committed
    assert isinstance(caught.value.__cause__, Timeout)


def test_concurrent_updates_lose_no_changes(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undeclared metadata is read, merged by the client and written back, and read again if it changed meanwhile."""
    run, others = GenerationGuard.run, iter(range(3))

    def run_disturbed(
        self: GenerationGuard, generation: object, script: object, *args: object, **kwargs: object
    ) -> object:
        if script is scripts.UPDATE and (turn := next(others, None)) is not None:
            store.update(ids=["r00001"], metadata={f"other{turn}": turn})
        return run(self, generation, script, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(GenerationGuard, "run", run_disturbed)
    assert store.update(where=F.year == 1, metadata={"mine": True}) > 1
    [found] = store.get(["r00001"])
    assert found is not None
    assert dict(found.metadata) == {**RECORDS[1].metadata, "mine": True, "other0": 0, "other1": 1, "other2": 2}


@pytest.mark.parametrize("where", [F.year < 3, F.lang.exists() | F.lang.is_missing()], ids=["few", "many"])
def test_a_scan_continues_after_a_removed_or_changed_page(
    store: VectorStore, where: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [each.id for each in store.scan(where)]
    run, turns = GenerationGuard.run, iter(range(1))

    def run_disturbed(
        self: GenerationGuard, generation: object, script: object, *args: object, **kwargs: object
    ) -> object:
        if script is scripts.FETCH_MATCHING and next(turns, None) is not None:
            store.delete(ids=expected[:10])
            store.update(ids=expected[10:15], metadata={"year": 40})
        return run(self, generation, script, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(GenerationGuard, "run", run_disturbed)
    found = [each.id for each in store.scan(where, batch_size=10)]
    assert [id_ for id_ in found if id_ not in expected[10:15]] == expected[15:]
