"""Records given as columns: what is written, what is missing, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from .. import fields
from ..columns import Columns
from ..database import Database
from ..errors import (
    DimensionMismatch,
    DuplicateId,
    EmbedderRequired,
    InvalidArgument,
    InvalidId,
    InvalidMetadata,
    InvalidVector,
    PartialWrite,
    RecordExists,
    VecstoreError,
)
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Place, Places
from .sample_records import SCHEMA, key_by_id, make_book, make_books, read_contents
from .toy_embedder import ToyEmbedder

NAN = float("nan")
NAT = np.datetime64("NaT")
NOON = datetime(2024, 5, 1, 12, 0, 0, 7, tzinfo=UTC)
EYE = np.eye(4)

Write = Callable[..., int]

# What is in a column of metadata -> what is stored of it, for each of three rows; None: nothing is.
METADATA: dict[str, tuple[str, Any, Sequence[Any]]] = {
    "ints with gaps": ("year", np.array([2020.0, NAN, -1.0]), [2020, None, -1]),
    "ints with a mask": ("year", np.ma.masked_array([1, 2, 3], [False, True, False]), [1, None, 3]),
    "ints of eight bits": ("year", np.array([1, -128, 127], np.int8), [1, -128, 127]),
    "ints and None": ("year", [None, 2**53, -(2**53)], [None, 2**53, -(2**53)]),
    "numpy's ints": ("year", [np.int64(1), None, np.uint8(3)], [1, None, 3]),
    "whole floats in a list": ("year", [1.0, None, 3], [1, None, 3]),
    "floats": ("price", np.array([0.5, NAN, -0.0]), [0.5, None, 0.0]),
    "floats of two bytes": ("price", np.array([0.5, 1, NAN], np.float16), [0.5, 1.0, None]),
    "ints for floats": ("price", [1, None, 2], [1.0, None, 2.0]),
    "texts": ("lang", np.array(["a", "é", ""]), ["a", "é", ""]),
    "texts with NaN": ("lang", np.array(["a", NAN, None], object), ["a", None, None]),
    "lists": ("tags", [["a", "a"], None, []], [["a", "a"], None, []]),
    "tuples": ("tags", [("a", "b"), NAN, ()], [["a", "b"], None, []]),
    "rows of texts": ("tags", np.array([["a", "b"], ["c", "d"], ["e", "f"]]), [["a", "b"], ["c", "d"], ["e", "f"]]),
    "dates": ("at", [NOON, None, NAT], [NOON, None, None]),
    "dates that are all missing": ("at", np.array([NAT, NAT, NAT]), [None, None, None]),
    "nothing": ("year", [None, NAN, None], [None, None, None]),
    "undeclared floats": ("other", np.array([0.1, NAN, 2020.0]), [0.1, None, 2020.0]),
    "undeclared large ints": ("other", [2**70, 1, None], [2**70, 1, None]),
    "undeclared bools": ("other", np.array([True, False, True]), [True, False, True]),
    "undeclared values of all kinds": ("other", [{"a": [1, None]}, "x", 1.5], [{"a": [1, None]}, "x", 1.5]),
    "an undeclared key of all characters": ('a %s "b" \n\\ é', ["%d", None, '"'], ["%d", None, '"']),
}

VECTORS: dict[str, Any] = {
    "float64": EYE[:3] / 3,
    "float16": (EYE[:3] / 3).astype(np.float16),
    "int8": np.array([[1, -2, 3, 127]] * 3, np.int8),
    "uint64": np.array([[1, 2, 3, 4]] * 3, np.uint64),
    "another byte order": (EYE[:3] / 3).astype(">f8"),
    "by column": np.asfortranarray(EYE[:3] / 3),
    "every second one": np.repeat(EYE / 3, 2, axis=0)[:6:2],
    "lists": [[1, 2, 3, 4], (0.1, 0.2, 0.3, 0.4), np.ones(4, np.int8)],
    "an array of arrays": np.array([np.ones(4), np.ones(4, np.float32), [1, 2, 3, 4], None], object)[:3],
}

# What is wrong -> the columns that replace good ones, the error, and what it says.
WRONG: dict[str, tuple[Mapping[str, Any], type[VecstoreError], str]] = {
    "an id is an int": ({"ids": ["a", 2, "c"]}, InvalidId, "Row 1: the id must be a str, not int"),
    "ids are ints": ({"ids": np.arange(3)}, InvalidId, "Row 0: .*astype"),
    "an id is missing": ({"ids": ["a", "b", None]}, InvalidId, "Row 2: "),
    "an id is NaN": ({"ids": np.array(["a", NAN, "c"], object)}, InvalidId, "Row 1: "),
    "an id is empty": ({"ids": ["a", "", "c"]}, InvalidId, "Row 1: .*empty"),
    "ids are a text": ({"ids": "abc"}, InvalidArgument, "ids must be a list or an array, not str"),
    "ids are one value": ({"ids": np.array("a")}, InvalidArgument, "ids is a single value"),
    "ids are an iterator": ({"ids": iter("abc")}, InvalidArgument, "ids must be a list"),
    "too few vectors": ({"vectors": EYE[:2]}, InvalidArgument, "vectors has 2 rows, but there are 3 ids"),
    "too many texts": ({"texts": ["x"] * 4}, InvalidArgument, "texts has 4 rows"),
    "too short a column": ({"metadata": {"year": [1]}}, InvalidArgument, "'year' has 1 rows"),
    "metadata is a list": ({"metadata": [{"year": 1}] * 3}, InvalidArgument, "mapping"),
    "a wrong width": ({"vectors": np.ones((3, 5))}, DimensionMismatch, "Row 0, record 'a': .*5 dimensions"),
    "one wrong width": (
        {"vectors": [np.ones(4), np.ones(4), np.ones(3)]}, DimensionMismatch, "Row 2, record 'c': .*3 dimensions",
    ),
    "flat vectors": ({"vectors": np.ones(3)}, InvalidVector, r"shape \(3,\)"),
    "NaN": ({"vectors": np.where(EYE[:3] == 1, NAN, 1)}, InvalidVector, "Row 0, record 'a': .*position 0"),
    "infinity": ({"vectors": [[1, 2, 3, 4], [1, 2, 3, np.inf], [0, 0, 0, 1]]}, InvalidVector, "Row 1.*position 3"),
    "too large for float32": ({"vectors": np.full((3, 4), 1e39)}, InvalidVector, "Row 0, record 'a'"),
    "a masked number": (
        {"vectors": np.ma.masked_array(EYE[:3], EYE[:3] == 1)}, InvalidVector, "Row 0, record 'a': .*position 0",
    ),
    "vectors of bools": ({"vectors": EYE[:3] == 1}, InvalidVector, "Row 0, record 'a'"),
    "vectors of texts": ({"vectors": np.full((3, 4), "1")}, InvalidVector, "Row 0, record 'a'"),
    "no vector, no text": (
        {"vectors": [EYE[0], None, EYE[1]], "texts": ["x", None, "x"]}, InvalidVector, "Row 1, record 'b' has neither",
    ),
    "no vector, no embedder": ({"vectors": [EYE[0], None, EYE[1]]}, EmbedderRequired, "Row 1, record 'b'"),
    "no vectors, no embedder": ({"vectors": None}, EmbedderRequired, "Row 0, record 'a'"),
    "a text is a number": ({"texts": ["x", 1, "x"]}, InvalidMetadata, "Row 1, record 'b': the text"),
    "a text with NUL": ({"texts": ["x", "x", "\0"]}, InvalidMetadata, "Row 2, record 'c': the text"),
    "text for an int": ({"metadata": {"year": ["1", "2", "3"]}}, InvalidMetadata, "Row 0, record 'a': metadata 'year'"),
    "half an int": (
        {"metadata": {"year": np.array([1, 2.5, NAN])}}, InvalidMetadata, "Row 1, record 'b': metadata 'year'.*int",
    ),
    "a large int": ({"metadata": {"year": [1, 2, 2**53 + 1]}}, InvalidMetadata, "Row 2, record 'c': metadata 'year'"),
    "a large whole float": ({"metadata": {"year": np.array([1, 2, 1e300])}}, InvalidMetadata, "Row 2, record 'c'"),
    "a bool for an int": ({"metadata": {"year": [1, True, 2]}}, InvalidMetadata, "Row 1, record 'b': metadata 'year'"),
    "infinity for a float": ({"metadata": {"price": np.array([1, 2, np.inf])}}, InvalidMetadata, "Row 2, record 'c'"),
    "a number in a list": ({"metadata": {"tags": [["a"], ["a", 1], []]}}, InvalidMetadata, "Row 1.*position 1"),
    "a text for a list": ({"metadata": {"tags": ["a", "b", "c"]}}, InvalidMetadata, "Row 0.*metadata 'tags'"),
    "dates without a zone": (
        {"metadata": {"at": np.array([NAT, "2024-05-01", NAT], "datetime64[s]")}},
        InvalidMetadata, "Row 1, record 'b': metadata 'at' must have a time zone",
    ),
    "a date for a keyword": (
        {"metadata": {"lang": np.array([NAT, NAT, "2024-05-01"], "datetime64[D]")}},
        InvalidMetadata, "Row 2, record 'c': metadata 'lang'",
    ),
    "an undeclared date": (
        {"metadata": {"other": np.array(["2024-05-01"] * 3, "datetime64[D]")}},
        InvalidMetadata, "Row 0, record 'a': metadata 'other' is a date",
    ),
    "bytes": ({"metadata": {"other": np.array([b"a", b"b", b"c"])}}, InvalidMetadata, "Row 0, record 'a'"),
    "NaN within": ({"metadata": {"other": [[1.0], [NAN], None]}}, InvalidMetadata, "Row 1, record 'b'"),
    "an undeclared infinity": ({"metadata": {"other": np.array([1, np.inf, NAN])}}, InvalidMetadata, "Row 1, record"),
    "a key with NUL": ({"metadata": {"a\0": [1, 2, 3]}}, InvalidMetadata, "NUL"),
    "a key that is no str": ({"metadata": {1: [1, 2, 3]}}, InvalidMetadata, "key"),
    "large metadata": ({"metadata": {"other": ["x", "y" * (1 << 20), None]}}, InvalidMetadata, "Row 1, record 'b'"),
}  # fmt: skip


def make_columns(records: Sequence[Record]) -> Columns:
    """Return records as columns."""
    keys = dict.fromkeys(key for record in records for key in record.metadata)
    return Columns(
        [record.id for record in records],
        np.array([record.vector for record in records]),
        [record.text for record in records],
        {key: [record.metadata.get(key) for record in records] for key in keys},
    )


def _make_three(**others: Any) -> Columns:
    """Return three rows with some of their columns replaced."""
    good: dict[str, Any] = {"ids": ["a", "b", "c"], "vectors": EYE[:3], "texts": ["x", "y", "z"], "metadata": {}}
    return Columns(**{**good, **others})


class ColumnTests(Places):
    """`VectorStore.insert` and `VectorStore.upsert` of columns."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return an empty store of books."""
        return db.create("docs", SCHEMA)

    @pytest.fixture(params=["insert", "upsert"])
    def write(self, store: VectorStore, request: pytest.FixtureRequest) -> Write:
        """Return either way to write."""
        method: Write = getattr(store, request.param)
        return method

    def test_they_are_what_the_same_records_are(self, place: Place, store: VectorStore, write: Write) -> None:
        books = [*make_books(range(20)), make_book(30, metadata={"lang": None, "at": None, "shelf": None})]
        assert write(make_columns(books)) == 21
        assert read_contents(store) == key_by_id(books)
        raw = place.raw("docs")
        if raw is not None:
            for record in store.scan():
                assert raw[record.id].text == record.text
                assert raw[record.id].vector == np.asarray(record.vector, "<f4").tobytes()
                assert dict(raw[record.id].metadata).keys() == dict(record.metadata).keys()

    def test_rows_are_found_and_filtered(self, store: VectorStore) -> None:
        store.upsert(_make_three(metadata={"year": np.array([1.0, NAN, 3.0]), "lang": ["de", None, "en"]}))
        assert [hit.id for hit in store.search(EYE[2], 1)] == ["c"]
        assert store.count({"year": {"$gte": 1}}) == 2
        assert store.count({"lang": {"$exists": False}}) == 1

    @pytest.mark.parametrize("kind", METADATA)
    def test_metadata(self, store: VectorStore, kind: str) -> None:
        key, column, expected = METADATA[kind]
        store.upsert(_make_three(metadata={key: column}))
        found = [record.metadata for record in store.scan()]
        assert found == [{} if value is None else {key: value} for value in expected]
        assert [repr(each) for each in found] == [repr({key: v}) if v is not None else "{}" for v in expected]

    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    def test_vectors_are_bit_by_bit_those_of_numpy(self, db: Database, dtype: str) -> None:
        store = db.create("vectors", replace(SCHEMA, dtype=dtype))
        for kind, vectors in VECTORS.items():
            store.upsert(_make_three(vectors=vectors))
            for row, record in enumerate(store.scan()):
                assert np.asarray(record.vector).tobytes() == np.asarray(vectors[row], dtype).tobytes(), kind

    @pytest.mark.parametrize("kind", WRONG)
    def test_what_is_wrong_is_named_and_nothing_is_written(self, store: VectorStore, write: Write, kind: str) -> None:
        columns, error, told = WRONG[kind]
        with pytest.raises(error, match=told):
            write(_make_three(**columns))
        assert store.count() == 0

    def test_zero_is_refused_where_cosine_has_no_direction(self, db: Database) -> None:
        store = db.create("cosine", Schema(dim=4, index=Flat()))
        with pytest.raises(InvalidVector, match=r"Row 1, record 'b': .*zero"):
            store.upsert(_make_three(vectors=[EYE[0], np.zeros(4), EYE[1]]))
        assert store.count() == 0

    def test_no_rows(self, store: VectorStore, write: Write) -> None:
        assert write(Columns([])) == 0
        assert write(_make_three(ids=[], vectors=np.empty((0, 4)), texts=[], metadata={"year": []})) == 0
        assert store.count() == 0

    def test_the_last_row_of_an_id_is_stored(self, store: VectorStore) -> None:
        books = [make_book(number, id=f"r{number % 7}") for number in range(30)]
        for size in (None, 1, 2, 7, 29):
            assert store.upsert(make_columns(books), batch_size=size) == 30
            assert read_contents(store) == key_by_id(books)

    def test_insert_refuses_what_is_there(self, store: VectorStore) -> None:
        with pytest.raises(DuplicateId, match="'b'"):
            store.insert(_make_three(ids=["a", "b", "b"]))
        store.insert(_make_three())
        with pytest.raises(RecordExists, match="'a'"):
            store.insert(_make_three())
        assert store.count() == 3

    def test_batches(self, store: VectorStore) -> None:
        columns = make_columns(make_books(range(10)))
        assert store.upsert(columns, batch_size=3) == 10
        assert read_contents(store) == key_by_id(make_books(range(10)))
        columns.ids[7] = ""
        store.delete(ids=[f"book-{number:05}" for number in range(10)])
        with pytest.raises(PartialWrite, match="Row 7") as caught:
            store.upsert(columns, batch_size=3)
        assert (caught.value.committed, store.count()) == (6, 6)
        with pytest.raises(InvalidArgument, match="batch_size"):
            store.upsert(columns, batch_size=0)

    def test_batches_are_cut_by_bytes(self, db: Database) -> None:
        store = db.create("large", Schema(dim=1, metric="l2", index=Flat()))
        told: list[tuple[str, int, int | None]] = []
        columns = Columns([f"r{row}" for row in range(9)], np.ones((9, 1)), ["x" * (5 << 20)] * 9)
        assert store.upsert(columns, on_progress=lambda *each: told.append(each)) == 9
        assert [each for each in told if each[0] == "writing"] == [("writing", done, 9) for done in (4, 8, 9)]

    def test_texts_are_embedded(self, db: Database) -> None:
        embedder = ToyEmbedder()
        store = db.create("texts", Schema(index=Flat()), embedder=embedder)
        assert store.upsert(Columns(["a", "b", "c"], texts=["red", "green", "blue"]), batch_size=2) == 3
        made = embedder.embed_documents(["red", "green", "blue"])
        assert [np.asarray(record.vector).tolist() for record in store.scan()] == made.tolist()
        assert store.search("green", 1)[0].id == "b"
        with pytest.raises(InvalidVector, match="Row 1, record 'b' has neither"):
            store.upsert(Columns(["a", "b"], texts=["red", None]))

    def test_a_text_is_embedded_where_its_vector_is_missing(self, db: Database) -> None:
        embedder = ToyEmbedder()
        store = db.create("texts", Schema(index=Flat()), embedder=embedder)
        store.upsert(Columns(["a", "b", "c"], [None, np.ones(8), None], ["red", "green", "blue"]))
        red, blue = embedder.embed_documents(["red", "blue"])
        found = [np.asarray(record.vector).tolist() for record in store.scan()]
        assert found == [red.tolist(), [1.0] * 8, blue.tolist()]

    def test_declared_and_undeclared_keys_side_by_side(self, db: Database) -> None:
        store = db.create("keys", Schema(dim=4, index=Flat(), fields={"b": fields.Int(), "d": fields.Bool()}))
        metadata = {"a": [1, None, 3], "b": [1, 2, None], "c": ["x", None, "z"], "d": np.array([True, False, True])}
        store.upsert(_make_three(metadata=metadata))
        assert [record.metadata for record in store.scan()] == [
            {"b": 1, "d": True, "a": 1, "c": "x"},
            {"b": 2, "d": False},
            {"d": True, "a": 3, "c": "z"},
        ]

    def test_rows_without_a_vector(self, db: Database) -> None:
        store = db.create("bare", replace(SCHEMA, vectors="optional"))
        store.upsert(_make_three(vectors=[None, EYE[0], None], texts=["x", None, None]))
        store.upsert(Columns(["d"], texts=["y"]))
        assert [record.vector is None for record in store.scan()] == [True, False, True, True]
        assert [hit.id for hit in store.search(EYE[0], 4)] == ["b"]
        embedder = ToyEmbedder()
        store = db.create("embedded", Schema(vectors="optional", index=Flat()), embedder=embedder)
        store.upsert(Columns(["a", "b"], texts=["red", None]))
        assert [record.vector is None for record in store.scan()] == [False, True]
