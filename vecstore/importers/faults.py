"""Which rows of some columns no store takes, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..columns.given import Columns
from ..errors import InvalidArgument, InvalidId
from ..ids import MAX_ID_BYTES
from ..incoming import convert, cut
from ..rows.strings import find_fault
from ..schema import Schema
from .source_rows import take_rows


def find_faults(columns: Columns, schema: Schema) -> Iterator[tuple[int, str]]:
    """Yield each row that cannot be stored, with the reason. A row without a vector is none of them.

    Halves are checked until a faulty one has a single row: many sound rows cost little more than one check.
    """
    if len(columns):
        yield from _search(columns, replace(schema, vectors="optional"), range(len(columns)))


def _search(columns: Columns, schema: Schema, places: range) -> Iterator[tuple[int, str]]:
    part = take_rows(columns, places)
    try:
        for batch in cut(part, len(places), schema):
            convert(batch, schema, None, unique=False, first=0)
    except InvalidArgument as error:
        if len(places) > 1:
            middle = len(places) // 2
            yield from _search(columns, schema, places[:middle])
            yield from _search(columns, schema, places[middle:])
        else:
            yield places[0], _shorten(error, part.ids[0])


def _shorten(error: InvalidArgument, id_: object) -> str:
    """Return a reason without the record's name, so that the reasons of many records are the same."""
    if id_ is None:
        return "it has no id"
    if isinstance(error, InvalidId):
        return f"the id {find_fault(id_, 1, MAX_ID_BYTES)}"
    text = str(error).removeprefix(f"Row 0, record {id_!a}").removeprefix("Row 0").removeprefix(":")
    return text.strip()
