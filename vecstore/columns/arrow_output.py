"""Records and hits as Arrow columns."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..backend import Include, Rows
from ..errors import SchemaMismatch
from ..fields import Bool, DateTime, Field, Float, Int, Keyword, Keywords
from ..rows.metadata import NO_EXTRA
from ..schema import Schema
from .arrow_input import import_pyarrow

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import RecordBatchReader as RecordBatchReader
    from pyarrow import Table as Table

    from ..hits import Hit

REST = "metadata"
"""The column of keys that are not declared: a JSON object in each row, null where there are none."""
_OF_RECORDS = frozenset({REST})
_OF_HITS = frozenset({REST, "score", "distance"})
"""Names that are taken: a declared field of that name is in the JSON object."""


def make_reader(schema: Schema, include: Include, pages: Iterator[tuple[Rows, Schema]]) -> RecordBatchReader:
    """Return a stream of record batches, one for each page.

    Raises
    ------
    MissingExtra
    """
    pa = import_pyarrow()
    layout = _make_layout(schema, include, {}, _OF_RECORDS)

    def read() -> Iterator[Any]:
        for rows, present in pages:
            if differences := schema.differences(present):
                raise SchemaMismatch(
                    f"The store changed while it was read: {'; '.join(differences)}. Call scan_arrow() again."
                )
            yield pa.record_batch(_encode_rows(rows, schema, include), schema=layout)

    return pa.RecordBatchReader.from_batches(layout, read())


def make_table(hits: Sequence[Hit], schema: Schema, include: Include) -> Table:
    """Return hits as a table.

    Raises
    ------
    MissingExtra
    """
    pa = import_pyarrow()
    layout = _make_layout(schema, include, {"score": pa.float64(), "distance": pa.float64()}, _OF_HITS)
    arrays: list[Any] = [[getattr(hit, name) for hit in hits] for name in ("id", "score", "distance")]
    if "vector" in include:
        vectors = [hit.vector for hit in hits]
        nothing = np.zeros(schema.width, schema.dtype)
        matrix = np.array([nothing if each is None else each for each in vectors], schema.dtype)
        arrays.append(encode_vectors(matrix, np.array([each is not None for each in vectors], np.bool_), schema))
    if "text" in include:
        arrays.append([hit.text for hit in hits])
    if "metadata" in include:
        values = [hit.metadata or {} for hit in hits]
        columns = _list_columns(schema, _OF_HITS)
        for name, field in columns.items():
            found = [each.get(name) for each in values]
            # A date may be text, according to the field.
            is_date = isinstance(field, DateTime)
            arrays.append([None if one is None else field.encode(one) for one in found] if is_date else found)
        arrays.append([_dump({key: value for key, value in each.items() if key not in columns}) for each in values])
    return pa.table([pa.array(each, field.type) for each, field in zip(arrays, layout, strict=True)], schema=layout)


def _make_layout(schema: Schema, include: Include, more: Mapping[str, Any], taken: Collection[str]) -> pa.Schema:
    pa = import_pyarrow()
    columns: dict[str, Any] = {"id": pa.string(), **more}
    if "vector" in include:
        columns["vector"] = pa.list_(pa.float16() if schema.dtype == "float16" else pa.float32(), schema.width)
    if "text" in include:
        columns["text"] = pa.string()
    if "metadata" in include:
        types: Mapping[type[Field], Any] = {
            Keyword: pa.string(), Keywords: pa.list_(pa.string()), Int: pa.int64(), Float: pa.float64(),
            Bool: pa.bool_(), DateTime: pa.timestamp("us", tz="UTC"),
        }  # fmt: skip
        columns |= {name: types[type(field)] for name, field in _list_columns(schema, taken).items()}
        columns[REST] = pa.json_(pa.string())
    return pa.schema(columns.items())


def _list_columns(schema: Schema, taken: Collection[str]) -> dict[str, Field]:
    """Return the declared fields that have a column of their own."""
    return {name: field for name, field in schema.fields.items() if name not in taken}


def _encode_rows(rows: Rows, schema: Schema, include: Include) -> list[Any]:
    pa = import_pyarrow()
    arrays: list[Any] = [pa.array(rows.ids, pa.string())]
    if "vector" in include and rows.vectors is not None:
        arrays.append(encode_vectors(rows.vectors, rows.present, schema))
    if "text" in include:
        arrays.append(rows.texts)
    if "metadata" in include and rows.fields is not None and rows.extras is not None:
        columns = _list_columns(schema, _OF_RECORDS)
        arrays += [rows.fields[name] for name in columns]
        arrays.append([None if extra == NO_EXTRA else extra for extra in add_taken(rows.extras, rows.fields, schema)])
    layout = _make_layout(schema, include, {}, _OF_RECORDS)
    return [
        each if isinstance(each, pa.Array) else pa.array(each, field.type)
        for each, field in zip(arrays, layout, strict=True)
    ]


def encode_vectors(matrix: NDArray[Any], present: NDArray[np.bool_] | None, schema: Schema) -> pa.Array:
    """Return vectors as an array of lists, null where there is none."""
    pa = import_pyarrow()
    mask = None if present is None or present.all() else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(matrix)), schema.width, mask=mask)


def add_taken(extras: Sequence[str], fields: Mapping[str, Sequence[Any]], schema: Schema) -> Sequence[str]:
    """Return the JSON objects with the declared field whose name is that of their column."""
    field = schema.fields.get(REST)
    if field is None:
        return extras
    found = []
    for extra, stored in zip(extras, fields[REST], strict=True):
        values = {} if stored is None else {REST: field.decode(stored)}
        found.append(_dump({**values, **json.loads(extra)}) or NO_EXTRA)
    return found


def _dump(values: Mapping[str, Any]) -> str | None:
    if not values:
        return None
    plain = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
