"""What reaches a backend: checked, of the right shape and type, and nothing at all of a call that cannot work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest

from tests.unit.recorder import FIELDS, Recorder, check_call
from vecstore import (
    ALL,
    HNSW,
    BackendUnavailable,
    Database,
    F,
    Flat,
    InvalidArgument,
    Record,
    Schema,
    Unsupported,
    VecstoreError,
    VectorStore,
    fields,
)
from vecstore.backend import Backend
from vecstore.testing.catalogue import OPERATIONS
from vecstore.testing.sample_records import SCHEMA
from vecstore.testing.toy_embedder import ToyEmbedder

NOW = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(params=["float32", "float16"])
def store(recorder: Recorder, request: pytest.FixtureRequest) -> VectorStore:
    schema = Schema(dim=3, metric="cosine", dtype=request.param, fields=FIELDS)
    store = Database(cast("Backend", recorder)).create("docs", schema, embedder=ToyEmbedder(3))
    store.upsert([Record("first", [1, 2, 3])])
    recorder.calls.clear()
    return store


def test_whatever_a_user_gives_a_backend_gets_the_same(recorder: Recorder, store: VectorStore) -> None:
    values = {
        "k": np.str_("a"),
        "ks": ("a", "b"),
        "i": np.int32(3),
        "f": 3,
        "b": np.bool_(True),
        "d": NOW,
        "x": np.int8(1),
    }
    store.upsert(Record(f"r{number}", np.array([number + 1, 2, 3], kind), "t", values)
                 for number, kind in enumerate(["f4", "f8", "i4", "u1", "f2"]))  # fmt: skip
    store.insert([Record("a", (1, 2, 3)), Record("b", text="to embed"), Record("c", np.ones((5, 3))[::2][1], None, {})])
    store.update(ids=iter(["a", "a"]), metadata={**values, "y": {"z": [np.float64(1)]}}, text="new", unset=("z",))
    store.update(where={"i": {"$gte": np.int64(3)}, "d": NOW.isoformat()}, metadata={"k": None}, vector=[1, 1, 1])
    store.delete(ids=("a", "absent"))
    store.delete(where=~((F.f == 3) | F.k.in_({"x"})) & F.ks.contains("zz"))
    store.get(iter(["b", "absent"]))
    k: Any = np.int64(2)
    floor: Any = np.float32(-1)
    queries: list[Any] = ["text", [1, 2, 3]]
    store.search(np.array([1, 2, 3]), k, where=F.b == np.bool_(True), min_score=floor)
    store.search_many(np.ones((2, 3), np.float16), 2, include=["vector"])
    store.search_many(queries, 2, where={"id": {"$in": ["a"]}}, include=())
    store.similar_to("b", 2, where=F.d.between(NOW, NOW) | F.i.is_missing())
    store.count(ALL)
    list(store.scan(F.k != "a", batch_size=2))
    store.values("ks", F.k != "a", limit=2)
    store.values("k", limit=0)
    store.keys()
    assert {"write", "update", "delete", "fetch", "page", "count", "search"} <= set(recorder.names_called)
    for name, positional, named in recorder.calls:
        check_call(name, positional, named, store.schema)
        if name != "find":
            assert positional[0] == store._current.entry.active


BAD_CALLS: dict[str, Callable[[VectorStore], object]] = {
    "records": lambda store: store.upsert(None),  # type: ignore[arg-type]
    "batch size": lambda store: store.upsert([], batch_size=0),
    "id": lambda store: store.upsert([Record("a\0", [1, 2, 3])]),
    "id twice": lambda store: store.insert([Record("a", [1, 2, 3])] * 2),
    "update nothing": lambda store: store.update(ids=["a"]),
    "update everything": lambda store: store.update(metadata={"k": "x"}),
    "update ids and where": lambda store: store.update(ids=["a"], where=ALL, metadata={"k": "x"}),
    "update set": lambda store: store.update(ids=["a"], set={"k": "x"}),  # type: ignore[arg-type]
    "update ids": lambda store: store.update(ids="a", metadata={"k": "x"}),
    "delete everything": lambda store: store.delete(),
    "delete ids": lambda store: store.delete(ids="a"),
    "get": lambda store: store.get("a"),
    "get id": lambda store: store.get(["a", ""]),
    "values limit": lambda store: store.values("k", limit=-1),
    "scan limit": lambda store: store.scan(limit=-1),
    "scan include": lambda store: store.scan(include=["texts"]),
    "scan size": lambda store: store.scan(batch_size=0),
    "k": lambda store: store.search([1, 2, 3], -1),
    "ef": lambda store: store.search([1, 2, 3], ef=0),
    "include": lambda store: store.search([1, 2, 3], include=["texts"]),
    "min_score": lambda store: store.search([1, 2, 3], min_score=float("nan")),
    "search_many": lambda store: store.search_many("text"),
    "similar_to": lambda store: store.similar_to(""),
    "recall": lambda store: store.measure_recall(queries=0),
    "recall k": lambda store: store.measure_recall(k=-1),
    "index": lambda store: store.reindex("hnsw"),  # type: ignore[arg-type]
}
BAD_FOR_THE_SCHEMA: dict[str, Callable[[VectorStore], object]] = {
    "update no vector": lambda store: store.update(ids=["a"], vector=None),
    "vector": lambda store: store.upsert([Record("a", [1, 2])]),
    "metadata": lambda store: store.upsert([Record("a", [1, 2, 3], metadata={"i": "1"})]),
    "update": lambda store: store.update(ids=["a"], metadata={"i": "1"}),
    "update vector": lambda store: store.update(ids=["a"], vector=[0, 0, 0]),
    "update where": lambda store: store.update(where=F.nope == 1, metadata={"k": "x"}),
    "delete where": lambda store: store.delete(where={}),
    "query": lambda store: store.search([0, 0, 0]),
    "one query": lambda store: store.search_many([[1, 2, 3], [1, 2]]),
    "where": lambda store: store.search([1, 2, 3], where=F.i == "1"),
    "count": lambda store: store.count(F.i.contains(1)),
    "scan": lambda store: store.scan(F.nope == 1),
    "values": lambda store: store.values("nope"),
    "values where": lambda store: store.values("k", F.nope == 1),
}


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS)
def test_of_a_call_that_cannot_work_nothing_arrives(
    recorder: Recorder, store: VectorStore, call: Callable[[VectorStore], object]
) -> None:
    with pytest.raises(InvalidArgument):
        call(store)
    assert set(recorder.names_called) <= ({"find"} if call is BAD_CALLS["index"] else set())


@pytest.mark.parametrize("call", BAD_FOR_THE_SCHEMA.values(), ids=BAD_FOR_THE_SCHEMA)
def test_what_does_not_fit_the_schema_is_looked_up_and_no_more(
    recorder: Recorder, store: VectorStore, call: Callable[[VectorStore], object]
) -> None:
    """Another process may have changed the schema: the catalogue is asked, no record is touched."""
    with pytest.raises(InvalidArgument):
        call(store)
    assert recorder.names_called == ["find"]


def test_a_text_without_embedder_touches_no_record(recorder: Recorder, store: VectorStore) -> None:
    """The catalogue may be asked: by now the schema may let records lack a vector."""
    bare = Database(cast("Backend", recorder)).open("docs")
    recorder.calls.clear()
    for call in (
        lambda: bare.search("text"),
        lambda: bare.upsert([Record("a", text="text")]),
        lambda: bare.update(ids=["a"], text="text"),
    ):
        with pytest.raises(InvalidArgument):
            call()
    assert set(recorder.names_called) <= {"find"}


@pytest.mark.parametrize("operation", ["insert", "upsert", "update", "delete", "reindex", "calibrate", "compact"])
def test_a_read_only_backend_is_not_asked_to_write(recorder: Recorder, operation: str) -> None:
    db = Database(cast("Backend", recorder))
    store = db.create("docs", Schema(dim=4, fields={"year": fields.Int()}))
    recorder.capabilities = replace(recorder.capabilities, read_only=True)
    recorder.calls.clear()
    with pytest.raises(Unsupported, match="read-only"):
        OPERATIONS[operation](store)
    for deed in (
        lambda: db.create("other", Schema(dim=4)),
        lambda: db.drop("docs"),
        lambda: db.rename("docs", "other"),
        lambda: db.rebuild("docs"),
        lambda: db.rollback("docs"),
        lambda: db.drop_previous("docs"),
    ):
        with pytest.raises(Unsupported, match="read-only"):
            deed()
    assert recorder.calls == []


def test_what_a_backend_cannot_do_is_refused_before_it_is_asked(recorder: Recorder) -> None:
    recorder.capabilities = replace(
        recorder.capabilities, max_dim=100, max_hnsw_dim=50, metrics=("l2",), dtypes=("float32",), indexes=("flat",)
    )
    db = Database(cast("Backend", recorder))
    for schema, told in (
        (Schema(dim=101, metric="l2", index=Flat()), "101 dimensions"),
        (Schema(dim=4, metric="ip", index=Flat()), "metric ip"),
        (Schema(dim=4, metric="l2", dtype="float16", index=Flat()), "dtype float16"),
        (Schema(dim=4, metric="l2", index=HNSW()), "index hnsw"),
    ):
        with pytest.raises(Unsupported, match=told):
            db.create("docs", schema)
    recorder.capabilities = replace(recorder.capabilities, indexes=("flat", "hnsw"))
    with pytest.raises(Unsupported, match="HNSW index over 51"):
        db.create("docs", Schema(dim=51, metric="l2"))
    assert recorder.calls == []


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "similar_to"])
def test_a_generation_that_moved_is_followed(recorder: Recorder, operation: str) -> None:
    store = Database(cast("Backend", recorder)).create("docs", SCHEMA)
    recorder.calls.clear()
    recorder.superseded = 3
    OPERATIONS[operation](store)
    assert recorder.names_called.count("find") >= 3


def test_a_generation_that_always_moves_is_given_up(recorder: Recorder) -> None:
    store = Database(cast("Backend", recorder)).create("docs", Schema(dim=4))
    recorder.superseded = 1_000
    with pytest.raises(BackendUnavailable, match="8 times") as caught:
        store.count()
    assert caught.value.retryable


def test_joining_a_transaction_is_for_backends_that_can(recorder: Recorder, store: VectorStore) -> None:
    with pytest.raises(Unsupported, match="transaction"):
        store.using(object())


def test_no_error_of_a_bad_call_is_foreign(store: VectorStore) -> None:
    for call in (*BAD_CALLS.values(), *BAD_FOR_THE_SCHEMA.values()):
        with pytest.raises(VecstoreError):
            call(store)
