"""Random tables, written as records and as columns: the two stores hold the same, byte by byte."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from .. import fields
from ..columns import Columns
from ..database import Database
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

DIM = 3
SCHEMA = Schema(
    dim=DIM,
    metric="l2",
    index=Flat(),
    dynamic=True,
    vectors="optional",
    fields={
        "lang": fields.Keyword(), "year": fields.Int(), "price": fields.Float(), "draft": fields.Bool(),
        "tags": fields.Keywords(), "at": fields.DateTime(), "said": fields.DateTime(text=True, naive="utc"),
    },
)  # fmt: skip
_ROUNDS, _ROWS, _IDS = 12, 40, 60
_NAN, _NAT = float("nan"), np.datetime64("NaT")
_WORDS = ["", "a", "é", "e\u0301", "🦊", "1", "true", "null", "x" * 300, 'a "b" \\ \n']
_NUMBERS: list[Any] = [0, 1, -1, 1.0, 0.5, -0.0, 2**53 + 1, 2**70, 1e300, 5e-324, 10**30]


def draw_nested(draw: random.Random, depth: int = 0) -> Any:
    """Draw a value of any class, with gaps inside."""
    kind = draw.random()
    if kind < 0.3:
        return draw.choice(_NUMBERS)
    if kind < 0.55:
        return draw.choice(_WORDS)
    if kind < 0.65:
        return draw.choice([True, False])
    if depth > 2:
        return None
    if kind < 0.8:
        return [draw_nested(draw, depth + 1) for _ in range(draw.randrange(4))]
    return {draw.choice(["n", "p", "a.b"]): draw_nested(draw, depth + 1) for _ in range(draw.randrange(1, 3))}


def draw_moment(draw: random.Random) -> datetime:
    """Draw an aware date."""
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=draw.randrange(-(10**15), 10**15))


DRAWS: dict[str, Callable[[random.Random], Any]] = {
    "lang": lambda draw: draw.choice(_WORDS),
    "year": lambda draw: draw.choice([0, -1, 2020, 2**53, -(2**53), draw.randrange(3000)]),
    "price": lambda draw: draw.choice([0.5, 2, -0.0, 1e300, 5e-324, 7, draw.random()]),
    "draft": lambda draw: draw.choice([True, False]),
    "tags": lambda draw: draw.choices(_WORDS, k=draw.randrange(4)),
    "at": draw_moment,
    "said": lambda draw: draw_moment(draw).isoformat(),
    "count": lambda draw: draw.choice([0, 1, -5, 2**40]),
    "ratio": lambda draw: draw.choice([0.0, 0.25, 1.0, 1e-7]),
    "mixed": draw_nested,
    "shelf": lambda draw: {"row": draw.randrange(5), "side": draw.choice(["left", None]), "in": {"n": None}},
}
"""A value of each column; `DRAWS` of declared fields come first."""
_AS_FLOATS = frozenset({"year", "price", "ratio"})
"""Columns that may be an array of floats, with NaN for a gap."""


def draw_table(draw: random.Random) -> tuple[list[str], Any, list[str | None], dict[str, list[Any]]]:
    """Draw ids, some twice, vectors and texts with gaps, and columns of metadata with None in their gaps."""
    ids = [f"r{draw.randrange(_IDS)}" for _ in range(_ROWS)]
    vectors = [None if draw.random() < 0.2 else [draw.uniform(-9, 9) for _ in range(DIM)] for _ in ids]
    texts = [None if draw.random() < 0.3 else draw.choice(_WORDS) for _ in ids]
    gaps = draw.choice([0, 0.1, 0.5, 1])
    names = [name for name in DRAWS if draw.random() < 0.8]
    columns = {name: [None if draw.random() < gaps else DRAWS[name](draw) for _ in ids] for name in names}
    return ids, vectors, texts, columns


def make_records(ids: list[str], vectors: Any, texts: list[str | None], columns: dict[str, list[Any]]) -> list[Record]:
    """Return the rows of a table as records; a gap is no key."""
    return [
        Record(
            id_, vectors[row], texts[row], {key: each[row] for key, each in columns.items() if each[row] is not None}
        )
        for row, id_ in enumerate(ids)
    ]


def choose_form(draw: random.Random, name: str, values: list[Any]) -> Any:
    """Return a column in one of the forms that mean the same, with one of the signs of a gap."""
    if name in _AS_FLOATS and draw.random() < 0.4:
        return np.array([_NAN if value is None else value for value in values], np.float64)
    if name in {"year", "count"} and draw.random() < 0.5:
        return np.ma.masked_array([value or 0 for value in values], [value is None for value in values], dtype=np.int64)
    gap = draw.choice([None, _NAN, _NAT if name in {"at", "said"} else None])
    given = [gap if value is None else value for value in values]
    return np.array([*given, None], object)[:-1] if draw.random() < 0.3 else given


def read_bytes(store: VectorStore) -> list[tuple[Any, ...]]:
    """Return all that a store holds, so that 1, 1.0 and True are three, and −0.0 is not 0.0."""
    return [
        (
            record.id,
            None if record.vector is None else np.asarray(record.vector).tobytes(),
            record.text,
            sorted((key, repr(value)) for key, value in record.metadata.items()),
        )
        for record in store.scan()
    ]


def check_same(one: VectorStore, other: VectorStore, columns: dict[str, list[Any]]) -> None:
    """Compare two stores by what they hold and by what their filters find."""
    assert read_bytes(other) == read_bytes(one)
    assert other.keys() == one.keys()
    for name, values in columns.items():
        assert other.values(name) == one.values(name)
        for value in _list_operands(values):
            assert other.count({"$key": [name, {"$eq": value}]}) == one.count({"$key": [name, {"$eq": value}]}), name


def _list_operands(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, str | int | float)][:3]


class ColumnEquivalenceTests(Places):
    """Columns are another spelling of the same records."""

    def test_random_columns_are_what_the_same_records_are(self, db: Database) -> None:
        draw = random.Random("the same tables for all backends")
        by_record, by_column = db.create("records", SCHEMA), db.create("columns", SCHEMA)
        for _ in range(_ROUNDS):
            ids, vectors, texts, columns = draw_table(draw)
            formed = {name: choose_form(draw, name, values) for name, values in columns.items()}
            size = draw.choice([None, 7, 39])
            assert by_record.upsert(make_records(ids, vectors, texts, columns), batch_size=size) == len(ids)
            assert by_column.upsert(Columns(ids, vectors, texts, formed), batch_size=draw.choice([None, 11])) == len(
                ids
            )
            check_same(by_record, by_column, columns)
