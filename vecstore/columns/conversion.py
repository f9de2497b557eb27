"""Conversion of a batch of columns to the rows that a backend stores: checked by column, embedded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import Rows
from ..errors import DimensionMismatch, EmbedderRequired, InvalidId, InvalidMetadata, InvalidVector
from ..fields import DateTime, Field, Stored
from ..ids import MAX_ID_BYTES, check_id
from ..rows import metadata
from ..rows.conversion import Embed, ItemsOnly, find_unknown, has_text
from ..rows.record_names import RecordNames
from ..rows.strings import are_storable
from ..rows.texts import check_texts
from ..rows.twins import keep_last, refuse_twins
from ..rows.vector_faults import describe_dtype, describe_shape
from ..rows.vectors import as_matrix, check_values
from ..schema import Schema
from .batch import ColumnBatch, ListedVectors, PackedVectors
from .fields import encode_field, encode_rest, merge_rest

_NESTED = "metadata"
"""The column that holds several keys, and a field of that name too."""


def convert_batch(batch: ColumnBatch, schema: Schema, embed: Embed | None, *, unique: bool = False) -> Rows:
    """Check one batch and convert it to the columns that a backend stores; texts without a vector are embedded.

    Where the schema does not require vectors, a row has none if it has no text or a blank one, or without ``embed``.

    Parameters
    ----------
    batch : ColumnBatch
    schema : Schema
    embed : callable, optional
    unique : bool
        Refuse an id that appears twice; otherwise its last row is kept.

    Raises
    ------
    InvalidId, DuplicateId, InvalidVector, DimensionMismatch, InvalidMetadata, EmbedderRequired
    """
    ids = _check_ids(batch)
    has_twins = len(set(ids)) < len(ids)
    if unique and has_twins:
        refuse_twins(ids)
    names = RecordNames(len(ids), lambda row: f"Row {batch.first + row}, record {ids[row]!a}")
    texts = [None] * len(ids) if batch.texts is None else check_texts(batch.texts, names)
    fields, extras = _split_metadata(batch, schema.fields, names)
    matrix, present = _make_matrix(batch, texts, names, schema, embed)
    rows = Rows(ids, matrix, texts, fields, extras, present=present)
    return keep_last(rows) if has_twins else rows


def _check_ids(batch: ColumnBatch) -> list[str]:
    if are_storable(batch.ids, 1, MAX_ID_BYTES):
        return batch.ids
    found = []
    for row, id_ in enumerate(batch.ids, batch.first):
        if isinstance(id_, int | float | np.number):
            raise InvalidId(
                f"Row {row}: the id must be a str, not {type(id_).__name__}. Make the column text, such as "
                "frame['id'].astype(str) in pandas, or column.cast('string') in pyarrow."
            )
        found.append(check_id(id_, f"Row {row}"))
    return found


def _split_metadata(
    batch: ColumnBatch, declared: Mapping[str, Field], names: Sequence[str]
) -> tuple[dict[str, Sequence[Stored | None]], list[str]]:
    """Return the declared fields by column, and the undeclared keys of each row as JSON text."""
    found: dict[str, Sequence[Stored | None]] = {}
    for name, field in declared.items():
        column = batch.metadata.get(name)
        found[name] = [None] * len(batch) if column is None else encode_field(name, column, field, names)
    extras = encode_rest({name: column for name, column in batch.metadata.items() if name not in declared}, names)
    if batch.nested is None:
        return found, extras
    for row, values in enumerate(batch.nested):
        if twice := batch.metadata.keys() & values.keys():
            raise InvalidMetadata(
                f"{names[row]}: {min(twice)[:60]!a} is given twice, as a column and within 'metadata'. Leave one out."
            )
    nested = _read_dates(batch.nested, declared.get(_NESTED), names)
    inner, more = metadata.split_columns(nested, declared, names)
    for name in declared:
        if name not in batch.metadata:
            found[name] = inner[name]
    return found, merge_rest(extras, more, names)


def _read_dates(
    nested: Sequence[dict[str, Any]], field: Field | None, names: Sequence[str]
) -> Sequence[dict[str, Any]]:
    """Return objects of JSON with a date where a field has their column's name, which JSON can hold as text only."""
    if not isinstance(field, DateTime):
        return nested
    found = list(nested)
    for row, values in enumerate(nested):
        if isinstance(value := values.get(_NESTED), str):
            try:
                found[row] = {**values, _NESTED: field.decode(field.operand(value))}
            except ValueError as error:
                raise InvalidMetadata(f"{names[row]}: metadata {_NESTED!a} {error}.") from error
    return found


