"""The digest of records: 64 hex digits that are the same for the same records, wherever and in whatever order they are.

It is the sum, modulo 2²⁵⁶, of one BLAKE2b-256 for each record, read as a number whose first byte counts most. What is
hashed are six parts in this order: id, dtype, vector (little-endian), text, metadata, version (8 bytes, little-endian).
Each part is a byte, 1 or 0 where the part is absent, its length as 8 bytes (little-endian), and its bytes. Metadata are
one JSON object, whether declared or not: keys by code points on every level, no spaces, UTF-8 without escapes that JSON
does not require, integers as digits, floats as Python's ``repr``, declared dates as text in UTC with microseconds. An
empty store has the digest 0.

A digest detects accidents. It is no signature: who may choose records can find others of the same digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from struct import Struct
from typing import Any

import numpy as np

from .backend import EVERYTHING, Backend, Generation, Include, Rows
from .fields import DateTime, Field, Stored
from .filters.nodes import Filter
from .pages import read_pages
from .rebuild.metadata_conversion import convert_metadata
from .rows.metadata import NO_EXTRA, join, split_columns
from .rows.record_names import RecordNames
from .schema import Schema

_WITHOUT_VECTORS: Include = frozenset({"text", "metadata"})
_DIGITS = 64
MODULUS = 1 << 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_make_head = Struct("<BQ").pack
_make_version = Struct("<BQQ").pack
_ABSENT = _make_head(0, 0)
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False).encode


class Digest:
    """The digest of the records that were added, in pages of any size and order.

    Parameters
    ----------
    schema : Schema
        That of the rows.
    vectors : bool
        Whether vectors count. Without them, vector and dtype are absent in each record.

    Attributes
    ----------
    records : int
        How many were added.
    """

    def __init__(self, schema: Schema, *, vectors: bool = True) -> None:
        self.records = 0
        self._sum = 0
        self._schema = schema
        self._has_vectors = vectors
        self._dtype = _make_part(schema.dtype.encode()) if vectors else _ABSENT

    def __str__(self) -> str:
        return f"{self._sum % MODULUS:0{_DIGITS}x}"

    def add(self, rows: Rows) -> None:
        """Add rows, which have all columns; vectors are needed only where they count."""
        self.add_numbers(self.list_numbers(rows))

    def add_numbers(self, numbers: Sequence[int]) -> None:
        """Add records by their numbers, see `list_numbers`."""
        self._sum += sum(numbers)
        self.records += len(numbers)

    def list_numbers(self, rows: Rows) -> list[int]:
        """Return the number of each row, of which the digest is the sum; see `add`."""
        if rows.texts is None or rows.versions is None:
            raise TypeError("a digest needs texts and versions")
        vectors = self._list_vectors(rows)
        numbers = []
        for id_, vector, text, values, version in zip(
            rows.ids, vectors, rows.texts, self._list_metadata(rows), rows.versions, strict=True
        ):
            content = b"".join(
                (
                    _make_part(id_.encode()),
                    self._dtype,
                    *vector,
                    _ABSENT if text is None else _make_part(text.encode()),
                    _make_part(values.encode("utf-8", "surrogatepass")),
                    _make_version(1, 8, version),
                )
            )
            numbers.append(int.from_bytes(blake2b(content, digest_size=32).digest()))
        return numbers

    def _list_vectors(self, rows: Rows) -> Sequence[tuple[Any, ...]]:
        """Return the bytes of each vector behind its head."""
        if not self._has_vectors:
            return [(_ABSENT,)] * len(rows)
        if rows.vectors is None:
            raise TypeError("a digest needs vectors")
        matrix: Any = np.ascontiguousarray(rows.vectors, np.dtype(self._schema.dtype).newbyteorder("<"))
        width = self._schema.width * matrix.itemsize
        head, whole = _make_head(1, width), memoryview(matrix.reshape(-1)).cast("B")
        found: list[tuple[Any, ...]] = [
            (head, whole[start : start + width]) for start in range(0, len(rows) * width, width)
        ]
        if rows.present is not None:
            for row in np.flatnonzero(~rows.present):
                found[row] = (_ABSENT,)
        return found

    def _list_metadata(self, rows: Rows) -> Iterator[str]:
        """Return the metadata of each record as JSON, all keys in one object."""
        if rows.fields is None or rows.extras is None:
            raise TypeError("a digest needs metadata")
        fields = self._schema.fields
        columns = [_show_values(rows.fields[name], field) for name, field in fields.items()]
        declared: Iterable[tuple[Any, ...]] = zip(*columns, strict=True) if columns else [()] * len(rows)
        for extra, stored in zip(rows.extras, declared, strict=True):
            values = {name: value for name, value in zip(fields, stored, strict=True) if value is not None}
            if extra != NO_EXTRA:
                values |= json.loads(extra)
            yield _encode(values)


def digest_generation(
    backend: Backend,
    generation: Generation,
    where: Filter | None = None,
    *,
    target: Schema | None = None,
    vectors: bool = True,
    report: Callable[[int], None] | None = None,
) -> Digest:
    """Return the digest of the matching records of a generation, read page by page in constant memory.

    Parameters
    ----------
    backend : Backend
    generation : Generation
    where : Filter, optional
        Bound to the generation's schema.
    target : Schema, optional
        Convert the records to another schema first, as a copy into a generation with that schema does.
    vectors : bool
        False leaves vectors out, where those of a copy are made anew.
    report : callable, optional
        Called with the number of records after each page.

    Raises
    ------
    Superseded
    InvalidMetadata
        A value does not fit the target.
    """
    source = generation.schema
    found = Digest(target or source, vectors=vectors)
    for rows in read_pages(backend, generation, where, EVERYTHING if vectors else _WITHOUT_VECTORS):
        found.add(convert_rows(rows, source, target) if target else rows)
        if report:
            report(found.records)
    return found


def convert_rows(rows: Rows, source: Schema, target: Schema) -> Rows:
    """Return rows of one schema as a copy with another schema has them; vectors only where there are some.

    Raises
    ------
    InvalidMetadata
    """
    if rows.fields is None or rows.extras is None:
        raise TypeError("a conversion needs metadata")
    found = [
        convert_metadata(values, target, id_)
        for id_, values in zip(rows.ids, join(rows.fields, rows.extras, source.fields), strict=True)
    ]
    names = RecordNames(len(rows), lambda row: f"Record {rows.ids[row]!a}")
    fields, extras = split_columns(found, target.fields, names)
    with np.errstate(over="ignore"):  # what is too large for float16 is refused where it is written
        vectors = None if rows.vectors is None else rows.vectors.astype(target.dtype)
    return replace(rows, vectors=vectors, fields=fields, extras=extras)


def _make_part(content: bytes) -> bytes:
    return _make_head(1, len(content)) + content


def _show_values(values: Sequence[Stored | None], field: Field) -> Sequence[Any]:
    if not isinstance(field, DateTime):
        return values  # a tuple is an array in JSON, as a list is
    return [None if value is None else _show_moment(value) for value in values]


def _show_moment(stored: Stored) -> str:
    if not isinstance(stored, int):
        raise TypeError("a stored date is an int")
    return (_EPOCH + timedelta(microseconds=stored)).isoformat(timespec="microseconds")
