"""Errors help: each names the record, what was found, and a next step that works; nothing is written."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest

from .. import fields
from ..database import Database
from ..errors import InvalidArgument, InvalidFilter, InvalidId, InvalidMetadata, InvalidVector, PartialWrite
from ..filters.field_ref import F
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

VECTOR = [1.0, 0.0]
GOOD = Record("good", VECTOR, "kept", {"year": 1})
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
SCHEMA = Schema(
    dim=2,
    index=Flat(),
    fields={
        "lang": fields.Keyword(),
        "tags": fields.Keywords(),
        "year": fields.Int(),
        "price": fields.Float(),
        "draft": fields.Bool(),
        "at": fields.DateTime(),
    },
)


class Size(Enum):
    """An Enum whose members are neither str nor int."""

    SMALL = "s"


def make_stranger(module: str, name: str, method: str = "__len__", function: Callable[..., Any] = len) -> Any:
    """Return an object of a class of a library that need not be installed, with one method."""
    return type(name, (), {"__module__": module, method: function})()


def raise_type_error(*_: object) -> Any:
    raise TypeError("can't convert cuda:0 device type tensor to numpy")


NAN = float("nan")
NAT = make_stranger("pandas._libs.tslibs.nattype", "NaTType")
NA = make_stranger("pandas._libs.missing", "NAType")
TENSOR = make_stranger("torch", "Tensor", "__array__", raise_type_error)
LEAVE_OUT = "leave the key out or give None"

# Field -> values that it refuses, with the words of the next step.
METADATA: list[tuple[str, Any, str]] = [
    ("other", NOON, "fields.DateTime(), or give value.isoformat()"), ("other", date(2024, 5, 1), "value.isoformat()"),
    ("other", np.datetime64("2024-05-01"), "fields.DateTime(), or give str(value)"), ("other", [NOON], "isoformat()"),
    ("other", timedelta(1), "value.total_seconds()"), ("other", uuid.UUID(int=1), "str(value)"),
    ("other", Decimal("0.1"), "str(value), or float(value)"), ("other", Size.SMALL, "value.value"),
    ("other", {1, 2}, "sorted(value)"), ("other", b"x", "value.decode()"), ("other", bytearray(b"x"), "value.decode()"),
    ("other", np.ones(2), "value.tolist()"), ("other", 1j, "[value.real, value.imag]"),
    ("other", PurePosixPath("a"), "str(value)"), ("other", range(3), "list(value)"),
    ("other", TENSOR, "value.tolist()"),
    ("other", object(), "str, int, float, bool, None"), ("other", NAN, LEAVE_OUT), ("other", float("inf"), LEAVE_OUT),
    ("other", np.float32("nan"), LEAVE_OUT), ("other", [NAN], "None in its place"), ("other", NAT, LEAVE_OUT),
    ("other", NA, LEAVE_OUT), ("other", np.datetime64("NaT"), LEAVE_OUT), ("other", Decimal("NaN"), LEAVE_OUT),
    ("other", {1: "a"}, "str(key)"),
    ("year", 2020.0, "whole, so give int(value)"), ("year", 2020.5, "declare fields.Float()"),
    ("year", "2020", "int(value)"), ("year", True, "fields.Bool()"), ("year", NAN, LEAVE_OUT), ("year", NA, LEAVE_OUT),
    ("year", Decimal(2020), "int(value)"), ("year", 2**60, "Keyword"), ("year", NOON, "fields.DateTime()"),
    ("price", NAN, LEAVE_OUT), ("price", float("inf"), LEAVE_OUT), ("price", "1.5", "float(value)"),
    ("price", Decimal("1.5"), "float(value)"), ("price", NA, LEAVE_OUT), ("price", np.float16("nan"), LEAVE_OUT),
    ("lang", 1, "str(value)"), ("lang", NAN, LEAVE_OUT), ("lang", uuid.UUID(int=1), "str(value)"),
    ("lang", b"de", "value.decode()"), ("lang", ["de"], "fields.Keywords()"), ("lang", Size.SMALL, "value.value"),
    ("tags", "a", "give [value]"), ("tags", {"a"}, "sorted(value)"), ("tags", ["a", 1], "at position 1"),
    ("tags", np.array(["a"]), "value.tolist()"), ("tags", NAN, LEAVE_OUT),
    ("draft", 1, "bool(value)"), ("draft", "true", "True or False"), ("draft", NA, LEAVE_OUT),
    ("at", NAT, LEAVE_OUT), ("at", date(2024, 5, 1), "datetime.combine(value, "), ("at", "2024-05-01", "fromisoformat"),
    ("at", NOON.replace(tzinfo=None), "value.replace(tzinfo=datetime.UTC)"), ("at", 1.5, "fromtimestamp"),
    ("at", np.datetime64("2024-05-01"), "datetime64[us]"), ("at", np.datetime64("NaT"), LEAVE_OUT),
]  # fmt: skip

VECTORS: list[tuple[str, Any, str]] = [
    ("text", "[0.1, 0.2]", "json.loads(vector)"), ("bytes", b"12345678", "np.frombuffer"),
    ("bytearray", bytearray(b"12"), "np.frombuffer"), ("memoryview", memoryview(b"12"), "np.frombuffer"),
    ("nested", [VECTOR], "vector[0]"), ("rows", [VECTOR, VECTOR], "of each row"), ("ragged", [1, [2]], "position 1"),
    ("three numbers", [1, 2, 3], "dim=3"), ("one number", 1.5, "give 2"), ("empty", [], "2 numbers"),
    ("complex", [1j, 0], "real numbers"), ("None within", [1, None], "position 1"), ("NaN", [1, NAN], "position 1"),
    ("digits", ["1", "2"], "float(number)"), ("Decimal", [Decimal(1), Decimal(2)], "float(number)"),
    ("set", {1.0, 2.0}, "no order"), ("dict", {0: 1}, "list of 2 numbers"), ("generator", (x for x in VECTOR), "list("),
    ("bool", [True, False], "float32"), ("tensor", TENSOR, "vector.detach().cpu().float().numpy()"),
    ("zero", [0, 0], "metric='ip'"), ("large", [1e20, 0], "Scale"), ("too large", [1e39, 1], "position 0"),
    ("missing", NAN, "a missing value"), ("missing in pandas", NA, "a missing value"),
    ("void", np.zeros(2, "V2"), "astype(np.float32)"),
]  # fmt: skip

RECORDS: list[tuple[Any, str]] = [
    (make_stranger("pandas", "DataFrame", "__iter__", lambda _: iter(["id"])), "frame.to_dict('records')"),
    (make_stranger("polars.lazyframe.frame", "LazyFrame", "__iter__", lambda _: iter(["id"])), "frame.collect()"),
    ({"id": "a", "vector": VECTOR}, "[record]"), ({"a": VECTOR}, "records.items()"), (GOOD, "[record]"),
    ("a text", "[Record(id, text=text)]"), (np.eye(2), "vectors=matrix)"), (None, "[Record("), (3, "[Record("),
    (lambda: iter([GOOD]), "records()"), ([GOOD, ("a", VECTOR)], "records[1] is of type tuple"),
    ([GOOD, {"id": "a", "txt": "b"}], "'txt'. Did you mean 'text'"),
    ([{"id": "a", "Page Number": 1}], "'Page Number'. A Record has"), ([GOOD, {0: "a"}], "type int"),
    ([GOOD, None], "records[1] is of type NoneType"),
    ([["a", VECTOR]], "Record(*each)"), (["a"], "records[0]"),
]  # fmt: skip

TEXTS: list[tuple[Any, str]] = [(b"x", "text.decode()"), (NAN, "Give None"), (["a"], "join"), (3, "str(text)")]
IDS: list[tuple[Any, str]] = [
    (None, "str(uuid.uuid4())"), (1, "str(id)"), (uuid.UUID(int=1), "str(id)"), (b"a", "id.decode()"), ("", "empty"),
    (NAN, "a missing value"), (NA, "a missing value"), (("a", 1), "Join"), ("a\0", "replace("),
    (np.int64(1), "str(id)"),
]  # fmt: skip

FILTERS: list[tuple[Any, str, str]] = [
    ({"at": {"$gte": "2024-05-01"}}, "'at' (datetime), >= ($gte)", "2024-01-31T09:30:00Z"),
    ({"at": "soon"}, "'at' (datetime), == ($eq)", "2024-01-31T09:30:00Z"),
    (F.at < NOON.replace(tzinfo=None), "'at' (datetime), < ($lt)", "value.replace(tzinfo=datetime.UTC)"),
    (F.at == NAT, "'at' (datetime), == ($eq): the value is NaT", "is_missing()"),
    ({"lang": None}, "'lang' (keyword), == ($eq): the value is None", "is_missing()"),
    (F.lang != NAN, "'lang' (keyword), == ($eq): the value is NaN", "is_missing()"),
    ({"year": "2020"}, "'year' (int), == ($eq)", "without quotes"),
    (F.year > float("inf"), "'year' (int), > ($gt)", "must be finite"),
    (F.lang.starts_with(""), "'lang' (keyword), starts_with ($starts_with): the value is empty", "exists() ($exists)"),
    ({"lang": {"$contains_text": 3}}, "'lang' (keyword), contains_text ($contains_text)", "str(value)"),
    ({"lang": ["de", "en"]}, "'lang' (keyword), == ($eq): the value is a list", "in_ ($in)"),
    ({"lang": {"$in": ["de", 3]}}, "'lang' (keyword), in_ ($in): the value at position 1", "str(value)"),
    ({"lang": {"$in": "de"}}, "'lang', in_ ($in)", "[value]"),
    ({"lang": {"$gt": "a"}}, "'lang'", "== ($eq), in_ ($in)"),
    ({"year": {"$between": [1]}}, "'year': $between", "two values"),
    ({"lang": {"$exists": 1}}, "'lang': $exists", "true"),
    ({"year": {"gte": 1}}, "'gte' on field 'year'", "'$gte'"), ({"author": "x"}, "'author'", "Database.declare()"),
    ({"id": 3}, "'id', == ($eq)", "str(value)"), ([1], "list", "F.year >= 2020"), ({"$and": {}}, "$and", "list of"),
]  # fmt: skip


class AdviceTests(Places):
    """What every error of a write or a filter says."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, library: Database) -> VectorStore:
        store = library.create("advice", SCHEMA)
        store.insert([GOOD])
        return store

    @pytest.fixture(autouse=True)
    def _nothing_is_written(self, store: VectorStore) -> Iterator[None]:
        yield
        assert list(store.scan()) == [GOOD]

    def test_metadata(self, store: VectorStore) -> None:
        for name, value, step in METADATA:
            message = read_upsert_error(store, InvalidMetadata, Record("bad", VECTOR, None, {"year": 1, name: value}))
            assert message.startswith("Record 'bad': metadata "), message
            assert f"'{name}'" in message
            assert step in message, message
            assert "time zone, for" not in message
            with pytest.raises(InvalidMetadata, match=re.escape(step)):
                store.update(ids=["good"], metadata={name: value})

    def test_texts(self, store: VectorStore) -> None:
        for value, step in TEXTS:
            message = read_upsert_error(store, InvalidMetadata, Record("bad", VECTOR, value))
            assert message.startswith("Record 'bad': the text "), message
            assert step in message, message

    def test_vectors(self, store: VectorStore) -> None:
        for kind, value, step in VECTORS:
            message = read_upsert_error(store, InvalidVector, Record("bad", value))
            assert message.startswith("Record 'bad': the vector"), message
            assert step in message, message
            if kind not in {"text", "generator"}:  # a text is a query of its own, a generator is used up
                with pytest.raises(InvalidVector, match=re.escape(step)):
                    store.search(value)

    def test_what_is_no_iterable_of_records(self, store: VectorStore) -> None:
        for records, step in RECORDS:
            with pytest.raises(InvalidArgument) as caught:
                store.upsert(records)
            assert "Record" in str(caught.value)
            assert step in str(caught.value)

    def test_ids(self, store: VectorStore) -> None:
        for value, step in IDS:
            message = read_upsert_error(store, InvalidId, Record("x", VECTOR), Record(value, VECTOR))
            assert message.startswith("records[2]: the id"), message
            assert step in message, message
            with pytest.raises(InvalidId, match=r"^ids\[1\]: the id"):
                store.get(["x", value])

    def test_filters(self, store: VectorStore) -> None:
        for where, found, step in FILTERS:
            with pytest.raises(InvalidFilter, match=re.escape(found)) as caught:
                store.count(where)
            assert step in str(caught.value)
            with pytest.raises(InvalidFilter, match=re.escape(step)):
                store.search(VECTOR, where=where)
            with pytest.raises(InvalidFilter, match=re.escape(step)):
                store.delete(where=where)


class RowNumberTests(Places):
    """A record without a usable id is named by its position in the caller's iterable, wherever batches end."""

    @pytest.mark.parametrize("size", [None, 1_000])
    def test_the_position_counts_from_the_first_record(self, db: Database, size: int | None) -> None:
        store = db.create("rows", Schema(dim=2, index=Flat()))
        records = (Record(None if row == 3_333 else f"{row}", VECTOR) for row in range(4_000))  # type: ignore[arg-type]
        kind = InvalidId if size is None else PartialWrite
        with pytest.raises(kind, match=r"records\[3333\]: the id must be a str, not NoneType"):
            store.upsert(records, batch_size=size)
        assert store.count() == (0 if size is None else 3_000)


def read_upsert_error(store: VectorStore, kind: type[InvalidArgument], *records: Record) -> str:
    """Return the message of the error that writing the records behind a good one raises."""
    with pytest.raises(kind) as caught:
        store.upsert([GOOD, *records])
    with pytest.raises(kind):
        store.insert([GOOD, *records])
    return str(caught.value)
