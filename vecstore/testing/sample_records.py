"""The records that the suite writes: books, each made from a number, the same ones every time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from .. import fields
from ..database import Database
from ..index_options import Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places

DIM = 4
SCHEMA = Schema(
    dim=DIM,
    metric="l2",
    index=Flat(),
    fields={
        "lang": fields.Keyword(),
        "year": fields.Int(),
        "tags": fields.Keywords(),
        "price": fields.Float(),
        "at": fields.DateTime(),
    },
)
WIDER = replace(SCHEMA, fields={**SCHEMA.fields, "edition": fields.Int()})
"""The schema with one more field, for rebuilds: one to the same schema copies nothing."""
LANGS = ("de", "en", "fr")


def make_vector(number: int, dim: int = DIM) -> NDArray[np.float32]:
    """Return numbers that are the same in every dtype: multiples of 1/8, none of them zero."""
    return (np.random.default_rng(number).integers(1, 65, dim) / 8).astype(np.float32)


def make_book(
    number: int, *, id: str | None = None, metadata: Mapping[str, Any] | None = None, dim: int = DIM
) -> Record:
    """Return the book of a number; ``metadata`` is laid over its own, None removes a key."""
    values: dict[str, Any] = {
        "lang": LANGS[number % len(LANGS)],
        "year": 2000 + number % 20,
        "tags": [f"t{number % 2}", f"t{number % 5}"],
        "price": number / 4,
        "at": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number, microseconds=number),
        "shelf": {"row": number, "side": "left"},
        **(metadata or {}),
    }
    kept = {key: value for key, value in values.items() if value is not None}
    return Record(id or f"book-{number:05}", make_vector(number, dim), f"the text of number {number}", kept)


def make_books(numbers: Iterable[int]) -> list[Record]:
    """Return the books of some numbers."""
    return [make_book(number) for number in numbers]


def key_by_id(records: Iterable[Record]) -> dict[str, Record]:
    """Return records under their ids; of those with the same id the last."""
    return {record.id: record for record in records}


def read_contents(store: VectorStore) -> dict[str, Record]:
    """Return everything that a store holds, and prove that its ways of reading agree about it."""
    found = list(store.scan())
    ids = [record.id for record in found]
    assert ids == sorted(set(ids))
    assert store.count() == len(found)
    assert store.get(ids) == found
    if found:
        hits = store.search(np.ones(store.schema.width), k=min(len(found), 10_000), exact=True, include=())
        searchable = [record.id for record in found if record.vector is not None]
        assert sorted(hit.id for hit in hits) == searchable or len(ids) > 10_000
    return key_by_id(found)


class SampleStore(Places):
    """A store with ten books."""

    @pytest.fixture
    def store(self, db: Database) -> VectorStore:
        """Return a store with ten books."""
        store = db.create("docs", SCHEMA)
        store.insert(make_books(range(10)))
        return store
