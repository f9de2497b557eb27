"""What a write is given, records or columns, cut into batches and converted to the rows that a backend stores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .arguments import check_whole
from .backend import Rows
from .columns.arrow_input import is_arrow
from .columns.arrow_input import read_batches as read_arrow
from .columns.batch import ColumnBatch
from .columns.conversion import convert_batch
from .columns.given import Columns
from .columns.numpy_input import read_batches as read_arrays
from .records import Record
from .rows.batches import cut_batches
from .rows.conversion import Embed, as_rows, has_text, needs_embedding
from .schema import Schema

Batch = Sequence[Record] | ColumnBatch
BATCH_ROWS = 10_000
"""Rows of columns in a batch: twice as many as records, because each commit waits for the disk several times."""


def cut(records: Any, batch_size: int | None, schema: Schema) -> Iterator[Batch]:
    """Cut records or columns into batches of ``batch_size`` rows or 16 MiB, whichever comes first.

    By default a batch has up to 5,000 records, or 10,000 rows of columns.

    Raises
    ------
    InvalidArgument, MissingExtra
    """
    vector_bytes = schema.width * np.dtype(schema.dtype).itemsize
    if isinstance(records, Columns):
        return read_arrays(records, _choose_size(batch_size), vector_bytes)
    if is_arrow(records):
        return read_arrow(records, _choose_size(batch_size), vector_bytes, schema.fields)
    return cut_batches(records, batch_size, vector_bytes)


def count_rows(records: Iterable[Record] | Any) -> int | None:
    """Return how many rows there will be, if that is known without reading them."""
    if isinstance(records, Columns):
        return len(records.ids) if isinstance(records.ids, Sequence) or np.ndim(records.ids) else None
    if isinstance(records, Sequence):
        return len(records)
    # pyarrow's tables and polars' frames; a relation of DuckDB would run its query to answer.
    rows = getattr(records, "num_rows", getattr(records, "height", None)) if is_arrow(records) else None
    return rows if isinstance(rows, int) else None


def needs_embedder(batch: Batch) -> bool:
    """Return whether the batch has a text or an item whose vector is to be made from it."""
    if isinstance(batch, ColumnBatch):
        texts = batch.texts
        return texts is not None and any(has_text(texts[row]) for row in batch.bare)
    return any(record.vector is None and needs_embedding(record) for record in batch)


def convert(batch: Batch, schema: Schema, embed: Embed | None, *, unique: bool, first: int) -> Rows:
    """Check one batch and convert it; see `as_rows` and `convert_batch`."""
    if isinstance(batch, ColumnBatch):
        return convert_batch(batch, schema, embed, unique=unique)
    return as_rows(batch, schema, embed, unique=unique, first=first)


def _choose_size(batch_size: int | None) -> int:
    return BATCH_ROWS if batch_size is None else check_whole("batch_size", batch_size)
