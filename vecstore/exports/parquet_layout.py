"""The columns of an export as Parquet: id, text, vector, the declared fields, all other keys as JSON, the version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..backend import Rows
from ..columns.arrow_input import import_pyarrow
from ..columns.arrow_output import REST, add_taken, encode_vectors
from ..fields import Bool, DateTime, Field, Float, Int, Keyword, Keywords, Stored
from ..schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "_version"
"""A name that no declared field can have."""


def make_layout(schema: Schema, *, vectors: bool, versions: bool) -> pa.Schema:
    """Return the names and types of the columns."""
    pa = import_pyarrow()
    types: Mapping[type[Field], Any] = {
        Keyword: pa.string(), Keywords: pa.list_(pa.string()), Int: pa.int64(), Float: pa.float64(),
        Bool: pa.bool_(), DateTime: pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    columns: list[tuple[str, Any]] = [("id", pa.string()), ("text", pa.string())]
    if vectors:
        columns.append(("vector", pa.list_(pa.float16() if schema.dtype == "float16" else pa.float32(), schema.width)))
    for name, field in schema.fields.items():
        if name != REST:  # the column of that name has it in its JSON
            columns.append((name, pa.string() if _is_text(field) else types[type(field)]))
    columns.append((REST, pa.string()))
    if versions:
        columns.append((VERSION, pa.int64()))
    return pa.schema(columns)


def encode_rows(rows: Rows, schema: Schema, layout: pa.Schema) -> pa.RecordBatch:
    """Return rows, which have the columns of the layout, as a batch of it."""
    pa = import_pyarrow()
    if rows.fields is None or rows.extras is None:
        raise TypeError("an export needs metadata")
    arrays: dict[str, Any] = {
        "id": rows.ids, "text": rows.texts, REST: add_taken(rows.extras, rows.fields, schema), VERSION: rows.versions,
    }  # fmt: skip
    for name, values in rows.fields.items():
        field = schema.fields[name]
        if name != REST:
            arrays[name] = [_show_date(each, field) for each in values] if _is_text(field) else values
    if rows.vectors is not None:
        arrays["vector"] = encode_vectors(rows.vectors, rows.present, schema)
    columns = [
        arrays[each.name] if each.name == "vector" else pa.array(arrays[each.name], each.type) for each in layout
    ]
    return pa.record_batch(columns, schema=layout)


def _is_text(field: Field) -> bool:
    return isinstance(field, DateTime) and field.text


def _show_date(stored: Stored | None, field: Field) -> Any:
    return None if stored is None else field.decode(stored)