def _make_matrix(
    batch: ColumnBatch, texts: Sequence[str | None], names: Sequence[str], schema: Schema, embed: Embed | None
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the vectors of a batch, zeros for rows without one, and which rows have one; None if all do."""
    bare = batch.bare
    if bare and not schema.has_optional_vectors:
        _check_embeddable(texts, bare, names, embed)
    given = _read_vectors(batch.vectors, schema, names) if len(bare) < len(batch) else None
    if not bare and given is not None:
        return given, None
    present = np.ones(len(batch), np.bool_)
    present[list(bare)] = False
    whole = np.zeros((len(batch), schema.width), schema.dtype)
    if given is not None:
        whole[present] = given
    embedded = [row for row in bare if has_text(texts[row])]
    if isinstance(embed, ItemsOnly) and embedded:
        embed.refuse_text(names[embedded[0]])
    if embed and embedded:
        made: Any = embed([texts[row] for row in embedded], label=lambda place: names[embedded[place]])
        unknown = find_unknown(made, [names[row] for row in embedded], schema)
        if unknown:
            kept = [place for place in range(len(embedded)) if place not in unknown]
            embedded, made = [embedded[place] for place in kept], made[kept]
        whole[embedded] = as_matrix(made, schema, [names[row] for row in embedded])
        present[embedded] = True
    return whole, None if present.all() else present


def _check_embeddable(
    texts: Sequence[str | None], bare: Sequence[int], names: Sequence[str], embed: Embed | None
) -> None:
    """Refuse rows without a vector of which none can be made, in a store that requires vectors."""
    for row in bare:
        if not has_text(texts[row]):
            lacks = "neither a vector nor a text to embed" if texts[row] is None else "a blank text and no vector"
            raise InvalidVector(
                f"{names[row]} has {lacks}. Give one of them, or make the store with Schema(vectors='optional')."
            )
    if embed is None:
        raise EmbedderRequired(
            f"{names[bare[0]]} has a text but no vector, and the store has no embedder. Open the store with "
            "embedder=…, or give vectors, or make the store with Schema(vectors='optional')."
        )


def _read_vectors(
    vectors: PackedVectors | ListedVectors | None, schema: Schema, names: Sequence[str]
) -> NDArray[Any] | None:
    """Return the vectors that are present as one matrix in the schema's dtype, checked."""
    if vectors is None:
        return None
    if isinstance(vectors, ListedVectors):
        rows = [row for row, vector in enumerate(vectors.vectors) if vector is not None]
        return as_matrix([vectors.vectors[row] for row in rows], schema, [names[row] for row in rows])  # type: ignore[misc]
    present = None if vectors.present is None else np.flatnonzero(vectors.present)
    owners = names if present is None else [names[row] for row in present.tolist()]
    _check_lengths(vectors, present, schema.width, owners)
    if vectors.gap is not None:
        row, position = divmod(vectors.gap, schema.width)
        raise InvalidVector(f"{owners[row]}: the vector has null at position {position}. Give {schema.width} numbers.")
    return _convert_numbers(vectors.numbers.reshape(-1, schema.width), schema, owners)


def _check_lengths(vectors: PackedVectors, present: NDArray[np.intp] | None, width: int, owners: Sequence[str]) -> None:
    if vectors.numbers.dtype.kind not in "iuf":
        raise InvalidVector(f"{owners[0]}: {describe_dtype(None, vectors.numbers, width)}")
    if isinstance(vectors.lengths, int):
        row, length = 0, vectors.lengths
    else:
        lengths = vectors.lengths if present is None else vectors.lengths[present]
        row = int(np.argmax(lengths != width))
        length = int(lengths[row])
    if length != width:
        raise DimensionMismatch(f"{owners[row]}: {describe_shape(np.empty(length), width)}")


def _convert_numbers(matrix: NDArray[Any], schema: Schema, owners: Sequence[str]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(matrix, schema.dtype)
    check_values(converted, schema, owners)
    return converted
