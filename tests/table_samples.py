"""Tables of the real libraries, and what is stored of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from vecstore import (
    Flat,
    Record,
    Schema,
    fields,
)

DIM = 3
SCHEMA = Schema(
    dim=DIM,
    metric="l2",
    index=Flat(),
    fields={
        "lang": fields.Keyword(),
        "year": fields.Int(),
        "tags": fields.Keywords(),
        "price": fields.Float(),
        "draft": fields.Bool(),
        "at": fields.DateTime(),
    },
)
NOON = datetime(2024, 5, 1, 12, 30, 0, 7, tzinfo=UTC)
VECTORS = np.arange(1, 3 * DIM + 1, dtype=np.float32).reshape(3, DIM)
TABLE = pa.table(
    {
        "id": ["a", "b", "c"],
        "vector": pa.FixedSizeListArray.from_arrays(VECTORS.ravel(), DIM),
        "text": ["north", None, "süd"],
        "lang": pa.array(["de", None, "en"]).dictionary_encode(),
        "year": pa.array([2020, None, 2024], pa.int64()),
        "tags": pa.array([["x", "y"], [], None], pa.list_(pa.string())),
        "price": pa.array([1.5, None, 2.0]),
        "draft": pa.array([True, None, False]),
        "at": pa.array([NOON, None, NOON], pa.timestamp("us", "Europe/Berlin")),
        "author": ["Zoë", "%s", None],
        "pages": pa.array([None, 7, 2**62], pa.int64()),
        "shelf": pa.array([{"row": 1, "side": None}, None, {"row": 2, "side": "left"}]),
    }
)
EXPECTED = [
    Record(
        "a",
        VECTORS[0],
        "north",
        {
            "lang": "de", "year": 2020, "tags": ["x", "y"], "price": 1.5, "draft": True, "at": NOON, "author": "Zoë",
            "shelf": {"row": 1, "side": None},
        },
    ),
    Record("b", VECTORS[1], None, {"tags": [], "author": "%s", "pages": 7}),
    Record(
        "c",
        VECTORS[2],
        "süd",
        {
            "lang": "en", "year": 2024, "price": 2.0, "draft": False, "at": NOON, "pages": 2**62,
            "shelf": {"row": 2, "side": "left"},
        },
    ),
]  # fmt: skip


ARROW_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "vector": pa.list_(pa.float32(), DIM),
        "text": pa.string(),
        "lang": pa.string(),
        "year": pa.int64(),
        "tags": pa.list_(pa.string()),
        "price": pa.float64(),
        "draft": pa.bool_(),
        "at": pa.timestamp("us", "UTC"),
        "metadata": pa.json_(),
    }
)
"""Of what goes out as columns."""


def make_pandas() -> pd.DataFrame:
    """Return what pandas makes of the table with its own types, where its index has no name and gaps are floats."""
    frame = TABLE.drop(["pages", "shelf", "draft"]).to_pandas()
    frame["draft"] = pd.array([True, None, False], "boolean")
    frame["pages"] = pd.array([None, 7, 2**62], "Int64")
    frame["shelf"] = TABLE["shelf"].to_pylist()
    assert frame["year"].dtype == float
    return frame.set_index(pd.Index([7, 3, 9]))


def make_duckdb() -> Any:
    """Return a relation that reads the table, with DuckDB's own enumeration, list and time zone."""
    connection = duckdb.connect()
    connection.register("given", TABLE.set_column(3, "lang", TABLE["lang"].cast(pa.string())))
    return connection.sql("SELECT * REPLACE (lang::ENUM ('de', 'en') AS lang) FROM given ORDER BY id")


def make_pandas_of_arrow() -> pd.DataFrame:
    """Return a frame whose columns are Arrow's."""
    return TABLE.to_pandas(types_mapper=pd.ArrowDtype)


def make_polars(table: pa.Table = TABLE) -> pl.DataFrame:
    """Return what polars makes of the table."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


# Each returns the same three rows.
TABLES: dict[str, Callable[[], Any]] = {
    "pyarrow table": lambda: TABLE,
    "pyarrow reader": TABLE.to_reader,
    "pyarrow batch": lambda: TABLE.combine_chunks().to_batches()[0],
    "pyarrow slice": lambda: pa.concat_tables([TABLE, TABLE, TABLE]).combine_chunks().slice(3, 3),
    "pyarrow chunks": lambda: pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(0, 0), TABLE.slice(1, 2)]),
    "pandas": make_pandas,
    "pandas of Arrow": make_pandas_of_arrow,
    "polars": make_polars,
    "polars chunks": lambda: pl.concat([make_polars(TABLE.slice(0, 2)), make_polars(TABLE.slice(2, 1))]),
    "DuckDB": make_duckdb,
}


def make_table(**others: Any) -> pa.Table:
    """Return two good rows with some of their columns replaced."""
    good: dict[str, Any] = {"id": ["a", "b"], "vector": pa.array([[1, 2, 3], [4, 5, 6]], pa.list_(pa.float32()))}
    return pa.table({name: column for name, column in {**good, **others}.items() if column is not None})


def make_lists(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return a column of vectors with numbers of a type."""
    return pa.array(values, kind)


