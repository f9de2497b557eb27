"""Vectors: kept bit by bit as ``np.asarray(v, dtype)`` gives them, or refused with a name and a reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ..database import Database
from ..errors import DimensionMismatch, EmbedderRequired, InvalidArgument, InvalidVector, VecstoreError
from ..hits import Hits
from ..index_options import Flat
from ..records import Record
from ..schema import MAX_DIM, Schema
from ..store import VectorStore
from .place import Place, Places

DIM = 4
DTYPES = ("float32", "float16")
METRICS = ("cosine", "ip", "l2")
GOOD = [1.0, 2.0, 3.0, 4.0]

_WIDE = np.array([0.1, -1 / 3, 2.0**-24, 2049.0])
_MATRIX = np.arange(1.0, 33.0).reshape(4, 8)

# What a caller may hand in for a vector.
SHAPES: dict[str, Any] = {
    "list of float": [0.1, -0.2, 1e-3, 3.3],
    "tuple of float": (0.1, -0.2, 1e-3, 3.3),
    "list of int": [1, -2, 3, 2049],
    "list of both": [1, 0.1, -7, 1 / 3],
    "list of numpy scalars": [np.float32(0.1), np.float64(0.2), np.int8(3), np.float16(0.4)],
    "float64": _WIDE,
    "float32": _WIDE.astype(np.float32),
    "float16": np.array([0.1, 6e-8, -65504, 1], np.float16),
    "longdouble": _WIDE.astype(np.longdouble),
    "big-endian": _WIDE.astype(">f4"),
    "int8": np.array([-128, 127, 0, 1], np.int8),
    "int64": np.array([16_777_217 % 60_000, -3, 0, 4_097], np.int64),
    "uint16": np.array([60_001, 0, 1, 2], np.uint16),
    "a column": _MATRIX[:, 3],
    "every second": _MATRIX[1, ::2],
    "backwards": _MATRIX[1, 3::-1],
    "read-only": np.broadcast_to(np.float32(1.5), (DIM,)),
    "negative zero": [-0.0, 0.0, 1.0, -0.0],
    "one number": [0.0, 0.0, 0.0, 1.0],
    "halfway": [1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-24, 1 + 3 * 2.0**-24],
}
# Numbers at the edges of one dtype, with a norm that is allowed.
EDGES: dict[str, list[list[float]]] = {
    "float32": [
        [1e-15, 0, 0, 0], [1e15, 0, 0, 0], [1e-44, 1e-45, -1e-44, 1], [1e-38, 1e-39, 1, 0], [16_777_217, 0.1, 0, 0],
        [3.4e-15, 3.4e14, 0, 0], [5e-46, 1, 1, 1], [-1e14, 1e14, -1e14, 1e14],
    ],
    "float16": [
        [65504, -65504, 65504, 65504], [65519, 0, 0, 1], [6e-8, 0, 0, 0], [6e-8, -6e-8, 1e-7, 1e-7],
        [2.9e-8, 1, 0, 0], [6.1e-5, 6.0e-5, 0, 0], [2049, 2051, 0.1, 0],
    ],
}  # fmt: skip

# What is refused whatever the metric and the dtype.
NOT_VECTORS: dict[str, tuple[Any, type[VecstoreError]]] = {
    "too short": ([1.0, 2.0, 3.0], DimensionMismatch),
    "too long": ([1.0, 2.0, 3.0, 4.0, 5.0], DimensionMismatch),
    "empty": (np.empty(0), DimensionMismatch),
    "a number": (1.5, DimensionMismatch),
    "a matrix": ([GOOD], DimensionMismatch),
    "a square": (np.eye(DIM), DimensionMismatch),
    "nan": ([1.0, float("nan"), 3.0, 4.0], InvalidVector),
    "nan in float16": (np.array([1, np.nan, 1, 1], np.float16), InvalidVector),
    "inf": ([1.0, float("inf"), 3.0, 4.0], InvalidVector),
    "-inf": (np.array([1, -np.inf, 1, 1], np.float32), InvalidVector),
    "beyond the dtype": ([1e39, 0.0, 0.0, 0.0], InvalidVector),
    "an int beyond the dtype": ([10**39, 0, 0, 0], InvalidVector),
    "an int beyond a double": ([10**400, 1, 1, 1], InvalidVector),
    "a norm beyond 1e15": ([1.1e15, 0.0, 0.0, 0.0], InvalidVector),
    "bool": ([True, False, True, True], InvalidVector),
    "complex": ([1j, 0, 0, 0], InvalidVector),
    "digits": (["1", "2", "3", "4"], InvalidVector),
    "None within": ([1.0, None, 3.0, 4.0], InvalidVector),
    "ragged": ([1.0, [2.0, 3.0], 3.0, 4.0], InvalidVector),
    "bytes": (b"1234", InvalidVector),
    "a dict": ({0: 1.0}, InvalidVector),
    "a set": ({1.0, 2.0, 3.0, 4.0}, InvalidVector),
    "dates": ([datetime(2024, 1, 1)] * DIM, InvalidVector),
    "numpy dates": (np.zeros(DIM, "datetime64[s]"), InvalidVector),
    "objects": (np.array([1.0, 2.0, 3.0, 4.0], object), InvalidVector),
}
ZERO = [0.0, -0.0, 0.0, 0.0]
# Zero, or as good as zero, in each dtype: no direction under cosine, a place like any other under ip and l2.
VANISHING: dict[str, list[list[float]]] = {
    "float32": [ZERO, [7e-46, 0, 0, 0], [-1e-300, 1e-46, 0, 0]],
    "float16": [ZERO, [2.9e-8, 0, 0, 0], [1e-15, 0, 0, 0]],
}
SHORT = [9e-16, 0.0, 0.0, 0.0]
"""A norm below 1e-15, which float16 rounds to zero."""


def expected(vector: Any, dtype: str) -> bytes:
    with np.errstate(all="ignore"):
        return np.asarray(vector, dtype).tobytes()


def vector_of(store: VectorStore, id_: str) -> NDArray[Any]:
    record = store.get([id_])[0]
    assert record is not None
    assert isinstance(record.vector, np.ndarray)
    return record.vector


class VectorTests(Places):
    """Vectors as they are written, read and asked with."""

    @pytest.fixture(params=DTYPES)
    def dtype(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=METRICS)
    def metric(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def store(self, db: Database, dtype: str, metric: str) -> VectorStore:
        return db.create("vectors", Schema(dim=DIM, metric=metric, dtype=dtype, index=Flat()))

    def test_every_bit_is_kept(self, store: VectorStore, dtype: str, place: Place) -> None:
        given = {**SHAPES, **{f"edge {number}": edge for number, edge in enumerate(EDGES[dtype])}}
        store.insert(Record(id_, vector) for id_, vector in given.items())
        kept = {id_: expected(vector, dtype) for id_, vector in given.items()}
        assert {id_: vector_of(store, id_).tobytes() for id_ in given} == kept
        assert {record.id: np.asarray(record.vector).tobytes() for record in store.scan()} == kept
        hits = store.search(GOOD, len(given), include=["vector"])
        assert {hit.id: hit.vector.tobytes() for hit in hits if hit.vector is not None} == kept
        assert {vector_of(store, id_).dtype for id_ in given} == {np.dtype(dtype)}
        assert {hit.vector.dtype for hit in hits if hit.vector is not None} == {np.dtype(dtype)}
        assert {vector_of(store, id_).shape for id_ in given} == {(DIM,)}
        stored = place.raw("vectors")
        assert stored is None or {id_: raw.vector for id_, raw in stored.items()} == kept

    def test_every_bit_is_kept_by_update(self, store: VectorStore, dtype: str) -> None:
        store.insert([Record("a", GOOD)])
        for vector in [*SHAPES.values(), *EDGES[dtype]]:
            assert store.update(ids=["a"], vector=vector) == 1
            assert vector_of(store, "a").tobytes() == expected(vector, dtype)

    def test_a_store_keeps_its_own_copy(self, store: VectorStore, dtype: str) -> None:
        given = np.array(GOOD, dtype)
        store.insert([Record("a", given)])
        given[:] = 7
        hit = store.search(GOOD, include=["vector"])[0]
        assert hit.vector is not None
        for read in (vector_of(store, "a"), hit.vector):
            if read.flags.writeable:
                read[:] = 7
        assert vector_of(store, "a").tobytes() == expected(GOOD, dtype)

    def test_what_is_no_vector_is_refused(self, store: VectorStore) -> None:
        for vector, error in NOT_VECTORS.values():
            check_refused(store, vector, error)

    def test_zero_has_no_direction(self, store: VectorStore, dtype: str, metric: str) -> None:
        for vector in VANISHING[dtype]:
            if metric == "cosine":
                check_refused(store, vector, InvalidVector)
            else:
                check_accepted(store, vector, dtype)

    def test_norms_have_bounds(self, store: VectorStore, dtype: str, metric: str) -> None:
        if dtype == "float32" or metric == "cosine":
            check_refused(store, SHORT, InvalidVector)
        else:
            check_accepted(store, SHORT, dtype)
        if dtype == "float16":
            check_refused(store, [65520, 0, 0, 0], InvalidVector)
        for edge in EDGES[dtype]:
            check_accepted(store, edge, dtype)

    def test_a_vector_cannot_be_left_out_or_removed(self, store: VectorStore) -> None:
        store.insert([Record("a", GOOD, "text")])
        with pytest.raises(InvalidVector, match="'b'"):
            store.upsert([Record("c", GOOD), Record("b")])
        with pytest.raises(EmbedderRequired, match="'b'"):
            store.upsert([Record("c", GOOD), Record("b", text="a text")])
        with pytest.raises(InvalidArgument):
            store.update(ids=["a"], vector=None)
        with pytest.raises(EmbedderRequired):
            store.search("a text")
        with pytest.raises(EmbedderRequired):
            store.search_many([GOOD, "a text"])
        assert list(store.scan()) == [Record("a", np.asarray(GOOD, np.float32), "text")]

    @pytest.mark.parametrize("dim", [1, MAX_DIM])
    def test_dimensions(self, db: Database, dim: int) -> None:
        store = db.create("wide", Schema(dim=dim, metric="l2", index=Flat()))
        rows = np.random.default_rng(dim).normal(size=(3, dim)).astype(np.float32)
        store.insert(Record(f"{number}", row) for number, row in enumerate(rows))
        assert [vector_of(store, f"{number}").tobytes() for number in range(3)] == [row.tobytes() for row in rows]
        assert [hits[0].id for hits in store.search_many(rows, 1)] == ["0", "1", "2"]
        with pytest.raises(DimensionMismatch):
            store.search(np.ones(dim + 1))

    @pytest.mark.parametrize("dim", [0, -1, MAX_DIM + 1, 2.0, True, "4"])
    def test_dimensions_have_bounds(self, dim: Any) -> None:
        with pytest.raises(InvalidArgument):
            Schema(dim=dim)


def check_accepted(store: VectorStore, vector: Any, dtype: str) -> None:
    store.upsert([Record("good", GOOD), Record("accepted", vector)])
    assert vector_of(store, "accepted").tobytes() == expected(vector, dtype)
    assert len(store.search(vector, 2)) == 2
    assert len(store.similar_to("accepted", 2)) == 1
    store.delete(ids=["accepted"])


def check_refused(store: VectorStore, vector: Any, error: type[VecstoreError]) -> None:
    """Try a vector everywhere; nothing may be written, and each message names the culprit."""
    if not store.count():
        store.insert([Record("good", GOOD)])
    asks: list[tuple[str, Callable[[], int | Hits | list[Hits]]]] = [
        ("'the-bad-one'", lambda: store.upsert([Record("new", GOOD), Record("the-bad-one", vector)])),
        ("'the-bad-one'", lambda: store.insert([Record("the-bad-one", vector), Record("new", GOOD)])),
        ("vector", lambda: store.update(ids=["good"], vector=vector)),
        ("The query", lambda: store.search(vector)),
        ("The query", lambda: store.search(vector, 0)),
        ("Query 1", lambda: store.search_many([GOOD, vector])),
    ]
    for name, ask in asks:
        with pytest.raises(error) as caught:
            ask()
        message = str(caught.value)
        assert name in message
        assert "vector" in message
    assert [record.id for record in store.scan()] == ["good"]
    assert vector_of(store, "good").tobytes() == expected(GOOD, store.schema.dtype)
