"""Scans of codes and matrix products against float64: the right answer, or the word that it is not proven."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from vecstore import turnstile
from vecstore.backends.file.metrics import METRICS, Doubles
from vecstore.backends.file.search import exact_batch, exact_codes
from vecstore.backends.file.search.codes import Codes
from vecstore.backends.file.search.exact_codes import CodedRows
from vecstore.metric import Metric, score_rows
from vecstore.rows.vectors import compute_norms
from vecstore.turnstile import Turn

from .test_exact_float32 import MAKES, Make, Matrix, all_scales, make_part, plain

NOTHING = (np.empty(0, np.int64), np.empty(0))
EASY = frozenset({"plain", "huge", "tiny"})
"""Data on which a scan that proves nothing would be of no use."""


def score_exactly(metric: Metric, vectors: Matrix, query: Matrix) -> Doubles:
    wide = vectors.astype(np.float64)
    asked = np.broadcast_to(query.astype(np.float64), wide.shape)
    return METRICS[metric].score_pairs(wide, asked, compute_norms(wide), compute_norms(asked))


def make_coded_rows(codes: Codes, start: int = 0, counts: np.ndarray | None = None) -> CodedRows:
    """Codes of rows that are numbered from ``start`` on."""
    return CodedRows(codes, counts, lambda places: (places + start, np.arange(len(places))))


def is_right(truth: Doubles, rids: np.ndarray, values: Doubles, k: int) -> bool:
    """Say whether these are the rows whose scores are at least the k-th best."""
    wanted = np.flatnonzero(truth >= (np.sort(truth)[::-1][k - 1] if len(truth) > k else -np.inf))
    order = np.argsort(rids)
    return np.array_equal(rids[order], wanted) and np.array_equal(values[order], truth[wanted])


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_intervals_hold(metric: Metric, make: Make, rng: np.random.Generator) -> None:
    for dim in (2, 17, 700):
        vectors = make(rng, 300, dim)
        codes = Codes.encode(metric, vectors, compute_norms(vectors))
        for query in np.concatenate([vectors[:3], make(rng, 5, dim), plain(rng, 2, dim)]):
            encoded = METRICS[metric].encode_query(query, codes.coding.exponent)
            distances, found = codes.scanner.search(encoded.vector, 50)
            places = found[0][found[0] >= 0]
            lower, upper = METRICS[metric].bound_scores(distances[0][found[0] >= 0], encoded, codes.error)
            truth = score_rows(metric, vectors[places], query)
            size = compute_norms(vectors[places]) * np.linalg.norm(query.astype(np.float64))
            rounding = 1e-13 * (np.abs(truth) if metric is not Metric.IP else size)
            assert np.all(lower <= truth + rounding)
            assert np.all(upper >= truth - rounding)


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_codes_answer_rightly_or_not_at_all(
    metric: Metric, make: Make, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_codes, "_WORTH", 100)
    vectors = make(rng, 900, 24)
    rows = [
        make_coded_rows(Codes.encode(metric, some, compute_norms(some)), start)
        for start, some in ((0, vectors[:500]), (500, vectors[500:]))
    ]
    proven = 0
    for query in np.concatenate([vectors[:5], make(rng, 15, 24)]):
        truth = score_exactly(metric, vectors, query)
        found = exact_codes.find_nearest(rows, query, 10, truth.__getitem__, NOTHING)
        if found is not None:
            proven += 1
            assert is_right(truth, *found, 10)
    assert proven >= (15 if make.__name__ in EASY else 0)


@pytest.mark.parametrize("metric", list(Metric))
def test_only_rows_that_count_are_found(
    metric: Metric, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_codes, "_WORTH", 300)
    vectors = plain(rng, 1_003, 24)
    codes = Codes.encode(metric, vectors, compute_norms(vectors))
    for share in (0.0, 0.005, 0.3, 1.0):
        counts = rng.random(1_003) < share
        for query in plain(rng, 5, 24):
            truth = np.where(counts, score_exactly(metric, vectors, query), -np.inf)
            found = exact_codes.find_nearest(
                [make_coded_rows(codes, counts=counts)], query, 10, truth.__getitem__, NOTHING
            )
            assert found is not None
            assert set(found[0].tolist()) <= set(np.flatnonzero(counts).tolist())
            assert len(found[0]) == min(10, int(counts.sum()))
            assert sorted(found[1]) == sorted(truth[counts])[::-1][:10][::-1]


@pytest.mark.parametrize("metric", list(Metric))
def test_narrowed_rows_find_the_same_rows(metric: Metric, rng: np.random.Generator) -> None:
    vectors = plain(rng, 2_000, 24)
    codes = Codes.encode(metric, vectors, compute_norms(vectors))
    counts = rng.random(2_000) < 0.05
    whole = make_coded_rows(codes, 7, counts)
    narrow = whole.narrow()
    assert narrow.counts is None
    assert len(narrow.codes) == int(counts.sum())
    for query in plain(rng, 5, 24):
        truth = np.concatenate([np.zeros(7), score_exactly(metric, vectors, query)])
        found, wanted = (
            exact_codes.find_nearest([each], query, 10, truth.__getitem__, NOTHING) for each in (narrow, whole)
        )
        assert found is not None
        assert wanted is not None
        assert dict(zip(*map(np.ndarray.tolist, found), strict=True)) == dict(
            zip(*map(np.ndarray.tolist, wanted), strict=True)
        )


def test_rows_of_which_many_count_stay_as_they_are(rng: np.random.Generator) -> None:
    vectors = plain(rng, 100, 8)
    codes = Codes.encode(Metric.L2, vectors, compute_norms(vectors))
    for each in (make_coded_rows(codes), make_coded_rows(codes, counts=np.ones(100, np.bool_))):
        assert each.narrow() is each


def test_rows_without_codes_count(rng: np.random.Generator) -> None:
    vectors, query = plain(rng, 500, 8), plain(rng, 1, 8)[0]
    truth = score_exactly(Metric.L2, vectors, query)
    first = vectors[:400]
    rows = [make_coded_rows(Codes.encode(Metric.L2, first, compute_norms(first)))]
    beside = np.arange(400, 500)
    found = exact_codes.find_nearest(rows, query, 10, truth.__getitem__, (beside, truth[beside]))
    assert found is not None
    assert is_right(truth, *found, 10)


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_products_answer_rightly_or_not_at_all(
    metric: Metric, make: Make, dtype: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_batch, "_BLOCK_BYTES", 1 << 14)
    vectors = make(rng, 900, 24)
    if dtype == "float16":
        vectors = (vectors / np.abs(vectors).max() * 60_000).astype(np.float16).astype(np.float32)
        vectors[~vectors.any(axis=1)] = 1
    stored = vectors.astype(dtype)
    alive = rng.random(400) < 0.6
    parts = [make_part(stored[:400], 0, alive), make_part(stored[400:700], 400), make_part(stored[700:], 700)]
    queries = np.concatenate([vectors[:5], make(rng, 15, 24)])
    stays = np.concatenate([alive, np.ones(500, np.bool_)])
    truths = [np.where(stays, score_exactly(metric, vectors, query), -np.inf) for query in queries]

    def scored(rids: np.ndarray, owners: np.ndarray) -> Doubles:
        return np.array([truths[owner][rid] for rid, owner in zip(rids, owners, strict=True)])

    found = exact_batch.find_nearest(metric, parts, queries, 10, scored)
    assert all(answer is None or is_right(truth, *answer, 10) for truth, answer in zip(truths, found, strict=True))
    if make.__name__ in EASY and dtype == "float32":
        assert sum(answer is not None for answer in found) >= 15


def test_products_of_fewer_rows_than_are_wanted(rng: np.random.Generator) -> None:
    vectors, queries = plain(rng, 7, 4), plain(rng, 3, 4)
    truths = [score_exactly(Metric.IP, vectors, query) for query in queries]
    found = exact_batch.find_nearest(
        Metric.IP, [make_part(vectors)], queries, 10, lambda rids, owners: np.stack(truths)[owners, rids]
    )
    for truth, answer in zip(truths, found, strict=True):
        assert answer is not None
        assert sorted(answer[0].tolist()) == list(range(7))
        assert sorted(answer[1]) == sorted(truth)


def test_nearly_unit_rows_are_not_taken_for_unit_rows(rng: np.random.Generator) -> None:
    vectors = plain(rng, 3_000, 16)
    vectors /= compute_norms(vectors)[:, None].astype(np.float32)
    vectors *= rng.uniform(1 - 1.9e-4, 1 + 1.9e-4, (3_000, 1)).astype(np.float32)
    queries = plain(rng, 30, 16)
    truths = [score_exactly(Metric.COSINE, vectors, query) for query in queries]
    found = exact_batch.find_nearest(
        Metric.COSINE, [make_part(vectors)], queries, 10, lambda rids, owners: np.stack(truths)[owners, rids]
    )
    assert all(answer and is_right(truth, *answer, 10) for truth, answer in zip(truths, found, strict=True))


def test_a_query_beyond_all_scales_proves_nothing(rng: np.random.Generator) -> None:
    """FAISS's float32 overflows; no row may be ruled out by that."""
    vectors = (all_scales(rng, 300, 8) * np.float32(1e-20)).astype(np.float32)
    query = np.full(8, 1e14, np.float32)
    rows = [make_coded_rows(Codes.encode(Metric.L2, vectors, compute_norms(vectors)))]
    truth = score_exactly(Metric.L2, vectors, query)
    found = exact_codes.find_nearest(rows, query, 3, truth.__getitem__, NOTHING)
    assert found is None or is_right(truth, *found, 3)


def test_a_scan_leaves_its_turn_to_other_threads(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = plain(rng, 500, 8), plain(rng, 8, 8)
    codes = Codes.encode(Metric.L2, vectors, compute_norms(vectors))
    truth = score_exactly(Metric.L2, vectors, queries[0])
    taken = dict[str, bool]()

    def watch(module: ModuleType, name: str) -> None:
        work = getattr(module, name)

        def run(*arguments: object) -> object:
            taken[name] = turnstile._gate.lock.locked()
            return work(*arguments)

        monkeypatch.setattr(module, name, run)

    watch(exact_codes, "_search_each")
    watch(exact_batch, "_multiply_blocks")
    turnstile._start_over()
    with Turn():
        exact_codes.find_nearest([make_coded_rows(codes)], queries[0], 5, truth.__getitem__, NOTHING)
        exact_batch.find_nearest(Metric.L2, [make_part(vectors)], queries, 5, lambda rids, owners: np.zeros(len(rids)))
    assert taken == {"_search_each": False, "_multiply_blocks": False}
