"""Batches of records: validated, embedded, and converted to the columns that a backend stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..backend import Rows
from ..errors import DuplicateId, EmbedderRequired, InvalidArgument, InvalidVector
from ..records import MAX_ID_BYTES, Record, check_id
from ..schema import Schema
from . import metadata
from .strings import are_storable
from .vectors import as_matrix

BATCH_RECORDS = 5_000
BATCH_BYTES = 16 << 20

_FEW = 64
_SIMPLE = frozenset({str, int, float, bool, type(None)})


class EmbedTexts(Protocol):
    """Embeds texts. ``label`` returns what an error message calls the text at a position."""

    def __call__(self, texts: Sequence[str], /, *, label: Callable[[int], str] | None = None) -> NDArray[np.float32]:
        """Return one row for each text."""


def cut_batches(records: Iterable[Record], batch_size: int | None, vector_bytes: int) -> Iterator[list[Record]]:
    """Cut an iterable, consumed once, into lists of ``batch_size`` records or 16 MiB, whichever comes first."""
    if isinstance(records, Record | str | bytes) or not isinstance(records, Iterable):
        raise InvalidArgument(f"records must be an iterable of Record, not {type(records).__name__}.")
    most = BATCH_RECORDS if batch_size is None else batch_size
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise InvalidArgument(f"batch_size must be a whole number of at least 1, not {batch_size!r}.")
    batch: list[Record] = []
    size = 0
    for record in records:
        if not isinstance(record, Record):
            raise InvalidArgument(f"records must contain Record objects, not {type(record).__name__}.")
        batch.append(record)
        size += (
            vector_bytes + _estimate_bytes(record.metadata) + (len(record.text) if isinstance(record.text, str) else 0)
        )
        if len(batch) >= most or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _estimate_bytes(value: object) -> int:
    """Estimate the size of metadata as JSON. Counting stops at the limit, beyond which it is refused later."""
    if type(value) is dict and len(value) <= _FEW:
        # The fast path: most metadata is a few strings and numbers.
        size = 0
        for key, each in value.items():
            if type(key) is not str or type(each) not in _SIMPLE:
                break
            size += len(key) + (len(each) if type(each) is str else 8)
        else:
            return size
    size, pending = 0, [value]
    while pending and size <= metadata.MAX_BYTES:
        value = pending.pop()
        size += len(value) if isinstance(value, str) else 8
        if isinstance(value, Mapping):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            pending += value
    return size


def as_rows(batch: Sequence[Record], schema: Schema, embed: EmbedTexts | None) -> Rows:
    """Check one batch and convert it to columns; texts without a vector are embedded.

    Raises
    ------
    InvalidId, DuplicateId, InvalidVector, DimensionMismatch, InvalidMetadata, EmbedderRequired
    """
    ids = _check_ids(batch)
    names = _Names(ids)
    texts = metadata.check_texts([record.text for record in batch], names)
    columns, extras = metadata.split_columns([record.metadata for record in batch], schema.fields, names)
    vectors = [record.vector for record in batch]
    return Rows(ids, _make_matrix(vectors, texts, names, schema, embed), texts, columns, extras)


def as_records(rows: Rows, schema: Schema) -> list[Record]:
    """Return rows that have all columns as records."""
    if rows.vectors is None or rows.texts is None or rows.fields is None or rows.extras is None:
        raise TypeError("records need every column")
    values = metadata.join(rows.fields, rows.extras, schema.fields)
    return [Record(*record) for record in zip(rows.ids, rows.vectors, rows.texts, values, strict=True)]


def _check_ids(batch: Sequence[Record]) -> list[str]:
    given = [record.id for record in batch]
    ids = given if are_storable(given, 1, MAX_ID_BYTES) else [check_id(each) for each in given]
    if len(set(ids)) < len(ids):
        twice = next(id_ for number, id_ in enumerate(ids) if id_ in ids[:number])
        raise DuplicateId(f"Duplicate id {twice!a} in one batch.")
    return ids


class _Names(Sequence[str]):
    """The names of records in error messages, made only when one is needed."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [f"Record {id_!a}" for id_ in self._ids[index]]
        return f"Record {self._ids[index]!a}"

    def __len__(self) -> int:
        return len(self._ids)


def _make_matrix(
    vectors: list[ArrayLike | None],
    texts: Sequence[str | None],
    names: Sequence[str],
    schema: Schema,
    embed: EmbedTexts | None,
) -> NDArray[np.generic]:
    bare = [number for number, vector in enumerate(vectors) if vector is None]
    for number in bare:
        if texts[number] is None:
            raise InvalidVector(f"{names[number]} has neither a vector nor a text to embed.")
    if bare:
        if embed is None:
            raise EmbedderRequired(
                f"{names[bare[0]]} has a text but no vector, and the store has no embedder. "
                "Open the store with embedder=…, or give vectors."
            )
        made = embed(
            [text for number in bare if (text := texts[number]) is not None], label=lambda row: names[bare[row]]
        )
        for number, vector in zip(bare, made, strict=True):
            vectors[number] = vector
    return as_matrix([vector for vector in vectors if vector is not None], schema, names)
