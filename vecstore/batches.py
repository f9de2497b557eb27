"""From the records of a user to rows that a backend can write: checked, embedded, by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import metadata
from .backend import Rows
from .errors import DuplicateId, EmbedderRequired, InvalidArgument, InvalidVector
from .fields import Stored
from .records import Record, check_id
from .schema import Schema
from .vectors import as_matrix

BATCH_RECORDS = 5_000
BATCH_BYTES = 16 << 20

_FEW = 64
_SIMPLE = frozenset({str, int, float, bool, type(None)})


class EmbedTexts(Protocol):
    """What makes vectors of texts; ``label`` names the text of a number in a message."""

    def __call__(self, texts: Sequence[str], /, *, label: Callable[[int], str] | None = None) -> NDArray[np.float32]:
        """Return one row per text."""


def in_batches(records: Iterable[Record], batch_size: int | None, vector_bytes: int) -> Iterator[list[Record]]:
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
            raise InvalidArgument(f"records must hold Record objects, not {type(record).__name__}.")
        batch.append(record)
        size += vector_bytes + _bytes(record.metadata) + (len(record.text) if isinstance(record.text, str) else 0)
        if len(batch) >= most or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _bytes(value: object) -> int:
    """Estimate what metadata take as JSON; what is beyond the limit is refused later and not counted to its end."""
    if type(value) is dict and len(value) <= _FEW:
        # Most metadata are a few strings and numbers.
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
    """Check one batch and bring it into columns; texts without a vector are embedded.

    Raises
    ------
    InvalidId, DuplicateId, InvalidVector, DimensionMismatch, InvalidMetadata, EmbedderRequired
    """
    ids = [check_id(record.id) for record in batch]
    if len(set(ids)) < len(ids):
        twice = next(id_ for number, id_ in enumerate(ids) if id_ in ids[:number])
        raise DuplicateId(f"The id {twice!a} stands twice in one batch.")
    names = [f"Record {id_!a}" for id_ in ids]
    texts = [metadata.check_text(record.text, name) for record, name in zip(batch, names, strict=True)]
    columns: dict[str, list[Stored | None]] = {name: [None] * len(batch) for name in schema.fields}
    extras = []
    for number, (record, name) in enumerate(zip(batch, names, strict=True)):
        declared, extra = metadata.split(record.metadata, schema.fields, name)
        for key, value in declared.items():
            columns[key][number] = value
        extras.append(metadata.dump(extra, name))
    vectors = [record.vector for record in batch]
    return Rows(ids, _matrix(vectors, texts, names, schema, embed), texts, columns, extras)


def _matrix(
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
