"""Random tables of the real libraries, whose gaps are null, NaN, NaT or pandas.NA."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa

_TYPES: dict[str, pa.DataType] = {
    "lang": pa.string(), "year": pa.int64(), "price": pa.float64(), "draft": pa.bool_(), "tags": pa.list_(pa.string()),
    "at": pa.timestamp("us", "UTC"), "said": pa.string(), "count": pa.int64(), "ratio": pa.float64(),
    "shelf": pa.struct({"row": pa.int64(), "side": pa.string(), "in": pa.struct({"n": pa.int64()})}),
}  # fmt: skip
_PANDAS: dict[str, list[str]] = {
    "lang": ["object", "string", "category"],
    "year": ["Int64", "float64", "object"],
    "price": ["float64", "Float64"],
    "draft": ["boolean", "object"],
    "at": ["datetime64[us, UTC]"],
    "count": ["Int64"],
    "ratio": ["float64"],
}

Made = tuple[list[str], Any, list[str | None], dict[str, list[Any]]]


def keep_typed(made: Made) -> Made:
    """Leave out columns whose values have no one type."""
    ids, vectors, texts, columns = made
    return ids, vectors, texts, {name: values for name, values in columns.items() if name in _TYPES}


def make_arrow(made: Made, draw: random.Random) -> pa.Table:
    """Return a table of pyarrow, in chunks."""
    ids, vectors, texts, columns = made
    arrays = {
        "id": pa.array(ids),
        "vector": pa.array(vectors, pa.list_(pa.float64())),
        "text": pa.array(texts, pa.string()),
        **{name: pa.array(values, _TYPES[name]) for name, values in columns.items()},
    }
    for name in ("lang", "said"):
        if name in arrays and draw.random() < 0.5:
            arrays[name] = arrays[name].dictionary_encode()
    table = pa.table(arrays)
    cut = draw.randrange(len(ids))
    return pa.concat_tables([table.slice(0, cut), table.slice(cut)])


def make_pandas(made: Made, draw: random.Random) -> pd.DataFrame:
    """Return a frame of pandas whose columns have one of the types that they may have."""
    ids, vectors, texts, columns = made
    frame = pd.DataFrame(
        {"id": ids, "vector": pd.Series(vectors, dtype=object), "text": pd.Series(texts, dtype=object)}
    )
    for name, values in columns.items():
        kind = draw.choice(_PANDAS.get(name, ["object"]))
        gap = draw.choice([None, float("nan"), pd.NA, pd.NaT]) if kind == "object" else None
        # Whole numbers beyond 2**53 are others as floats.
        given = [gap if value is None else value for value in values]
        frame[name] = pd.Series(given, dtype=kind)
    return frame


def make_polars(made: Made, draw: random.Random) -> pl.DataFrame:
    """Return a frame of polars."""
    frame = pl.from_arrow(make_arrow(made, draw))
    assert isinstance(frame, pl.DataFrame)
    return frame


MAKERS: dict[str, Callable[[Made, random.Random], Any]] = {
    "pyarrow": make_arrow, "pandas": make_pandas, "polars": make_polars,
}  # fmt: skip
