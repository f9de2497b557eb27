"""Records as the parameters of a statement, and the answer of a statement as records."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from vecstore.backend import Include, Rows, Update
from vecstore.fields import Stored
from vecstore.filters.canonical_json import make_canonical

from .column_types import PACKED, unpack_matrix
from .fields import FieldType
from .generation_table import Layout, name_column

Answer = Sequence[tuple[Any, ...]]
Decode = Callable[[Any], Stored] | None


def encode_write(rows: Rows, layout: Layout, fence: Sequence[int] | None) -> dict[str, Any]:
    """Return the parameters of a write, one array a column."""
    if rows.vectors is None or rows.texts is None or rows.fields is None or rows.extras is None:
        raise TypeError("a write needs every column")
    values: dict[str, Any] = {
        "given_id": list(rows.ids),
        "given_embedding": PACKED[layout.vector_type](rows.vectors, rows.present),
        "given_body": list(rows.texts),
        "given_extra": list(rows.extras),
        "rows": len(rows),
    }
    if layout.schema.dynamic:
        values["given_extra_values"] = list(map(make_canonical, rows.extras))
    if fence is not None:
        values["given_version"] = list(fence)
    for name in layout.schema.fields:
        values[f"given_{name_column(name)}"] = _encode_values(rows.fields[name], layout.get_type(name))
    return values


def encode_update(update: Update, layout: Layout) -> dict[str, Any]:
    """Return the parameters of an update: ``set_<column>`` for each column, ``merged`` and ``removed`` for the rest."""
    values: dict[str, Any] = {}
    for name, value in update.fields.items():
        [values[f"set_{name_column(name)}"]] = _encode_values([value], layout.get_type(name))
    if update.sets_text:
        values["set_body"] = update.text
    if update.vector is not None:
        values["set_embedding"] = PACKED[layout.vector_type](update.vector[None])
    if update.removes_vector:
        nothing = np.zeros((1, layout.schema.width), layout.schema.dtype)
        values["set_embedding"] = PACKED[layout.vector_type](nothing, np.zeros(1, np.bool_))
    if update.extra:
        members = (f"{_encode_json(key)}:{text}" for key, text in update.extra.items() if text is not None)
        merged = "{" + ",".join(members) + "}"
        values |= {"merged": merged, "removed": list(update.extra)}
        if layout.schema.dynamic:
            values["merged_values"] = make_canonical(merged)
    return values


def _encode_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def decode_rows(answer: Answer, layout: Layout, include: Include, *, versions: bool = False) -> Rows:
    """Return records from rows of an id, the version where asked for, and what `reads.columns` reads."""
    return decode_columns([list(column) for column in zip(*answer, strict=True)], layout, include, versions=versions)


def decode_columns(
    columns: Sequence[Sequence[Any]], layout: Layout, include: Include, *, versions: bool = False
) -> Rows:
    """Return records by the same columns; none of them where there is no record."""
    rest, nothing = iter(columns), list[Any]()
    ids = next(rest, nothing)
    kept = next(rest, nothing) if versions else None
    texts = next(rest, nothing) if "text" in include else None
    extras = next(rest, nothing) if "metadata" in include else None
    fields: dict[str, Sequence[Stored | None]] | None = None
    if extras is not None:
        fields = {name: _decode_values(next(rest, nothing), decode) for name, decode in _list_decoders(layout)}
    vectors = present = None
    if "vector" in include:
        vectors, present = unpack_matrix(
            next(rest, nothing), layout.vector_type, layout.schema.width, layout.schema.dtype
        )
    return Rows(ids, vectors, texts, fields, extras, kept, present)


def _encode_values(values: Sequence[Stored | None], form: FieldType) -> list[Any]:
    encode = form.encode
    return list(values) if encode is None else [None if value is None else encode(value) for value in values]


@lru_cache(maxsize=256)
def _list_decoders(layout: Layout) -> Sequence[tuple[str, Decode]]:
    return [(name, layout.get_type(name).decode) for name in layout.schema.fields]


def _decode_values(values: Sequence[Any], decode: Decode) -> Sequence[Stored | None]:
    return values if decode is None else [None if value is None else decode(value) for value in values]
