"""Conversion of a batch of records to the columns that a backend stores, and back: checked, embedded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any, NoReturn, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..backend import EVERYTHING, Include, Rows
from ..blank_texts import is_blank
from ..errors import EmbedderRequired, InvalidArgument, InvalidVector
from ..ids import MAX_ID_BYTES, check_id
from ..records import Record
from ..schema import Schema
from . import metadata
from .record_names import RecordNames
from .strings import are_storable
from .texts import check_texts
from .twins import keep_last, refuse_twins
from .vectors import as_matrix

_Column = TypeVar("_Column")


class Embed(Protocol):
    """Embeds texts or items. ``label`` returns what an error message calls the one at a position."""

    def __call__(self, items: Sequence[Any], /, *, label: Callable[[int], str] | None = None) -> NDArray[np.float32]:
        """Return one row for each item."""


class ItemsOnly:
    """Embeds the items of an embedder for which the text of a record is no item, though it may take a str: a code.

    Parameters
    ----------
    embed : callable
    modality : str
        What its items are.
    """

    def __init__(self, embed: Embed, modality: str) -> None:
        self._embed = embed
        self._modality = modality

    def __call__(self, items: Sequence[Any], /, *, label: Callable[[int], str] | None = None) -> NDArray[np.float32]:
        """Return one row for each item."""
        return self._embed(items, label=label)

    def refuse_text(self, name: str) -> NoReturn:
        """Refuse to make the vector of a record from its text.

        Raises
        ------
        InvalidArgument
        """
        raise InvalidArgument(
            f"{name} has a text and no item, and the store's embedder makes vectors of {self._modality} items alone. "
            "Give item=… or a vector; where vectors are optional, embed=False leaves it without one."
        )


def as_rows(
    batch: Sequence[Record],
    schema: Schema,
    embed: Embed | None,
    *,
    unique: bool = False,
    first: int | None = None,
) -> Rows:
    """Check one batch and convert it to columns; items, and texts, without a vector are embedded.

    Where the schema does not require vectors, a record has none if it has no item and no text or a blank one, if it
    says ``embed=False``, or without ``embed``.

    Parameters
    ----------
    batch : sequence of Record
    schema : Schema
    embed : callable, optional
    unique : bool
        Refuse an id that appears twice. Otherwise the last of its records is kept. The others are checked and
        embedded all the same, so that the outcome does not depend on where batches are cut.
    first : int, optional
        The position of the first record in the user's iterable, for error messages about ids.

    Raises
    ------
    InvalidId, DuplicateId, InvalidVector, DimensionMismatch, InvalidMetadata, EmbedderRequired
    """
    ids = _check_ids(batch, first)
    has_twins = len(set(ids)) < len(ids)
    if unique and has_twins:
        refuse_twins(ids)
    names = RecordNames(len(ids), lambda row: f"Record {ids[row]!a}")
    texts = check_texts([record.text for record in batch], names)
    columns, extras = metadata.split_columns([record.metadata for record in batch], schema.fields, names)
    matrix, present = _make_matrix(batch, texts, names, schema, embed)
    rows = Rows(ids, matrix, texts, columns, extras, present=present)
    return keep_last(rows) if has_twins else rows


def as_records(rows: Rows, schema: Schema, include: Include = EVERYTHING) -> list[Record]:
    """Return rows, which have the columns in ``include``, as records with these parts."""
    vectors: Iterable[Any] = repeat(None)
    texts: Iterable[str | None] = repeat(None)
    values: Iterable[dict[str, Any]] = ({} for _ in rows.ids)
    if "vector" in include:
        vectors = _get_column(rows.vectors)
    if "text" in include:
        texts = _get_column(rows.texts)
    if "metadata" in include:
        values = metadata.join(_get_column(rows.fields), _get_column(rows.extras), schema.fields)
    records = [Record(*record) for record in zip(rows.ids, vectors, texts, values, strict=False)]
    if "vector" in include and rows.present is not None:
        for row in np.flatnonzero(~rows.present):
            records[row] = replace(records[row], vector=None, embed=False)
    return records


def _get_column(column: _Column | None) -> _Column:
    if column is None:
        raise TypeError("a record needs every column that was asked for")
    return column


def _check_ids(batch: Sequence[Record], first: int | None) -> list[str]:
    given = [record.id for record in batch]
    if are_storable(given, 1, MAX_ID_BYTES):
        return given
    owners = [""] * len(given) if first is None else [f"records[{first + row}]" for row in range(len(given))]
    return [check_id(id_, owner) for id_, owner in zip(given, owners, strict=True)]


def needs_embedding(record: Record) -> bool:
    """Say whether a record has an item or a text that is to be embedded."""
    if record.vector is not None or not record.embed:
        return False
    return has_text(record.text if record.item is None else record.item)


def has_text(text: object) -> bool:
    """Say whether there is a text of which a vector can be made: it is not blank."""
    return text is not None and not (isinstance(text, str) and is_blank(text))


def _make_matrix(
    batch: Sequence[Record],
    texts: Sequence[str | None],
    names: Sequence[str],
    schema: Schema,
    embed: Embed | None,
) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
    """Return the vectors of a batch, zeros for records without one, and which records have one; None if all do."""
    vectors = [record.vector for record in batch]
    for number, record in enumerate(batch):
        if record.item is not None and record.vector is not None:
            raise InvalidVector(f"{names[number]} has both a vector and an item to make one of. Leave one out.")
    bare = [number for number, vector in enumerate(vectors) if vector is None]
    for number in bare:
        if not isinstance(batch[number].embed, bool):
            raise InvalidVector(f"{names[number]}: embed must be True or False.")
    if bare and not schema.has_optional_vectors:
        _check_embeddable(batch, bare, names, embed)
    embedded = [number for number in bare if embed and needs_embedding(batch[number])]
    if isinstance(embed, ItemsOnly):
        for number in embedded:
            if batch[number].item is None:
                embed.refuse_text(names[number])
    if embed and embedded:
        items = [texts[number] if batch[number].item is None else batch[number].item for number in embedded]
        made = embed(items, label=lambda row: names[embedded[row]])
        unknown = find_unknown(made, [names[number] for number in embedded], schema)
        for place, (number, vector) in enumerate(zip(embedded, made, strict=True)):
            vectors[number] = None if place in unknown else vector
        embedded = [number for place, number in enumerate(embedded) if place not in unknown]
    if len(embedded) == len(bare):
        return as_matrix([vector for vector in vectors if vector is not None], schema, names), None
    present = np.array([vector is not None for vector in vectors], np.bool_)
    matrix = np.zeros((len(vectors), schema.width), schema.dtype)
    named = [name for name, has_vector in zip(names, present, strict=True) if has_vector]
    matrix[present] = as_matrix([vector for vector in vectors if vector is not None], schema, named)
    return matrix, present


def find_unknown(made: NDArray[np.float32], names: Sequence[str], schema: Schema) -> frozenset[int]:
    """Return which rows an embedder that skips left as NaN, because it knows nothing of the item.

    Raises
    ------
    InvalidVector
        The schema requires vectors.
    """
    unknown = np.flatnonzero(np.isnan(np.asarray(made)[:, 0]))
    if unknown.size and not schema.has_optional_vectors:
        raise InvalidVector(
            f"{names[int(unknown[0])]} contains nothing that the embedder knows. Leave it out, give a vector, or "
            "make the store with Schema(vectors='optional')."
        )
    return frozenset(unknown.tolist())


def _check_embeddable(batch: Sequence[Record], bare: Sequence[int], names: Sequence[str], embed: Embed | None) -> None:
    """Refuse records without a vector of which none can be made, in a store that requires vectors."""
    for number in bare:
        if not needs_embedding(batch[number]):
            lacks = "has neither a vector nor a text to embed. Give one of them"
            if batch[number].text is not None or batch[number].item is not None:
                lacks = "has no vector and says embed=False. Give a vector"
                if batch[number].embed:
                    lacks = "has a blank text and no vector. Give a text with words, or a vector"
            raise InvalidVector(f"{names[number]} {lacks}, or make the store with Schema(vectors='optional').")
    if embed is None:
        has = "a text" if batch[bare[0]].item is None else "an item"
        raise EmbedderRequired(
            f"{names[bare[0]]} has {has} but no vector, and the store has no embedder. Open the store with "
            "embedder=…, or give vectors, or make the store with Schema(vectors='optional')."
        )
