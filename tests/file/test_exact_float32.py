"""Exact search against the numpy definition in float64, on data that float32 arithmetic gets wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from vecstore.backends.file.metrics import METRICS, DotProducts
from vecstore.backends.file.search import exact_float32
from vecstore.backends.file.search.exact_float32 import find_nearest
from vecstore.backends.file.vectors.part import Part
from vecstore.metric import Metric, score_rows
from vecstore.rows.vectors import compute_norms

Matrix = NDArray[np.float32]
Make = Callable[[np.random.Generator, int, int], Matrix]


def make_part(vectors: NDArray[np.generic], base: int = 0, alive: NDArray[np.bool_] | None = None) -> Part:
    norms = compute_norms(vectors)
    mask = np.ones(len(vectors), np.bool_) if alive is None else alive
    return Part(vectors, lambda: norms, base, mask, lambda _start, _end: None)


def name_rows(rids: NDArray[np.int64]) -> Sequence[str]:
    """Ids in another order than rids."""
    return [f"{rid * 7919 % 10007:05}" for rid in rids.tolist()]


def plain(rng: np.random.Generator, n: int, dim: int) -> Matrix:
    return rng.standard_normal((n, dim)).astype(np.float32)


def huge(rng: np.random.Generator, n: int, dim: int) -> Matrix:
    return np.asarray(plain(rng, n, dim) * (1e14 / np.sqrt(dim)), np.float32)


def tiny(rng: np.random.Generator, n: int, dim: int) -> Matrix:
    return (plain(rng, n, dim) * 1e-14).astype(np.float32)


def all_scales(rng: np.random.Generator, n: int, dim: int) -> Matrix:
    scales = 10.0 ** rng.uniform(-12, 12, (n, 1))
    return (plain(rng, n, dim) * scales).astype(np.float32)


def near_duplicates(rng: np.random.Generator, n: int, dim: int) -> Matrix:
    """Far from the origin and close to each other: the squares of norms hide the distances."""
    centre = plain(rng, 1, dim) * 1e6
    return np.asarray(centre + plain(rng, n, dim), np.float32)


def spiky(rng: np.random.Generator, n: int, dim: int) -> Matrix:
    """Large parts that cancel out and small ones that decide."""
    vectors = plain(rng, n, dim)
    vectors[:, 0], vectors[:, 1] = 1e7, -1e7
    return vectors


def ties(rng: np.random.Generator, n: int, dim: int) -> Matrix:
    return rng.integers(-1, 2, (n, dim)).astype(np.float32) + np.float32(0.5)


def subnormal(rng: np.random.Generator, n: int, dim: int) -> Matrix:
    """Products far below what float32 can hold, beside one that it can."""
    vectors = (plain(rng, n, dim) * 1e-30).astype(np.float32)
    vectors[:, 0] = rng.choice([1e-15, 2e-15], n)
    return vectors


MAKES: list[Make] = [plain, huge, tiny, all_scales, near_duplicates, spiky, ties, subnormal]


def check(metric: Metric, parts: Sequence[Part], queries: Matrix, k: int) -> None:
    """Compare with sorting every row by its score in float64, ids deciding ties."""
    rids = np.concatenate([each.get_rids(np.flatnonzero(each.alive)) for each in parts])
    vectors = np.concatenate([np.asarray(each.vectors, np.float64)[each.alive] for each in parts])
    names = name_rows(rids)
    for query, (found, values) in zip(queries, find_nearest(metric, parts, queries, k, name_rows), strict=True):
        wide = query.astype(np.float64)
        truth = METRICS[metric].score_pairs(
            vectors,
            np.broadcast_to(wide, vectors.shape),
            compute_norms(vectors),
            np.full(len(vectors), compute_norms(wide[None])[0]),
        )
        order = sorted(range(len(rids)), key=lambda place: (-truth[place], names[place]))[:k]
        got = sorted(zip(-values, name_rows(found), strict=True))
        assert [name for _, name in got] == [names[place] for place in order]
        assert [-value for value, _ in got] == [truth[place] for place in order]
        # The definition in its own words agrees as closely as float64 can.
        size = compute_norms(vectors) * np.linalg.norm(wide) if metric is Metric.IP else np.ones(len(vectors))
        scale = np.maximum(size, np.abs(truth))[order]
        assert np.all(np.abs(score_rows(metric, vectors, query)[order] - truth[order]) <= 1e-7 * scale)


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_agrees_with_float64(
    metric: Metric, make: Make, dtype: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small blocks, so that few rows make many of them.
    monkeypatch.setattr(exact_float32, "_BLOCK_BYTES", 1 << 15)
    for dim in (3, 40):
        vectors = make(rng, 700, dim)
        if dtype == "float16":
            vectors = (vectors / np.abs(vectors).max() * 60_000).astype(np.float16).astype(np.float32)
            vectors[~vectors.any(axis=1)] = 1
        queries = np.concatenate([vectors[:3], make(rng, 5, dim)])
        stored = vectors.astype(dtype)
        alive = rng.random(500) < 0.7
        sparse = rng.random(200) < 0.05
        parts = [make_part(stored[:500], 10, alive), make_part(stored[500:], 1000, sparse)]
        for k in (1, 10, 600):
            check(metric, parts, queries, k)
        check(metric, parts, queries[:1], 10)


@pytest.mark.parametrize("metric", list(Metric))
def test_bounds_hold(metric: Metric, rng: np.random.Generator) -> None:
    for make in MAKES:
        for dim in (1, 17, 1000):
            vectors, queries = make(rng, 200, max(dim, 2)), make(rng, 20, max(dim, 2))
            dots = DotProducts.of(vectors @ queries.T, compute_norms(vectors), compute_norms(queries), vectors.shape[1])
            lower, upper = METRICS[metric].bound_products(dots)
            truth = np.stack([score_rows(metric, vectors, query) for query in queries], axis=1)
            rounding = 1e-13 * (np.abs(truth) if metric is not Metric.IP else dots.products)
            assert np.all(lower <= truth + rounding)
            assert np.all(upper >= truth - rounding)


@pytest.mark.parametrize("metric", list(Metric))
def test_equal_vectors_tie_wherever_they_lie(metric: Metric, rng: np.random.Generator) -> None:
    vectors = plain(rng, 5000, 33)
    places = rng.choice(5000, 300, replace=False)
    vectors[places] = vectors[places[0]]
    found, values = find_nearest(metric, [make_part(vectors)], vectors[places[:1]] * 2, 100, name_rows)[0]
    if metric is not Metric.IP:
        assert len(set(values.tolist())) == 1
        assert sorted(name_rows(found)) == sorted(name_rows(places))[:100]
    check(metric, [make_part(vectors)], vectors[places[:1]] * 2, 100)


def test_more_ties_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.backends.file.search.top_k._TIES", 50)
    monkeypatch.setattr(exact_float32, "_BLOCK_BYTES", 1 << 12)
    vectors = np.ones((3000, 4), np.float32)
    found, _ = find_nearest(Metric.COSINE, [make_part(vectors)], vectors[:1], 10, name_rows)[0]
    assert sorted(name_rows(found)) == sorted(name_rows(np.arange(3000)))[:10]


def test_fewer_rows_than_k_and_none(rng: np.random.Generator) -> None:
    vectors = plain(rng, 5, 4)
    found, _ = find_nearest(Metric.L2, [make_part(vectors)], vectors[:1], 10, name_rows)[0]
    assert sorted(found.tolist()) == [0, 1, 2, 3, 4]
    nothing = find_nearest(Metric.L2, [make_part(vectors, 0, np.zeros(5, np.bool_))], vectors[:2], 10, name_rows)
    assert [len(rids) for rids, _ in nothing] == [0, 0]
    assert [len(rids) for rids, _ in find_nearest(Metric.L2, [], vectors[:2], 10, name_rows)] == [0, 0]


def test_many_queries_at_once_answer_as_one_by_one(rng: np.random.Generator) -> None:
    vectors, queries = plain(rng, 2000, 16), plain(rng, 600, 16)
    together = find_nearest(Metric.COSINE, [make_part(vectors)], queries, 5, name_rows)
    for query, (rids, values) in zip(queries[::50], together[::50], strict=True):
        alone = find_nearest(Metric.COSINE, [make_part(vectors)], query[None], 5, name_rows)[0]
        assert rids.tolist() == alone[0].tolist()
        assert values.tolist() == alone[1].tolist()
