"""Pages of an answer, and answers as JSON data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from .. import fields
from ..database import Database
from ..errors import InvalidArgument
from ..filters.field_ref import F
from ..hits import Hits
from ..index_options import HNSW, Flat, IndexOptions
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

DIM, COUNT = 6, 130
INDEXES: dict[str, IndexOptions] = {"flat": Flat(), "hnsw": HNSW(m=4, ef_construction=16)}
QUERY = [1.0, 0.5, -0.25, 0.0, 2.0, 1.0]
WHEN = datetime(2024, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
KEYS = ["id", "score", "distance", "text", "metadata"]


def join_ids(pages: Iterable[Hits]) -> list[str]:
    """Return the ids of several pages."""
    return [hit.id for page in pages for hit in page]


class PagesTests(Places):
    """`offset`: a page of an answer."""

    @pytest.fixture(scope="class", params=INDEXES)
    @classmethod
    def store(cls, request: pytest.FixtureRequest, library: Database) -> VectorStore:
        """Return a store without ties: of records that are equally near, an engine may return any at the end of k."""
        schema = Schema(
            DIM, "l2", index=INDEXES[request.param], fields={"group": fields.Int(), "at": fields.DateTime()}
        )
        store = library.create(f"pages_{request.param}", schema)
        rows = np.random.default_rng(8).normal(size=(COUNT, DIM))
        store.insert(
            Record(f"r{number:03}", row, f"text {number}", {"group": number % 3, "at": WHEN, "deep": {"a": [1, None]}})
            for number, row in enumerate(rows)
        )
        store.reindex()
        return store

    @pytest.mark.parametrize("size", [1, 7, 10, 64, 200])
    def test_exact_pages_are_the_parts_of_one_answer(self, store: VectorStore, size: int) -> None:
        for where, count in ((None, COUNT), (F.group == 1, 43), (F.group == 9, 0)):
            whole = store.search(QUERY, 1_000, where=where, exact=True)
            assert len(whole) == count
            pages = [
                store.search(QUERY, size, offset=start, where=where, exact=True)
                for start in range(0, count + size, size)
            ]
            assert [hit for page in pages for hit in page] == list(whole)
            assert not len(pages[-1]) or len(pages[-1]) == count % size
            assert all(page.exact and page.complete for page in pages)

    def test_pages_of_an_index(self, store: VectorStore) -> None:
        for start in range(0, COUNT + 20, 10):
            page = store.search(QUERY, 10, offset=start)
            assert list(page) == list(store.search(QUERY, 10 + start))[start:]
            assert len(page) == max(0, min(10, COUNT - start))
            assert page.complete

    def test_every_kind_of_search_has_pages(self, store: VectorStore) -> None:
        for start in (0, 3, 125, 500):
            many = store.search_many([QUERY, QUERY[::-1]], 10, offset=start, exact=True)
            alone = [store.search(query, 10, offset=start, exact=True) for query in (QUERY, QUERY[::-1])]
            assert list(map(list, many)) == list(map(list, alone))
            similar = store.similar_to("r007", 10, offset=start, exact=True)
            assert list(similar) == list(store.similar_to("r007", 10 + start, exact=True))[start:]

    def test_a_threshold_cuts_pages_too(self, store: VectorStore) -> None:
        whole = store.search(QUERY, 1_000, exact=True)
        floor = whole[24].score
        found = [hit for hit in whole if hit.score >= floor]
        pages = [store.search(QUERY, 10, offset=start, min_score=floor, exact=True) for start in range(0, 60, 10)]
        assert join_ids(pages) == [hit.id for hit in found]
        assert all(page.complete for page in pages)

    def test_an_answer_below_k_is_complete_if_it_is_proven(self, store: VectorStore) -> None:
        floor = store.search(QUERY, 30, exact=True)[29].score
        assert store.search(QUERY, 100, min_score=floor, exact=True).complete
        for ef in (None, 16):
            hits = store.search(QUERY, 100, min_score=floor, ef=ef)
            assert hits.complete == (hits.exact or len(hits) == 100)
            assert store.search(QUERY, 5, min_score=floor, ef=ef).complete
            assert store.search(QUERY, 1_000, ef=ef).complete

    def test_limits(self, store: VectorStore) -> None:
        assert len(store.search(QUERY, 0, offset=10_000)) == 0
        assert len(store.search(QUERY, 10, offset=9_990)) == 0
        assert len(store.search(QUERY, np.int64(10), offset=np.int32(125))) == 5  # type: ignore[arg-type]
        for k, offset in ((10, 9_991), (10_000, 1), (1, 10_000)):
            with pytest.raises(InvalidArgument, match=r"offset .* together are at most 10,000"):
                store.search(QUERY, k, offset=offset)

    def test_hits_as_json(self, store: VectorStore) -> None:
        for include in ((), ("text", "metadata"), ("text", "metadata", "vector")):
            hits = store.search(QUERY, 5, include=include)
            found: list[dict[str, Any]] = json.loads(json.dumps(hits.to_dicts(), allow_nan=False))
            assert found == hits.to_dicts() == [hit.to_dict() for hit in hits]
            for hit, data in zip(hits, found, strict=True):
                assert list(data) == [*KEYS, *(["vector"] if "vector" in include else [])]
                assert (data["id"], data["score"], data["distance"], data["text"]) == (
                    hit.id, hit.score, hit.distance, hit.text,
                )  # fmt: skip
                number = int(hit.id[1:])
                metadata = {"group": number % 3, "at": WHEN.isoformat(), "deep": {"a": [1, None]}}
                assert data["metadata"] == (metadata if "metadata" in include else None)
                if "vector" in include:
                    assert np.asarray(data["vector"], np.float32).tobytes() == np.asarray(hit.vector).tobytes()
        assert store.search(QUERY, 0).to_dicts() == []
