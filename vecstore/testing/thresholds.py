"""`min_score`: scores outside the metric's range are refused, everything inside works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ..database import Database
from ..errors import InvalidArgument, InvalidQuery
from ..index_options import HNSW, Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

VECTORS = {"same": [3.0, 4.0], "longer": [6.0, 8.0], "beside": [4.0, -3.0], "against": [-3.0, -4.0]}
QUERY = [3.0, 4.0]
NO_SCORES: dict[str, tuple[Any, ...]] = {
    "cosine": (1.001, -1.001, 1.5, -1.5, 2, -2, 80, 1e300, -1e300, np.float32(1.1), np.int64(7)),
    "l2": (0.8, 1, 1e-3, 1e-300, 5e-324, 1e300, np.float32(0.1), np.nextafter(0.0, 1)),
    "ip": (),
}
SCORES: dict[str, tuple[Any, ...]] = {
    "cosine": (-1, -1.0, 0, 0.5, 1, 1.0, np.float32(1), np.nextafter(1.0, 2), -1.0000001, 1.0000001, np.float16(0.5)),
    "l2": (0, 0.0, -0.0, -0.8, -5, -1e300, np.float32(-1), np.int8(-10)),
    "ip": (0, 25, -25, 1e300, -1e300, 0.8, np.float32(50)),
}
NO_NUMBERS: tuple[Any, ...] = (
    float("nan"), float("inf"), -float("inf"), np.float32("nan"), "0.5", "", True, False, np.bool_(True), [0.5], 1j,
    b"1", 10**400, 10**5000, np.array(0.5), np.array([0.5]), {"$gte": 0.5},
)  # fmt: skip


def list_calls(store: VectorStore, score: Any) -> list[Callable[[], object]]:
    """Return every kind of search with this threshold."""
    return [
        lambda: store.search(QUERY, min_score=score),
        lambda: store.search(QUERY, min_score=score, exact=True),
        lambda: store.search(QUERY, 0, min_score=score),
        lambda: store.search_many([QUERY, QUERY], min_score=score),
        lambda: store.search_many([], min_score=score),
        lambda: store.similar_to("same", min_score=score),
    ]


@pytest.mark.parametrize("metric", list(SCORES))
class ThresholdTests(Places):
    """`min_score` for every metric."""

    @pytest.fixture
    def stores(self, db: Database, metric: str) -> list[VectorStore]:
        """Return stores of the same four vectors, without and with an index."""
        stores = []
        for name, index in (("flat", Flat()), ("hnsw", HNSW())):
            store = db.create(name, Schema(dim=2, metric=metric, index=index))
            store.insert(Record(id_, vector) for id_, vector in VECTORS.items())
            stores.append(store)
        return stores

    def test_what_no_score_can_be(self, stores: list[VectorStore], metric: str) -> None:
        for score in NO_SCORES[metric]:
            for store in stores:
                for call in list_calls(store, score):
                    with pytest.raises(InvalidQuery, match=f"min_score.*{metric}.*(-1 to 1|0 and below)"):
                        call()

    def test_what_is_no_number(self, stores: list[VectorStore], metric: str) -> None:
        for score in NO_NUMBERS:
            for store in stores:
                for call in list_calls(store, score):
                    with pytest.raises(InvalidArgument, match="min_score must be a finite number"):
                        call()

    def test_every_possible_score_is_a_threshold(self, stores: list[VectorStore], metric: str) -> None:
        for store in stores:
            everything = store.search(QUERY, exact=True)
            for score in SCORES[metric]:
                hits = store.search(QUERY, min_score=score, exact=True)
                top, bottom = store.schema.metric.score_range[::-1]
                floor = min(max(float(score), bottom), top)
                assert list(hits) == [hit for hit in everything if hit.score >= floor]

    def test_the_score_of_every_hit_is_a_threshold_that_it_reaches(
        self, stores: list[VectorStore], metric: str
    ) -> None:
        draw = np.random.default_rng(4)
        for store in stores:
            store.upsert(Record(f"r{number}", draw.normal(size=2)) for number in range(60))
            for query in (QUERY, [1e-3, 7e-3], *draw.normal(size=(10, 2)), *list(VECTORS.values())):
                for hit in store.search(query, 100, exact=True):
                    found = store.search(query, 100, min_score=hit.score, exact=True)
                    assert hit.id in [each.id for each in found]
                    assert all(each.score >= hit.score for each in found)

    def test_the_limits_of_the_range_find_what_lies_on_them(self, stores: list[VectorStore], metric: str) -> None:
        lowest, highest = stores[0].schema.metric.score_range
        for store in stores:
            if np.isfinite(highest):
                found = {hit.id for hit in store.search(QUERY, min_score=highest)}
                assert found == ({"same", "longer"} if metric == "cosine" else {"same"})
            if np.isfinite(lowest):
                assert len(store.search(QUERY, min_score=lowest)) == 4
