"""Records as the rows of a binary ``COPY``, which takes half the time of an INSERT: rows go into the table by the page.

The layouts are those of each type's ``recv`` function in PostgreSQL and pgvector.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

import numpy as np

from vecstore.backend import Rows
from vecstore.filters.canonical_json import make_canonical

from . import generation_guard
from .catalogue_tables import CatalogueTables
from .column_types import pack_elements, quote_table, split_elements
from .fields import FIELDS, Pack, pack_texts
from .generation_table import Layout, name_column
from .statements import Statement, compile_statement

FEWEST = 100
"""Below this many records, the transaction around a COPY costs more than it saves."""
_PART = 500
"""Records per part."""
_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_IN_ORDER = " WHERE pg_catalog.random() >= 0"
"""True of every row. The server stores each row before the next one where a condition may change while it copies.
Otherwise it gathers rows and stores those of one partition after those of another, and two writers of the same new ids
wait for each other. Citus knows no conditions here."""
_COUNT = struct.Struct(">h")
_INTEGER = struct.Struct(">iq")
_VERSION = struct.Struct(">iB")


@lru_cache(maxsize=64)
def compile_opening(catalogue: CatalogueTables, *, standby: bool) -> Statement:
    """Run the guard of a write; the answer is whether changes are noted, or nothing."""
    if standby:
        return compile_statement(generation_guard.guard_standby_write(catalogue))
    return compile_statement(generation_guard.guard_active_write(catalogue), settings=generation_guard.SETTINGS)


@lru_cache(maxsize=256)
def make_target(layout: Layout) -> bytes:
    """Return the COPY statement that `pack_rows` is for."""
    values = ["extra_values"] if layout.schema.dynamic else []
    names = ("version", "id", "embedding", "body", "extra", *values, *map(name_column, layout.schema.fields))
    where = _IN_ORDER if layout.partitions > 1 and not layout.has_citus else ""
    return f"COPY {quote_table(layout.table)} ({', '.join(names)}) FROM STDIN (FORMAT BINARY){where}".encode()


def pack_rows(rows: Rows, layout: Layout, fence: Sequence[int] | None = None) -> Iterator[bytes]:
    """Pack records, a part while the server reads the one before; their versions are their fences, or 0.

    They come in the order of ids, which keeps two writers from waiting for each other.
    """
    if rows.vectors is None or rows.texts is None or rows.fields is None or rows.extras is None:
        raise TypeError("a write needs every column")
    schema = layout.schema
    count = _COUNT.pack(5 + schema.dynamic + len(schema.fields))
    unfenced = count + _INTEGER.pack(8, 0)
    ordered = sorted(range(len(rows)), key=rows.ids.__getitem__)
    columns: list[tuple[Pack, Sequence[Any]]] = [
        (pack_texts, rows.ids),
        (pack_texts, rows.texts),
        (pack_texts, rows.extras),
    ]
    if schema.dynamic:
        columns.append((pack_values, rows.extras))
    columns += [(FIELDS[field.kind].pack, rows.fields[name]) for name, field in schema.fields.items()]
    yield _BEGIN
    for start in range(0, len(ordered), _PART):
        part = ordered[start : start + _PART]
        ids, *wide = [pack([values[number] for number in part]) for pack, values in columns]
        present = np.ones(len(part), np.bool_) if rows.present is None else rows.present[part]
        vectors = split_elements(pack_elements(rows.vectors[part], layout.vector_type).tobytes(), present)
        first = repeat(unfenced) if fence is None else [count + _INTEGER.pack(8, fence[number]) for number in part]
        yield b"".join(chain.from_iterable(zip(first, ids, vectors, *wide)))  # noqa: B905 - the first may repeat
    yield _END


def pack_values(extras: Sequence[str]) -> list[bytes]:
    """Return the canonical values of undeclared metadata as ``jsonb_recv`` takes them, each with its length before."""
    return [_VERSION.pack(len(data := make_canonical(each).encode()) + 1, 1) + data for each in extras]
