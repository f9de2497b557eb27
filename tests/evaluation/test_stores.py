"""Figures over stores: the same on every backend, through scans and searches alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.places import BACKENDS, make_place
from tests.cli.places import postgres_server as postgres_server
from tests.cli.places import postgres_url as postgres_url
from tests.cli.places import redis_server as redis_server
from tests.places import MemoryPlace
from vecstore import (
    HNSW,
    Database,
    Flat,
    InvalidArgument,
    Record,
    Schema,
    UnknownField,
    VectorStore,
    evaluation,
    fields,
)
from vecstore.evaluation.sampling import check_field, choose_labelled
from vecstore.evaluation.sweep import _Truth

ROWS = 300


def list_records() -> list[Record]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 8)) * 3
    vectors = np.concatenate([centres[row % 3] + rng.normal(size=8) for row in range(ROWS)]).reshape(ROWS, 8)
    vectors[7] = vectors[4] * 1.5
    vectors[7, 0] += 0.02  # nearly the same direction, and no tie
    records = [
        Record(f"r{row:03}", vector, f"text {row}", {"kind": "abc"[row % 3], "n": row})
        for row, vector in enumerate(vectors.astype(np.float32))
    ]
    records[299] = Record("r299", -centres.sum(axis=0).astype(np.float32), None, {"n": 299})
    return [*records, Record("none", None, "no vector", {"kind": "a"}, embed=False)]


def fill(database: Database) -> VectorStore:
    # Flat, because a graph may miss a neighbour on one backend and not on another.
    schema = Schema(dim=8, fields={"kind": fields.Keyword()}, vectors="optional", index=Flat())
    store = database.create("s", schema)
    store.upsert(list_records())
    return store


@pytest.fixture(scope="module")
def reference() -> VectorStore:
    return fill(MemoryPlace().connect())


@pytest.fixture(params=["memory", *BACKENDS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    place = MemoryPlace() if request.param == "memory" else make_place(request.param, request, tmp_path / "place")
    with place.connect() as database:
        yield fill(database)
    place.close()


def measure(store: VectorStore) -> dict[str, Any]:
    sample = evaluation.draw_sample(store, 40, seed=3)
    whole = evaluation.draw_sample(store, 1_000)
    outliers = evaluation.find_outliers(store, whole, 5)
    twins = evaluation.find_duplicates(store, whole, 0.9999)
    asked = {f"q{row}": whole.vectors[row] for row in range(20)}
    judged = {f"q{row}": {id_: 1 for id_ in whole.ids if id_ > "r280"} | {whole.ids[row]: 2} for row in range(20)}
    quality, rankings = evaluation.evaluate_search(store, asked, judged, 5, exact=True)
    sweep = evaluation.sweep_recall(store, 5, [16], queries=30)
    return {
        "sample": (list(sample.ids), sample.total, sample.pick("kind"), list(sample.texts)),
        "vectors": sample.vectors.tolist(),
        "whole": len(whole),
        "outliers": outliers.ids[:5],
        "far": outliers.distances,
        "groups": twins.groups,
        "share": twins.figure.value,
        "quality": [(figure.name, round(figure.value, 6), figure.baseline, figure.n) for figure in quality.figures],
        "rankings": rankings,
        "sweep": (sweep.rows, sweep.queries, sweep.exact.recall.value, sweep.exact.exact, sweep.exact.recall.baseline),
    }


def test_every_backend_gives_the_same_figures(store: VectorStore, reference: VectorStore) -> None:
    found, expected = measure(store), measure(reference)
    # Engines compute in single precision, some of them in another order.
    np.testing.assert_allclose(found.pop("far"), expected.pop("far"), atol=1e-5)
    assert found == expected
    assert found["whole"] == ROWS  # the record without a vector is in no sample
    assert found["sample"][1] == ROWS + 1
    assert found["outliers"][0] == "r299"
    assert found["groups"] == (("r004", "r007"),)
    assert found["sweep"][:4] == (ROWS + 1, 29, 1.0, True)  # of 30 drawn, one has no vector


def test_a_record_is_not_its_own_neighbour(reference: VectorStore) -> None:
    whole = evaluation.draw_sample(reference, 1_000)
    found = evaluation.find_outliers(reference, whole, 5)
    expected = np.sort(evaluation.measure_isolation(whole.vectors, 5))[::-1]
    np.testing.assert_allclose(found.distances, expected, atol=1e-5)
    hits = [reference.search(whole.vectors[0], k, exact=True) for k in (1, 2)]
    truth = _Truth([hits[1]], [whole.ids[0]], 1, 0.0, 0)
    assert truth.judge(None, [hits[0]], np.ones(1)).recall.value == 0  # it found the record itself alone
    assert truth.judge(None, [hits[1]], np.ones(1)).recall.value == 1


def test_a_small_sample_is_fetched_and_a_large_one_scanned(reference: VectorStore) -> None:
    for size in (5, 100):
        sample = evaluation.draw_sample(reference, size)
        assert size - 1 <= len(sample) <= size
        assert list(sample.ids) == sorted(sample.ids)
        for id_, vector in zip(sample.ids, sample.vectors, strict=True):
            (record,) = reference.get([id_])
            assert record is not None
            assert np.array_equal(np.asarray(record.vector), vector)


def test_a_sample_is_drawn_evenly() -> None:
    store = MemoryPlace().connect().create("s", Schema(dim=1))
    store.upsert(Record(f"{row:02}", [float(row + 1)]) for row in range(20))
    drawn = [int(id_) for seed in range(400) for id_ in evaluation.draw_sample(store, 5, seed=seed).ids]
    counts = np.bincount(drawn, minlength=20)
    assert counts.sum() == 2_000
    assert 60 <= counts.min() <= counts.max() <= 140  # 100 ± 4.6 standard deviations


def test_a_field_that_no_record_has_is_refused_before_work(reference: VectorStore) -> None:
    check_field(reference, "kind")
    check_field(reference, "n")
    with pytest.raises(UnknownField, match="Did you mean 'kind'"):
        check_field(reference, "kinds")


def test_records_without_a_label_are_left_out(reference: VectorStore) -> None:
    sample, labels = choose_labelled(evaluation.draw_sample(reference, 1_000), "kind")
    assert len(sample) == len(labels) == ROWS - 1
    with pytest.raises(InvalidArgument, match="single value"):
        choose_labelled(sample, "nothing")


def test_recall_falls_with_the_effort(tmp_path: Path) -> None:
    """On data without clusters in 32 dimensions a small effort misses some; the default keeps its target."""
    place = make_place("file", None, tmp_path / "place")  # type: ignore[arg-type]
    from vecstore import connect

    rows = np.random.default_rng(1).normal(size=(3_000, 32)).astype(np.float32)
    with connect(f"{place.url}") as database:
        store = database.create("s", Schema(dim=32, index=HNSW(m=8)))
        store.upsert(Record(f"r{row}", vector) for row, vector in enumerate(rows))
        sweep = evaluation.sweep_recall(store, 10, [11, 48], queries=60)
        low, high = sweep.steps
        assert not low.exact
        assert not high.exact
        assert low.recall.value < high.recall.value <= 1
        assert low.recall.low is not None
        assert low.recall.low < low.recall.value < 0.99
        assert sweep.exact.recall.value == 1
        assert sweep.exact.recall.baseline == pytest.approx(10 / 3_000)
        assert 0 < low.p50_ms <= low.p95_ms <= low.p99_ms
        given = evaluation.sweep_recall(store, 1, [48], vectors=rows[:5])
        assert given.steps[0].recall.value == 1  # stored vectors, given as queries, find themselves
        assert given.queries == 5
    place.close()


def test_what_cannot_be_swept_is_refused(reference: VectorStore) -> None:
    for wrong in ({"k": 0}, {"efforts": [0]}, {"queries": 0}, {"seed": -1}):
        with pytest.raises(InvalidArgument):
            evaluation.sweep_recall(reference, **wrong)
    empty = MemoryPlace().connect().create("empty", Schema(dim=2))
    with pytest.raises(InvalidArgument, match="Records with a vector"):
        evaluation.sweep_recall(empty)
    with pytest.raises(InvalidArgument, match="Records"):
        evaluation.find_duplicates(empty, evaluation.draw_sample(empty, 5))
    with pytest.raises(InvalidArgument, match="metric cosine"):
        evaluation.find_duplicates(reference, evaluation.draw_sample(reference, 5), 1.5)


def test_a_sample_keeps_its_columns_together(reference: VectorStore) -> None:
    sample = evaluation.draw_sample(reference, 1_000)
    kept = sample.keep(np.array([5, 2]))
    assert [kept.ids[0], kept.texts[0], kept.pick("n")] == ["r005", "text 5", [5, 2]]
    assert replace(kept, seed=1).seed == 1
