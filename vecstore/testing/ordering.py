"""What a search returns: how many, in which order, with which columns, and what it says about itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from .. import fields
from ..database import Database
from ..errors import InvalidArgument, InvalidFilter, InvalidId, RecordNotFound
from ..filters.field_ref import F
from ..filters.nodes import Filter
from ..hits import Hit, Hits
from ..index_options import HNSW, Flat, IndexOptions
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .corpus import list_accepted
from .place import Places

DIM = 8
FIELDS = {"group": fields.Int(), "lang": fields.Keyword()}
COLUMNS = ("text", "metadata", "vector")
INDEXES: dict[str, IndexOptions] = {"flat": Flat(), "hnsw": HNSW(m=4, ef_construction=16)}
METRICS = ("cosine", "ip", "l2")
QUERY = [1.0, 0.5, -0.25, 0.0, 2.0, 1.0, -1.0, 0.125]


def random_vectors(count: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def is_in_order(hits: Sequence[Hit]) -> bool:
    """Say whether hits stand by score, largest first, and by the bytes of their ids where scores are equal."""
    keys = [(-hit.score, hit.id.encode()) for hit in hits]
    return keys == sorted(set(keys))


def list_ids(hits: Hits) -> list[str]:
    return [hit.id for hit in hits]


class OrderTests(Places):
    """Hits stand by (score descending, id ascending)."""

    @pytest.fixture(scope="class", params=METRICS)
    @classmethod
    def ordered(cls, request: pytest.FixtureRequest, library: Database) -> VectorStore:
        """Return a store of single vectors, and of one vector that many ids share."""
        store = library.create(f"order_{request.param}", Schema(dim=DIM, metric=request.param, index=Flat()))
        rows = random_vectors(300)
        same = list_accepted(1, 512)[:100]
        store.insert(Record(f"single {number}", row) for number, row in enumerate(rows))
        # Written in another order than that of their ids, and some of them again.
        store.upsert(Record(id_, QUERY) for id_ in same[::-1])
        store.upsert(Record(id_, QUERY) for id_ in same[10:40])
        return store

    def test_larger_scores_first(self, ordered: VectorStore) -> None:
        for query in random_vectors(20, seed=2):
            for k in (1, 7, 100, 1_000):
                assert is_in_order(ordered.search(query, k))

    def test_equal_vectors_stand_by_id(self, ordered: VectorStore) -> None:
        same = set(list_accepted(1, 512)[:100])
        for query in (QUERY, *random_vectors(5, seed=3)):
            hits = [hit for hit in ordered.search(query, 1_000) if hit.id in same]
            assert [hit.id for hit in hits] == sorted(same, key=str.encode)
            assert len({hit.score for hit in hits}) == 1

    def test_a_tie_fills_what_is_left_of_k(self, ordered: VectorStore) -> None:
        same = set(list_accepted(1, 512)[:100])
        hits = ordered.search(QUERY, 30, where=F.id.in_(same))
        assert len(hits) == 30
        assert is_in_order(hits)
        assert set(list_ids(hits)) <= same

    def test_a_search_repeats_itself(self, ordered: VectorStore) -> None:
        first = ordered.search(QUERY, 50)
        assert [(hit.id, hit.score) for hit in ordered.search(QUERY, 50)] == [(hit.id, hit.score) for hit in first]

    def test_many_queries_get_the_answers_of_each(self, ordered: VectorStore) -> None:
        queries = random_vectors(12, seed=4)
        for given in (queries, queries.astype(np.float64), list(queries), queries.tolist(), tuple(queries)):
            answers = ordered.search_many(given, 25, where=F.id.not_in(["single 3", "single 4"]))
            alone = [ordered.search(query, 25, where=F.id.not_in(["single 3", "single 4"])) for query in queries]
            assert [list_ids(hits) for hits in answers] == [list_ids(hits) for hits in alone]
            for hits, expected in zip(answers, alone, strict=True):
                assert np.allclose([hit.score for hit in hits], [hit.score for hit in expected], rtol=1e-6, atol=1e-6)
        assert ordered.search_many([]) == []
        assert ordered.search_many(np.empty((0, DIM))) == []

    def test_similar_records_without_the_record_itself(self, ordered: VectorStore) -> None:
        same = sorted(list_accepted(1, 512)[:100], key=str.encode)
        asked = same[4]
        assert list_ids(ordered.similar_to(asked, 99, where=F.id.in_(same))) == [id_ for id_ in same if id_ != asked]
        everything = ordered.similar_to("single 7", 10_000)
        assert sorted(list_ids(everything)) == sorted(record.id for record in ordered.scan() if record.id != "single 7")
        vector = ordered.get(["single 7"])[0].vector  # type: ignore[union-attr]
        expected = [hit.id for hit in ordered.search(vector, 21) if hit.id != "single 7"]
        assert list_ids(ordered.similar_to("single 7", 20)) == expected[:20]
        assert [len(ordered.similar_to("single 7", k)) for k in (0, 1, 5)] == [0, 1, 5]

    def test_similar_to_needs_a_record(self, ordered: VectorStore) -> None:
        for id_ in ("nobody", "single", "SINGLE 7", "single 7 "):
            with pytest.raises(RecordNotFound, match=id_):
                ordered.similar_to(id_)
        for wrong in ("", None, 7, ["single 7"]):
            with pytest.raises(InvalidId):
                ordered.similar_to(wrong)  # type: ignore[arg-type]


class AnswerTests(Places):
    """How many hits, which columns, which arguments."""

    @pytest.fixture(scope="class", params=INDEXES)
    @classmethod
    def store(cls, request: pytest.FixtureRequest, library: Database) -> VectorStore:
        schema = Schema(dim=DIM, metric="l2", index=INDEXES[request.param], fields=FIELDS)
        store = library.create(f"answer_{request.param}", schema)
        store.insert(
            Record(f"r{number:03}", row, f"text {number}", {"group": number % 7, "other": [number]})
            for number, row in enumerate(random_vectors(120))
        )
        store.reindex()
        return store

    def test_k(self, store: VectorStore) -> None:
        assert len(store.search(QUERY)) == 10
        for k in (0, 1, 2, 63, 64, 119, 120, 121, 1_000, 10_000):
            for exact in (False, True):
                assert len(store.search(QUERY, k, exact=exact)) == min(k, 120)
            assert len(store.search(QUERY, k, where=F.group == 3)) == min(k, 17)
            assert len(store.search(QUERY, k, where=F.group == 8)) == 0
            assert [len(hits) for hits in store.search_many([QUERY] * 3, k)] == [min(k, 120)] * 3
        assert len(store.search(QUERY, np.int64(3))) == 3  # type: ignore[arg-type]

    def test_a_prefix_of_a_longer_answer(self, store: VectorStore) -> None:
        longest = list_ids(store.search(QUERY, 120, exact=True))
        for k in (1, 5, 50):
            assert list_ids(store.search(QUERY, k, exact=True)) == longest[:k]

    @pytest.mark.parametrize("count", range(4))
    def test_columns(self, store: VectorStore, count: int) -> None:
        stored = {record.id: record for record in store.scan()}
        for include in combinations(COLUMNS, count):
            for given in (include, list(include), set(include)):
                for hit in store.search(QUERY, 20, include=given):
                    record = stored[hit.id]
                    assert hit.text == (record.text if "text" in include else None)
                    assert hit.metadata == (record.metadata if "metadata" in include else None)
                    expected = np.asarray(record.vector).tobytes() if "vector" in include else None
                    assert (None if hit.vector is None else hit.vector.tobytes()) == expected

    def test_text_and_metadata_come_unasked(self, store: VectorStore) -> None:
        for hits in (store.search(QUERY), store.search_many([QUERY])[0], store.similar_to("r000")):
            assert all(hit.text and hit.metadata and hit.vector is None for hit in hits)

    def test_what_an_answer_says_of_itself(self, store: VectorStore) -> None:
        for where in (None, F.group == 3, F.group == 8):
            hits = store.search(QUERY, 10, where=where, exact=True)
            assert hits.exact is True
            assert hits.complete is True
            assert store.search(QUERY, 10, where=where).complete is True
            if store.schema.index == Flat():
                assert store.search(QUERY, 10, where=where).exact is True
        nothing = store.search(QUERY, 0)
        assert (len(nothing), nothing.complete) == (0, True)

    def test_hits_are_a_sequence(self, store: VectorStore) -> None:
        hits = store.search(QUERY, 5)
        assert isinstance(hits, Sequence)
        assert [hits[0], hits[-1]] == [next(iter(hits)), list(hits)[4]]
        assert list(hits[1:3]) == list(hits)[1:3]
        assert hits[2] in hits
        with pytest.raises(IndexError):
            hits[5]
        assert "text" not in repr(hits)

    def test_a_search_changes_nothing(self, store: VectorStore) -> None:
        before = list(store.scan())
        query, where = np.array(QUERY), {"group": {"$in": [1, 2]}}
        store.search(query, 5, where=where, min_score=-1, ef=10, exact=True, include=COLUMNS)
        assert list(store.scan()) == before
        assert query.tolist() == QUERY
        assert where == {"group": {"$in": [1, 2]}}

    @pytest.mark.parametrize(
        "wrong",
        [
            *({"k": k} for k in (-1, 10_001, 10**30, 10**5000, 1.0, True, "5", None, [5])),
            *({"offset": offset} for offset in (-1, 9_991, 10_000, 10**30, 10**5000, 1.0, True, "5", None, [5])),
            *({"exact": exact} for exact in (0, 1, "yes", None, [1])),
            *({"ef": ef} for ef in (0, -1, 1_001, 10**5000, 1.5, True, "16")),
            *({"min_score": score} for score in (float("nan"), float("inf"), 10**400, "0.5", True, [0.5], 1j)),
            *({"include": include} for include in ("text", ["texts"], ["id"], ["score"], None, 3, [None])),
        ],
        ids=lambda wrong: next(iter(wrong)),
    )
    def test_arguments_are_checked(self, store: VectorStore, wrong: dict[str, Any]) -> None:
        for call in (
            lambda: store.search(QUERY, **wrong),
            lambda: store.search_many([QUERY], **wrong),
            lambda: store.search_many([], **wrong),
            lambda: store.similar_to("r001", **wrong),
        ):
            with pytest.raises(InvalidArgument, match=next(iter(wrong))):
                call()

    def test_many_queries_are_a_list(self, store: VectorStore) -> None:
        for wrong in ("a text", QUERY, 3, None, {"a": 1}, b"abc"):
            with pytest.raises(InvalidArgument):
                store.search_many(wrong)

    def test_nothing_is_found_in_nothing(self, db: Database) -> None:
        for name, index in INDEXES.items():
            store = db.create(name, Schema(dim=DIM, index=index, fields=FIELDS))
            for exact in (False, True):
                hits = store.search(QUERY, exact=exact, where=F.group >= 0)
                assert (list(hits), hits.complete) == ([], True)
            with pytest.raises(RecordNotFound):
                store.similar_to("r000")
            with pytest.raises(InvalidFilter):
                store.search(QUERY, where={})


class CompletenessTests(Places):
    """An index decides which records come, never how many."""

    @pytest.mark.parametrize("metric", METRICS)
    def test_k_hits_whenever_k_match(self, db: Database, metric: str) -> None:
        index = HNSW(m=2, ef_construction=4)
        store = db.create("crowd", Schema(dim=DIM, metric=metric, index=index, fields=FIELDS))
        draw = np.random.default_rng(5)
        left = {f"{number:04}": int(draw.integers(50)) for number in range(800)}
        rows = dict(zip(left, random_vectors(800), strict=True))
        store.insert(Record(id_, rows[id_], metadata={"group": group}) for id_, group in left.items())
        store.reindex()
        for step in range(3):
            check_complete(store, left)
            removed = draw.choice(sorted(left), size=len(left) // 3, replace=False).tolist()
            assert store.delete(ids=removed) == len(removed)
            left = {id_: group for id_, group in left.items() if id_ not in set(removed)}
            moved = sorted(left)[step::5]
            store.upsert(Record(id_, rows[id_] + 5, metadata={"group": left[id_]}) for id_ in moved)
        check_complete(store, left)


def check_complete(store: VectorStore, left: dict[str, int]) -> None:
    filters: list[tuple[Filter | None, set[str]]] = [(None, set(left))]
    filters += [(F.group == group, {id_ for id_, own in left.items() if own == group}) for group in (0, 17)]
    filters += [(F.group >= 25, {id_ for id_, own in left.items() if own >= 25}), (F.group > 50, set())]
    filters += [(F.id.in_(sorted(left)[::97]), set(sorted(left)[::97]))]
    for where, matching in filters:
        for k in (1, 10, 200, 1_000):
            for ef in (None, 1, 50):
                hits = store.search(QUERY, k, where=where, ef=ef, include=())
                assert len(hits) == min(k, len(matching))
                assert set(list_ids(hits)) <= matching
                assert is_in_order(hits)
                assert hits.complete
