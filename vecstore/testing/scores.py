"""Scores and distances, against float64 arithmetic written down here once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ..database import Database
from ..hits import Hits
from ..index_options import HNSW, Flat, IndexOptions
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

Array = NDArray[np.float64]

DIM = 24
TOLERANCE = {"float32": 1e-5, "float16": 2e-3}
# How large the norms become that the values of a dtype still resolve.
WIDEST = {"float32": 14.5, "float16": 4.0}
INDEXES: dict[str, IndexOptions] = {"flat": Flat(), "hnsw": HNSW(m=8, ef_construction=64)}

# What a distance is; a score is its opposite, but for cosine, where it is what the distance lacks to 1.
DISTANCES: Mapping[str, Callable[[Array, Array], Array]] = MappingProxyType(
    {
        "cosine": lambda rows, query: 1 - rows @ query / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query)),
        "ip": lambda rows, query: -(rows @ query),
        "l2": lambda rows, query: np.sqrt(((rows - query) ** 2).sum(axis=1)),
    }
)


def compute_scores(metric: str, rows: Array, query: Array) -> Array:
    distances = DISTANCES[metric](rows, query)
    return 1 - distances if metric == "cosine" else -distances


def draw_vectors(metric: str, dtype: str) -> dict[str, NDArray[Any]]:
    """Return vectors of every kind: of any norm, nearly the same, the same, opposite, on the axes."""
    draw = np.random.default_rng(42)
    ordinary = draw.normal(size=(150, DIM)) * 10 ** draw.uniform(-1, 2, (150, 1))
    wide = normalize_vector(draw.normal(size=(80, DIM))) * 10 ** draw.uniform(-WIDEST[dtype], WIDEST[dtype], (80, 1))
    base = normalize_vector(draw.normal(size=(1, DIM)))
    kinds = {
        "ordinary": ordinary,
        "wide": wide,
        "near": 1e3 * base * (1 + 1e-6 * draw.normal(size=(40, DIM))),
        "far": 1e4 * base * (1 + 1e-6 * draw.normal(size=(20, DIM))),
        "same": np.repeat(100 * base, 20, axis=0),
        "opposite": -100 * base,
        "axis": np.eye(DIM),
        "zero": np.zeros((0 if metric == "cosine" else 2, DIM)),
    }
    return {
        f"{kind}-{number:03}": vector.astype(dtype)
        for kind, vectors in kinds.items()
        for number, vector in enumerate(vectors)
    }


def normalize_vector(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@dataclass(frozen=True)
class Question:
    """A query, the score that every record has for it, and how far an answer may be from that."""

    vector: Any
    metric: str
    scores: Mapping[str, float]
    tolerance: Mapping[str, float]

    def check(self, hits: Hits) -> None:
        """Check scores and distances."""
        for hit in hits:
            score, tolerance = self.scores[hit.id], self.tolerance[hit.id]
            assert abs(hit.score - score) <= tolerance, hit
            distance = 1 - score if self.metric == "cosine" else -score
            assert abs(hit.distance - distance) <= tolerance, hit

    def check_nearest(self, hits: Hits, k: int) -> None:
        """Check that no record is missing that is clearly nearer than the k-th, and that none is clearly farther."""
        scores, tolerance = self.scores, self.tolerance
        last = sorted(scores, key=lambda id_: -scores[id_])[:k][-1]
        floor, ceiling = scores[last] - tolerance[last], scores[last] + tolerance[last]
        must = {id_ for id_ in scores if scores[id_] - tolerance[id_] > ceiling}
        may = {id_ for id_ in scores if scores[id_] + tolerance[id_] >= floor}
        found = {hit.id for hit in hits}
        assert len(hits) == k
        assert must - found == set()
        assert found - may == set()


class FilledStore:
    """A filled store, what is in it, and questions of every kind: stored vectors, tiny, huge, of other types."""

    def __init__(self, store: VectorStore, vectors: Mapping[str, NDArray[Any]]) -> None:
        self.store = store
        self.vectors = vectors
        self.metric = store.schema.metric.value
        self._rows = np.array(list(vectors.values())).astype(np.float64)
        draw = np.random.default_rng(7)
        tip = 10 ** WIDEST[store.schema.dtype]
        one, two, three, four = normalize_vector(draw.normal(size=(4, DIM)))
        given = [one * 3, two * tip, three / tip, (four * 5).astype(np.float32), one.tolist(), two.astype(np.float16)]
        stored = [vectors[id_] for id_ in ("ordinary-003", "near-000", "same-000", "opposite-000", "axis-001")]
        self.questions = [self.question(vector) for vector in [*given, *stored, [1] * DIM]]

    def question(self, vector: Any) -> Question:
        """Return a query with its truth."""
        asked = np.asarray(vector).astype(np.float64)
        scores = compute_scores(self.metric, self._rows, asked)
        scale = np.maximum(1, np.abs(scores))
        if self.metric == "ip":
            scale = np.linalg.norm(self._rows, axis=1) * np.linalg.norm(asked)
        tolerance = TOLERANCE[self.store.schema.dtype] * scale
        return Question(
            vector,
            self.metric,
            dict(zip(self.vectors, scores.tolist(), strict=True)),
            dict(zip(self.vectors, tolerance.tolist(), strict=True)),
        )


class ScoreTests(Places):
    """What a score is under each metric, dtype and index."""

    @pytest.fixture(
        scope="class",
        params=[(metric, dtype, index) for metric in DISTANCES for dtype in TOLERANCE for index in INDEXES],
        ids="-".join,
    )
    @classmethod
    def filled(cls, request: pytest.FixtureRequest, library: Database) -> FilledStore:
        metric, dtype, index = request.param
        vectors = draw_vectors(metric, dtype)
        schema = Schema(dim=DIM, metric=metric, dtype=dtype, index=INDEXES[index])
        store = library.create(f"{metric}_{dtype}_{index}", schema)
        store.insert(Record(id_, vector) for id_, vector in vectors.items())
        store.reindex()
        return FilledStore(store, vectors)

    def test_every_score(self, filled: FilledStore) -> None:
        for question in filled.questions:
            hits = filled.store.search(question.vector, len(filled.vectors))
            assert sorted(hit.id for hit in hits) == sorted(filled.vectors)
            question.check(hits)

    def test_the_nearest(self, filled: FilledStore) -> None:
        for question in filled.questions:
            for k in (1, 10, 50):
                hits = filled.store.search(question.vector, k, exact=True)
                assert hits.exact
                question.check(hits)
                question.check_nearest(hits, k)

    def test_the_nearest_of_many_queries(self, filled: FilledStore) -> None:
        asked = [np.asarray(question.vector, np.float64) for question in filled.questions]
        for question, hits in zip(filled.questions, filled.store.search_many(asked, 10, exact=True), strict=True):
            question.check(hits)
            question.check_nearest(hits, 10)

    def test_however_it_was_found_a_hit_has_its_score(self, filled: FilledStore) -> None:
        three = {"id": {"$in": ["ordinary-003", "near-001", "wide-004"]}}
        for question in filled.questions[::2]:
            vector, store = question.vector, filled.store
            for hits in (
                store.search(vector, 10),
                store.search(vector, 10, ef=16),
                store.search(vector, 3, where=three),
            ):
                assert len(hits) in {3, 10}
                question.check(hits)

    def test_what_a_vector_is_to_itself(self, filled: FilledStore) -> None:
        for id_ in ("ordinary-003", "near-000", "axis-001", "wide-010"):
            vector = filled.vectors[id_].astype(np.float64)
            itself = filled.store.search(vector, 1, where={"id": id_})[0]
            expected = {"cosine": 1.0, "ip": float(vector @ vector), "l2": 0.0}[filled.metric]
            assert abs(itself.score - expected) <= filled.question(vector).tolerance[id_]

    def test_asking_by_id_is_asking_with_the_stored_vector(self, filled: FilledStore) -> None:
        for id_ in ("ordinary-003", "near-000", "wide-010"):
            question = filled.question(filled.vectors[id_])
            question.check(filled.store.similar_to(id_, 20, exact=True))


class ExactScoreTests(Places):
    """Small whole numbers, of which every arithmetic makes the same scores."""

    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize(
        "metric, expected",
        [
            ("ip", {"a": 14.0, "b": 7.0, "c": 0.0, "d": -14.0}),
            ("l2", {"a": -5.0, "b": -0.0, "c": -5.0, "d": -15.0}),
            ("cosine", {"c": 0.0}),
        ],
    )
    def test_the_formula(self, db: Database, dtype: str, metric: str, expected: dict[str, float]) -> None:
        vectors = {"a": [6.0, 8.0], "b": [3.0, 4.0], "c": [8.0, 0.0], "d": [-6.0, -8.0]}
        query = {"ip": [1.0, 1.0], "l2": [3.0, 4.0], "cosine": [0.0, 2.0]}[metric]
        if metric == "ip":
            vectors["c"] = [7.0, -7.0]
        if metric == "l2":
            vectors["c"] = [6.0, 0.0]
        store = db.create("few", Schema(dim=2, metric=metric, dtype=dtype, index=Flat()))
        store.insert(Record(id_, vector) for id_, vector in vectors.items())
        found = {hit.id: hit.score for hit in store.search(query)}
        assert {id_: found[id_] for id_ in expected} == expected

    @pytest.mark.parametrize("metric, floors", [("ip", [7.0, 0.0, 14.0, -3.0]), ("l2", [-5.0, -4.0, 0.0, -100.0])])
    @pytest.mark.parametrize("index", INDEXES)
    def test_min_score_is_inclusive(self, db: Database, metric: str, floors: list[float], index: str) -> None:
        vectors = {"a": [6.0, 8.0], "b": [3.0, 4.0], "c": [0.0, 0.0], "d": [-6.0, -8.0]}
        query = {"ip": [1.0, 1.0], "l2": [3.0, 4.0]}[metric]
        store = db.create("few", Schema(dim=2, metric=metric, index=INDEXES[index]))
        store.insert(Record(id_, vector) for id_, vector in vectors.items())
        scores = dict(
            zip(vectors, compute_scores(metric, np.array(list(vectors.values())), np.array(query)), strict=True)
        )
        for floor in floors:
            for k in (10, 2, 1):
                expected = sorted((id_ for id_ in scores if scores[id_] >= floor), key=lambda id_: (-scores[id_], id_))
                hits = store.search(query, k, min_score=floor)
                assert [hit.id for hit in hits] == expected[:k]
                assert [hit.id for hit in store.search_many([query], k, min_score=floor)[0]] == expected[:k]
        if metric == "ip":
            assert len(store.search(query, min_score=1e9)) == 0
        assert len(store.search(query, min_score=np.float32(-1e9))) == 4  # type: ignore[arg-type]

    @pytest.mark.parametrize("metric", DISTANCES)
    def test_a_score_that_was_returned_is_its_own_floor(self, db: Database, metric: str) -> None:
        draw = np.random.default_rng(3)
        store = db.create("random", Schema(dim=8, metric=metric, index=Flat()))
        store.insert(Record(f"{number:03}", vector) for number, vector in enumerate(draw.normal(size=(100, 8))))
        hits = store.search(np.ones(8), 100)
        for place in (0, 7, 50, 99):
            again = store.search(np.ones(8), 100, min_score=hits[place].score)
            assert [hit.id for hit in again] == [hit.id for hit in hits[: place + 1]]
