"""A collection of a real server: what is written is found, byte for byte and at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.lateness import Lateness
from vecstore import InvalidArgument, Schema, StoreCorrupt, fields
from vecstore.backends.milvus.client import MilvusClient
from vecstore.backends.milvus.collection import Collection
from vecstore.backends.milvus.collection_names import name_collection
from vecstore.backends.milvus.failures import CollectionMissing
from vecstore.backends.milvus.fields import plan_layout
from vecstore.backends.milvus.indexes import MAX_K
from vecstore.testing.corpus import list_accepted

from .collections import draw_vectors, fill, list_all, make_plan, open_collection

DIM = 8
SCHEMA = Schema(dim=DIM, metric="l2", fields={"word": fields.Keyword(), "tags": fields.Keywords()})


@pytest.fixture(scope="module")
def shared(client: MilvusClient) -> Iterator[Collection]:
    with open_collection(client, SCHEMA) as collection:
        yield collection


@pytest.fixture
def collection(shared: Collection) -> Iterator[Collection]:
    """The shared collection, empty."""
    yield shared
    if ids := list(list_all(shared)):
        shared.delete(ids)


def test_ids_are_kept_byte_for_byte(collection: Collection) -> None:
    ids = list(
        dict.fromkeys([*list_accepted(1, 512), "\0", "a\0b", "a\nb", "🙂", "é", "e\u0301", '"', "\\", "x" * 512])
    )
    vectors = draw_vectors(len(ids), DIM)
    after = collection.upsert(ids, vectors, {}, range(len(ids)))
    assert list_all(collection, after) == {id_: stamp for stamp, id_ in enumerate(ids)}
    for found, id_, stamp in zip(collection.search(vectors, 1, after=after), ids, range(len(ids)), strict=True):
        assert (found.ids, list(found.stamps)) == ([id_], [stamp])
    collection.delete(ids[::2])
    assert list(list_all(collection)) == sorted(ids[1::2], key=str.encode)


def test_a_record_is_replaced_as_a_whole(collection: Collection) -> None:
    near, far = np.zeros((1, DIM), np.float32), np.full((1, DIM), 9, np.float32)
    collection.upsert(["a"], near, {"word": ["old"], "tags": [("x", "y")]}, [1])
    after = collection.upsert(["a"], far, {"word": [None], "tags": [()]}, [2])
    assert collection.count(after=after) == 1
    (found,) = collection.search(far, 5, after=after)
    assert (found.ids, list(found.stamps), list(found.scores)) == (["a"], [2], [0.0])
    assert collection.count("(h_word == true)") == 0
    assert collection.count("(h_tags == true)") == 1
    assert collection.count('(array_contains(f_tags, "x"))') == 0


def check_freshness(collection: Collection, writes: int) -> None:
    vectors = draw_vectors(writes, DIM, seed=3)
    for number, vector in enumerate(vectors):
        after = fill(collection, [f"n{number}"], vector[None])
        (found,) = collection.search(vector[None], 1, after=after)
        assert found.ids == [f"n{number}"]
    for number in range(0, writes, 2):
        after = collection.delete([f"n{number}"])
        assert f"n{number}" not in collection.search(vectors[number][None], 5, after=after)[0].ids


def test_a_search_after_a_timestamp_misses_nothing_up_to_it(collection: Collection) -> None:
    check_freshness(collection, 10)


@pytest.mark.long
def test_many_searches_after_a_timestamp(collection: Collection) -> None:
    check_freshness(collection, 200)


def test_searches_after_what_is_settled_do_not_wait(collection: Collection) -> None:
    """The server's clock ticks each 200 ms. 40 searches that each waited for it would take 8 s, or 4 s on average."""
    after = fill(collection, ["a"], draw_vectors(1, DIM))
    collection.settle(after)
    with Lateness() as lateness:
        for _ in range(40):
            assert collection.search(np.zeros((1, DIM), np.float32), 1, after=after)[0].ids == ["a"]
        assert lateness.undisturbed() < 3


def test_scores_are_those_of_the_metric(collection: Collection) -> None:
    vectors = draw_vectors(30, DIM, seed=4)
    after = fill(collection, [f"{n}" for n in range(30)], vectors)
    (found,) = collection.search(vectors[:1], 30, after=after)
    expected = -np.sqrt(((vectors[[int(id_) for id_ in found.ids]] - vectors[0]) ** 2).sum(axis=1))
    np.testing.assert_allclose(found.scores, expected, atol=1e-4)
    assert list(found.scores) == sorted(found.scores, reverse=True)


def test_many_records_go_in_several_requests(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.backends.milvus.batches.BYTES", 20_000)
    ids = [f"{n}" for n in range(300)]
    tags = [("t" * 1024,) * (n % 7) for n in range(300)]
    after = collection.upsert(ids, draw_vectors(300, DIM), {"tags": tags}, [7] * 300)
    assert collection.count(after=after) == 300
    assert collection.count("(array_length(f_tags) == 6)", after=after) == 42


def test_nothing_to_write_asks_nothing(shared: Collection) -> None:
    assert shared.upsert([], np.zeros((0, DIM), np.float32), {}, []) == 0
    assert shared.delete([]) == 0
    assert shared.search(np.zeros((0, DIM), np.float32), 3) == []


def test_an_empty_collection_answers_each_query(collection: Collection) -> None:
    assert [len(found) for found in collection.search(draw_vectors(3, DIM), 2)] == [0, 0, 0]
    assert collection.count() == 0
    assert list_all(collection) == {}


@pytest.mark.parametrize("k", [0, MAX_K + 1])
def test_k_has_the_bounds_of_the_server(shared: Collection, k: int) -> None:
    with pytest.raises(InvalidArgument, match="16,384"):
        shared.search(np.zeros((1, DIM), np.float32), k)


@pytest.mark.long
def test_as_many_hits_as_the_server_can_give(collection: Collection) -> None:
    after = fill(collection, [f"{n}" for n in range(MAX_K + 1)], draw_vectors(MAX_K + 1, DIM))
    assert len(collection.search(np.zeros((1, DIM), np.float32), MAX_K, after=after)[0]) == MAX_K
    assert len(list_all(collection, after)) == MAX_K + 1


def test_the_collection_is_described(shared: Collection) -> None:
    assert shared.exists()
    assert shared.read_index().plan == make_plan(SCHEMA)


def test_a_collection_that_is_not_there(client: MilvusClient, name: str) -> None:
    absent = Collection(client, name, plan_layout(SCHEMA))
    assert not absent.exists()
    absent.drop()
    vectors = np.zeros((1, DIM), np.float32)
    absent._plan = make_plan(SCHEMA)
    for call in (
        absent.read_index, absent.count, absent.flush, absent.load, lambda: absent.search(vectors, 1),
        lambda: absent.upsert(["a"], vectors, {}, [0]), lambda: absent.delete(["a"]),
    ):  # fmt: skip
        with pytest.raises(CollectionMissing, match=r"reindex\(\)"):
            call()


def test_a_time_that_is_not_yet_is_not_waited_for(shared: Collection) -> None:
    ahead = (1 << 62) - 1
    with pytest.raises(StoreCorrupt, match="clock"):
        shared.count(after=ahead)


def test_names_of_collections() -> None:
    assert name_collection("a" * 32, "f1") == f"vecstore_g_{'a' * 32}_f1"
    for wrong in ("", "A", "a-b", "x" * 17):
        with pytest.raises(InvalidArgument):
            name_collection("a" * 32, wrong)
