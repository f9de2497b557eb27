"""Tables that no store takes, and what is said about each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from tests.table_samples import NOON, TABLE, make_polars, make_table
from vecstore import (
    DimensionMismatch,
    EmbedderRequired,
    InvalidArgument,
    InvalidId,
    InvalidMetadata,
    InvalidVector,
    VecstoreError,
)

WRONG: dict[str, tuple[Callable[[], Any], type[VecstoreError], str]] = {
    "no id": (lambda: TABLE.drop(["id"]), InvalidArgument, "no column 'id' among 'vector', 'text'"),
    "no columns": (lambda: pa.table({}), InvalidArgument, "no column 'id' among no columns"),
    "a name twice": (
        lambda: pa.table([["a"], [[1.0]], ["x"], ["y"]], ["id", "vector", "x", "x"]),
        InvalidArgument,
        "'x' is given twice",
    ),
    "two ids": (lambda: pa.table([["a"], ["b"]], ["id", "id"]), InvalidArgument, "'id' is given twice"),
    "a name twice in pandas": (
        lambda: pd.DataFrame([["a", 1, 2]], columns=["id", "x", "x"]),
        InvalidArgument,
        "type DataFrame",
    ),
    "mixed types in pandas": (
        lambda: pd.DataFrame({"id": ["a", "b"], "x": [1, "b"]}),
        InvalidArgument,
        "each column has one type",
    ),
    "one column": (lambda: TABLE["vector"], InvalidArgument, "type ChunkedArray"),
    "a series": (lambda: pl.Series([1]), InvalidArgument, "type Series"),
    "a lazy frame": (lambda: make_polars().lazy(), InvalidArgument, r"frame\.collect\(\)"),
    "a null id": (lambda: make_table(id=["a", None]), InvalidId, "Row 1: "),
    "ids are ints": (lambda: make_table(id=[1, 2]), InvalidId, "Row 0: .*cast"),
    "ids are dates": (lambda: make_table(id=[NOON, NOON]), InvalidId, "Row 0: "),
    "a wrong width": (lambda: make_table(vector=[[1, 2, 3], [1.0, 2.0]]), DimensionMismatch, "Row 1, record 'b'"),
    "a wrong fixed width": (
        lambda: make_table(vector=pa.array([None, [1.0, 2]], pa.list_(pa.float32(), 2)), text=["x", "y"]),
        EmbedderRequired,
        "Row 0, record 'a'",
    ),
    "another fixed width": (
        lambda: make_table(vector=pa.array([[1.0, 2]] * 2, pa.list_(pa.float32(), 2))),
        DimensionMismatch,
        "2 dimensions",
    ),
    "empty vectors": (lambda: make_table(vector=[[], []]), DimensionMismatch, "Row 0, record 'a': .*0 dimensions"),
    "NaN": (lambda: make_table(vector=[[1, 2, 3], [1, 2, np.nan]]), InvalidVector, "Row 1, record 'b': .*position 2"),
    "null in a vector": (
        lambda: make_table(vector=[[1, 2, 3], [1, None, 3]]),
        InvalidVector,
        "Row 1.*null at position 1",
    ),
    "null in a fixed vector": (
        lambda: make_table(vector=pa.array([[1, 2, 3], [1, 2, None]], pa.list_(pa.float32(), 3))),
        InvalidVector,
        "Row 1.*null at position 2",
    ),
    "too large for float32": (
        lambda: make_table(vector=[[1, 2, 3], [1e39, 0, 0]]),
        InvalidVector,
        "Row 1, record 'b'",
    ),
    "vectors of texts": (lambda: make_table(vector=["[1, 2, 3]"] * 2), InvalidVector, "'vector' is of type string"),
    "vectors of lists of texts": (lambda: make_table(vector=[["1"], ["2"]]), InvalidVector, "lists of string"),
    "vectors of bools": (lambda: make_table(vector=[[True] * 3] * 2), InvalidVector, "lists of bool"),
    "vectors of decimals": (lambda: make_table(vector=[[Decimal(1)] * 3] * 2), InvalidVector, "lists of decimal"),
    "vectors of lists": (lambda: make_table(vector=[[[1.0] * 3]] * 2), InvalidVector, "lists of list"),
    "no vectors, no embedder": (
        lambda: make_table(vector=None, text=["x", "y"]),
        EmbedderRequired,
        "Row 0, record 'a'",
    ),
    "null vectors": (
        lambda: make_table(vector=pa.nulls(2), text=["x", None]),
        InvalidVector,
        "Row 1, record 'b' has neither",
    ),
    "texts are numbers": (lambda: make_table(text=[1, None]), InvalidMetadata, "Row 0, record 'a': the text"),
    "texts are bytes": (lambda: make_table(text=[None, b"x"]), InvalidMetadata, "Row 1, record 'b': the text"),
    "dates without a zone": (
        lambda: make_table(at=[None, NOON.replace(tzinfo=None)]),
        InvalidMetadata,
        "Row 1.*time zone",
    ),
    "days": (lambda: make_table(at=[None, date(2024, 5, 1)]), InvalidMetadata, "Row 1, record 'b': metadata 'at'"),
    "dates far away": (
        lambda: make_table(at=pa.array([2**62, None], pa.timestamp("s", "UTC"))),
        InvalidMetadata,
        "Row 0.*1970",
    ),
    "undeclared dates": (
        lambda: make_table(other=[NOON, NOON]),
        InvalidMetadata,
        "Row 0, record 'a': metadata 'other'",
    ),
    "dates within": (
        lambda: make_table(other=[[NOON], None]),
        InvalidMetadata,
        "Row 0, record 'a': metadata 'other'",
    ),
    "times": (lambda: make_table(other=[None, time(12)]), InvalidMetadata, "Row 1, record 'b': metadata 'other'"),
    "durations": (
        lambda: make_table(other=[None, timedelta(1)]),
        InvalidMetadata,
        "Row 1, record 'b': metadata 'other'",
    ),
    "intervals": (
        lambda: make_table(other=pa.array([(1, 2, 3)] * 2, pa.month_day_nano_interval())),
        InvalidMetadata,
        "'other' is of type",
    ),
    "bytes": (lambda: make_table(other=[b"x", None]), InvalidMetadata, "Row 0, record 'a': metadata 'other'"),
    "periods of pandas": (
        lambda: pd.DataFrame(
            {"id": ["a"], "vector": [[1.0, 2, 3]], "other": pd.period_range("2020", periods=1, freq="D")}
        ),
        InvalidMetadata,
        "'other' is of type",
    ),
    "undeclared decimals": (
        lambda: make_table(other=[Decimal("0.1"), None]),
        InvalidMetadata,
        r"Row 0.*float\(value\)",
    ),
    "half a decimal": (
        lambda: make_table(year=[Decimal("0.5"), None]),
        InvalidMetadata,
        "Row 0, record 'a': metadata 'year'",
    ),
    "a key twice in a map": (
        lambda: make_table(other=pa.array([[("a", 1), ("a", 2)], None], pa.map_(pa.string(), pa.int8()))),
        InvalidMetadata,
        "'other' .*twice",
    ),
    "a key twice": (
        lambda: make_table(year=[1, 2], metadata=[{"year": 1}, {"year": 2}]),
        InvalidMetadata,
        "Row 0.*'year' is given twice",
    ),
    "JSON that is none": (lambda: make_table(metadata=["{", None]), InvalidMetadata, "Row 0: the column 'metadata'"),
    "infinity within 'metadata'": (
        lambda: make_table(metadata=[{"x": np.inf}, None]),
        InvalidMetadata,
        "Row 0, record 'a'",
    ),
}
