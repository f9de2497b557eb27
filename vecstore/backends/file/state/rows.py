"""How a record is written into ``rows.db``: columns and checksums.

A row is never changed: every change of a record removes its row and adds another one under a new ``rid``.
Declared fields are in columns ``f0``, ``f1``, … in the order of their names, so that no name of a user
becomes part of a statement. There are no secondary indexes: nothing would show what they lack.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Include, Rows
from vecstore.errors import StoreCorrupt, Unsupported
from vecstore.fields import Stored
from vecstore.schema import Schema

from ..storage.checksums import checksum_body, checksum_encoded_body, checksum_row
from ..storage.connections import FORMAT, NEWEST
from .fields import FIELDS, FieldForm

MAX_FIELDS = 1_900
"""A table of SQLite has at most 2,000 columns."""
_CHUNK = 256

Values = tuple[Any, ...]

_SELECT_EXTRAS = (
    "SELECT rid, body_crc, CAST(extra AS BLOB), CAST(text AS BLOB) FROM rows WHERE rid BETWEEN ? AND ? ORDER BY rid"
)


class Vanished(Exception):
    """A row of the snapshot was removed by a later commit, or damage hides it."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredColumns:
    """Consecutive records by column, as ``rows.db`` takes them.

    Attributes
    ----------
    ids, versions, extras, texts : sequence
    fields : list of sequence
        The columns ``f0``, ``f1``, ….
    """

    ids: Sequence[str]
    versions: Sequence[int]
    fields: Sequence[Sequence[Any]]
    extras: Sequence[str]
    texts: Sequence[str | None]


class RowFormat:
    """How the rows of one generation are stored.

    A row is ``(rid, id, version, body_crc, vector_crc, f0, …, head_crc, extra, text)``; its head ends
    with ``head_crc``, which covers everything before it and so, through the other two, the whole record. Without a
    vector, ``vector_crc`` is NULL, and neither the memtable nor a segment has the rid.
    """

    def __init__(self, schema: Schema) -> None:
        self.names = sorted(schema.fields)
        self.version = NEWEST if schema.has_optional_vectors else FORMAT
        if len(self.names) > MAX_FIELDS:
            raise Unsupported(f"{len(self.names):,} fields", "file", f"At most {MAX_FIELDS:,}.")
        self._forms = [FIELDS[schema.fields[name].kind] for name in self.names]
        self.columns = [f"f{number}" for number in range(len(self.names))]
        head = ", ".join(["rid", "id", "version", "body_crc", "vector_crc", *self.columns, "head_crc"])
        self.head_size = 6 + len(self.columns)
        marks = ", ".join("?" * (self.head_size + 2))
        # All names in these statements come from this file.
        self.insert = f"INSERT INTO rows({head}, extra, text) VALUES ({marks})"  # noqa: S608
        self.select_heads = f"SELECT {head} FROM rows WHERE rid > ? ORDER BY rid"  # noqa: S608
        self._select_some = f"SELECT {head} FROM rows WHERE rid IN "  # noqa: S608
        self._select_whole = f"SELECT {head}, extra, text FROM rows WHERE rid IN "  # noqa: S608

    def encode_fields(self, fields: Mapping[str, Sequence[Stored | None]], count: int) -> list[Sequence[Any]]:
        """Return the columns ``f0``, ``f1``, … of ``count`` records."""
        return [
            _encode_column(fields.get(name) or [None] * count, form)
            for name, form in zip(self.names, self._forms, strict=True)
        ]

    def encode_update(self, fields: Mapping[str, Stored | None]) -> dict[int, Any]:
        """Return the places and values in a row that an update of fields sets."""
        return {
            5 + place: _encode_value(fields[name], self._forms[place])
            for place, name in enumerate(self.names)
            if name in fields
        }

    def assemble(
        self,
        rows: Sequence[Values],
        include: Include,
        vectors: NDArray[Any] | None,
        present: NDArray[np.bool_] | None = None,
    ) -> Rows:
        """Return rows as the columns that are asked for, with declared fields in stored form."""
        size, fields = self.head_size, None
        if "metadata" in include:
            fields = {
                name: _decode_column([row[5 + place] for row in rows], self._forms[place])
                for place, name in enumerate(self.names)
            }
        return Rows(
            ids=[row[1] for row in rows],
            vectors=vectors,
            texts=[row[size + 1] for row in rows] if "text" in include else None,
            fields=fields,
            extras=None if fields is None else [row[size] for row in rows],
            versions=[row[2] for row in rows],
            present=present,
        )

    def fetch(
        self, connection: sqlite3.Connection, rids: Sequence[int], path: Path, *, whole: bool
    ) -> dict[int, Values]:
        """Return the rows that exist, by rid, with ``extra`` and ``text`` if whole rows are asked for.

        Raises
        ------
        StoreCorrupt
        """
        found: dict[int, Values] = {}
        statement = self._select_whole if whole else self._select_some
        for start in range(0, len(rids), _CHUNK):
            some = list(rids[start : start + _CHUNK])
            # Sizes are powers of two, so SQLite compiles only a few different statements.
            some += [some[-1]] * ((1 << (len(some) - 1).bit_length()) - len(some))
            rows = connection.execute(f"{statement}({', '.join('?' * len(some))})", some).fetchall()
            self._check(rows, path, whole=whole)
            for row in rows:
                found[row[0]] = row
        return found

    def _check(self, rows: Sequence[Values], path: Path, *, whole: bool) -> None:
        last = self.head_size - 1
        for row in rows:
            good = checksum_row(row[:last]) == row[last]
            if good and whole:
                extra, text = row[-2:]
                good = (
                    isinstance(extra, str)
                    and (text is None or isinstance(text, str))
                    and checksum_body(row[0], extra, text) == row[3]
                )
            if not good:
                raise StoreCorrupt(f"{path}: row {row[0]!a:.40} is damaged. Restore the directory from a backup.")


def read_extras(connection: sqlite3.Connection, first: int, last: int, path: Path) -> dict[int, bytes]:
    """Return the undeclared metadata of the rows from one rid to another that exist, as JSON in UTF-8, checked.

    Raises
    ------
    StoreCorrupt
    """
    found: dict[int, bytes] = {}
    for rid, crc, extra, text in connection.execute(_SELECT_EXTRAS, (first, last)):
        if not isinstance(extra, bytes) or checksum_encoded_body(rid, extra, text) != crc:
            raise StoreCorrupt(f"{path}: row {rid!a:.40} is damaged. Restore the directory from a backup.")
        found[rid] = extra
    return found


def _encode_value(value: Stored | None, form: FieldForm) -> Any:
    return value if value is None or form.encode is None else form.encode(value)


def _encode_column(column: Sequence[Stored | None], form: FieldForm) -> Sequence[Any]:
    return column if form.encode is None else [_encode_value(value, form) for value in column]


def _decode_column(column: list[Any], form: FieldForm) -> list[Stored | None]:
    decode = form.decode
    return column if decode is None else [None if value is None else decode(value) for value in column]