ONE_TWO = [[1, 2, 3], [4, 5, 6]]
VECTOR_TYPES: dict[str, Any] = {
    "lists of float64": pa.array(ONE_TWO, pa.list_(pa.float64())),
    "lists of float16": pa.array(np.array(ONE_TWO, np.float16).tolist(), pa.list_(pa.float16())),
    "large lists of int8": pa.array(ONE_TWO, pa.large_list(pa.int8())),
    "fixed lists of uint64": pa.array(ONE_TWO, pa.list_(pa.uint64(), 3)),
    "views of lists": pa.array(ONE_TWO, pa.list_view(pa.float32())),
    "tensors": pa.FixedShapeTensorArray.from_numpy_ndarray(np.array(ONE_TWO, np.float32)),
    "a dictionary": pa.DictionaryArray.from_arrays([1, 0], pa.array(ONE_TWO[::-1], pa.list_(pa.float32()))),
    "a slice": pa.array([[9, 9, 9], *ONE_TWO, [8, 8, 8]], pa.list_(pa.float32())).slice(1, 2),
    "a slice of fixed lists": pa.array([[9, 9, 9], *ONE_TWO, [8, 8, 8]], pa.list_(pa.float32(), 3)).slice(1, 2),
}

# Column of metadata -> what is stored for its two rows; None: nothing is.
METADATA_TYPES: dict[str, tuple[str, Any, list[Any]]] = {
    "nulls": ("year", pa.nulls(2), [None, None]),
    "whole floats with a gap": ("year", pa.array([2020.0, None]), [2020, None]),
    "floats with NaN": ("price", pa.array([float("nan"), 0.1]), [None, 0.1]),
    "float16": ("price", pa.array(np.array([0.5, np.nan], np.float16)), [0.5, None]),
    "uint64": ("other", pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
    "decimals": ("price", pa.array([Decimal("1.50"), None]), [1.5, None]),
    "whole decimals": ("year", pa.array([Decimal(2020), Decimal(-1)], pa.decimal128(38, 0)), [2020, -1]),
    "views of strings": ("lang", pa.array(["a" * 30, None], pa.string_view()), ["a" * 30, None]),
    "a dictionary of views": (
        "lang",
        pa.DictionaryArray.from_arrays(pa.array([1, None], pa.int8()), pa.array(["x", "y" * 30], pa.string_view())),
        ["y" * 30, None],
    ),
    "a dictionary with a null": (
        "lang",
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([None, "y"])),
        [None, "y"],
    ),
    "runs": ("lang", pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["de"])), ["de", "de"]),
    "large strings in lists": (
        "tags",
        pa.array([["a", "a"], None], pa.large_list(pa.large_string())),
        [["a", "a"], None],
    ),
    "a dictionary in lists": (
        "tags",
        pa.array([["a"], []], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        [["a"], []],
    ),
    "seconds": ("at", pa.array([0, None], pa.timestamp("s", "UTC")), [datetime(1970, 1, 1, tzinfo=UTC), None]),
    "milliseconds": (
        "at",
        pa.array([-1, None], pa.timestamp("ms", "Asia/Tokyo")),
        [datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC), None],
    ),
    "nanoseconds, rounded down": (
        "at",
        pa.array([1_999, -1], pa.timestamp("ns", "+03:00")),
        [datetime(1970, 1, 1, 0, 0, 0, 1, UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)],
    ),
    "dates without zone that are missing": ("at", pa.nulls(2, pa.timestamp("us")), [None, None]),
    "bools of a byte": (
        "draft",
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([7, None], pa.int8())),
        [True, None],
    ),
    "maps": ("other", pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int8())), [{"a": 1}, None]),
    "lists of objects": ("other", pa.array([[{"a": 1}, None], None]), [[{"a": 1}, None], None]),
    "JSON": ("other", pa.array(['{"a": 1}', None], pa.json_()), ['{"a": 1}', None]),
}

NESTED: dict[str, tuple[Any, list[Any]]] = {
    "a struct": (pa.array([{"year": 1, "x": "a"}, {"year": None, "x": None}]), [{"year": 1, "x": "a"}, {}]),
    "a map": (
        pa.array([[("x", 1), ("text", 2)], None], pa.map_(pa.string(), pa.int64())),
        [{"x": 1, "text": 2}, {}],
    ),
    "JSON texts": (['{"x": [1, null], "year": 3, "y": null}', None], [{"year": 3, "x": [1, None]}, {}]),
    "JSON": (pa.array(['{"x": 12345678901234567890.5}', "{}"], pa.json_()), [{"x": 12345678901234567890.5}, {}]),
    "texts that are no objects": (["a text", None], [{"metadata": "a text"}, {}]),
}
