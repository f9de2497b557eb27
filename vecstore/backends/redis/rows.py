"""Records by column as the attributes of hashes, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vecstore.backend import Include, Rows, Update
from vecstore.errors import StoreCorrupt
from vecstore.fields import DateTime, Field, Int, Keyword, Stored
from vecstore.rows.metadata import NO_EXTRA
from vecstore.schema import Schema

from .fields import form, tokens
from .filters import EVERY, has_tokens

ID, VECTOR, TEXT, EXTRA, VERSION, HAS = "id", "vector", "text", "extra", "version", "has"


def attribute(name: str) -> str:
    """Return the attribute of a declared field."""
    return f"f_{name}"


def all_attributes(schema: Schema) -> list[str]:
    """Return every attribute that a read asks for; the first is there in every record."""
    return [VECTOR, TEXT, EXTRA, VERSION, *map(attribute, schema.fields)]


def shown_attributes(schema: Schema, include: Include) -> list[str]:
    """Return the attributes that hits carry."""
    shown = {
        "vector": [VECTOR],
        "text": [TEXT],
        "metadata": [EXTRA, *map(attribute, schema.fields)],
    }
    return [name for part, names in shown.items() if part in include or _is_scored_anew(part, schema) for name in names]


def _is_scored_anew(part: str, schema: Schema) -> bool:
    return part == "vector" and schema.dtype == "float16"


class _Columns:
    """The attributes of rows, one value for each, None where a row has none."""

    def __init__(self, rows: Rows, schema: Schema) -> None:
        if rows.vectors is None or rows.texts is None or rows.fields is None or rows.extras is None:
            raise TypeError("a write needs every column")
        self.columns: dict[str, Sequence[Any]] = {
            VECTOR: _vectors(rows, schema),
            ID: tokens(rows.ids),
            HAS: _has(rows.fields, len(rows), schema),
            TEXT: rows.texts,
            EXTRA: [None if extra == NO_EXTRA else extra for extra in rows.extras],
        }
        for name, field in schema.fields.items():
            self.columns[attribute(name)] = _written(rows.fields[name], field)

    def groups(self, count: int) -> Iterator[tuple[tuple[str, ...], list[int]]]:
        """Return which rows have which attributes."""
        always = (VECTOR, ID, HAS)
        varying = [name for name, column in self.columns.items() if name not in always and None in column]
        fixed = [name for name in self.columns if name not in varying]
        groups: dict[tuple[str, ...], list[int]] = {}
        if not varying:
            yield tuple(fixed), list(range(count))
            return
        for number in range(count):
            present = tuple(name for name in varying if self.columns[name][number] is not None)
            groups.setdefault(present, []).append(number)
        for present, numbers in groups.items():
            yield (*fixed, *present), numbers


def _has(columns: Mapping[str, Sequence[Stored | None]], count: int, schema: Schema) -> list[str]:
    """Return what each row says that it has."""
    marks = has_tokens(schema.fields)
    if not any(None in columns[name] for name in marks):
        return [",".join((EVERY, *marks.values()))] * count
    parts = [[None if value is None else mark for value in columns[name]] for name, mark in marks.items()]
    return [",".join((EVERY, *filter(None, row))) for row in zip(*parts, strict=True)]


def _written(values: Sequence[Stored | None], field: Field) -> Sequence[Any]:
    if None not in values:
        if isinstance(field, Int | DateTime):
            return values
        if isinstance(field, Keyword):
            return tokens(values)  # type: ignore[arg-type]
    write = form(field).write
    return [None if value is None else write(value) for value in values]


def _vectors(rows: Rows, schema: Schema) -> list[bytes]:
    whole = np.ascontiguousarray(rows.vectors, schema.dtype).tobytes()
    size = schema.width * np.dtype(schema.dtype).itemsize
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def given(rows: Rows, schema: Schema, mode: str, fence: Sequence[int] | None) -> list[Any]:
    """Return what the script of a write is told of rows."""
    made = _Columns(rows, schema)
    groups = list(made.groups(len(rows)))
    order = [number for _, numbers in groups for number in numbers]
    words: list[Any] = [mode, len(order), *(rows.ids[number] for number in order)]
    if fence is not None:
        words += [len(order), *(fence[number] for number in order)]
    for names, numbers in groups:
        words += [len(names), *names, len(numbers)]
        columns = [made.columns[name] for name in names]
        if len(numbers) == len(rows):
            for row in zip(*columns, strict=True):
                words += row
        else:
            for number in numbers:
                words += [column[number] for column in columns]
    return words


def laid(update: Update, schema: Schema) -> list[Any]:
    """Return what the script of an update is told: what to set, what to unset, tokens gained and lost."""
    marks = has_tokens(schema.fields)
    sets: dict[str, Any] = {}
    unsets: list[str] = []
    gained: list[str] = []
    lost: list[str] = []
    for name, value in update.fields.items():
        if value is None:
            unsets.append(attribute(name))
            lost.append(marks[name])
        else:
            sets[attribute(name)] = form(schema.fields[name]).write(value)
            gained.append(marks[name])
    if update.vector is not None:
        sets[VECTOR] = np.ascontiguousarray(update.vector, schema.dtype).tobytes()
    if update.sets_text and update.text is None:
        unsets.append(TEXT)
    elif update.sets_text:
        sets[TEXT] = update.text
    words: list[Any] = [len(sets)]
    for pair in sets.items():
        words += pair
    for listed in (unsets, gained, lost):
        words += [len(listed), *listed]
    return words


def found(answer: Sequence[Any], schema: Schema) -> Rows:
    """Return the rows of an answer that has, one after the other, an id and the values of `all_attributes`."""
    ids = [id_.decode() for id_ in answer[::2]]
    names = all_attributes(schema)
    columns = list(zip(*answer[1::2], strict=True)) if ids else [() for _ in names]
    by_name: dict[str, Sequence[Any]] = dict(zip(names, columns, strict=True))
    return Rows(
        ids,
        matrix(by_name[VECTOR], schema, ids),
        texts_of(by_name[TEXT]),
        fields_of(by_name, schema, ids),
        extras_of(by_name[EXTRA]),
        [int(version or 0) for version in by_name[VERSION]],
    )


def matrix(vectors: Sequence[bytes], schema: Schema, ids: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return vectors as a matrix.

    Raises
    ------
    StoreCorrupt
    """
    size = schema.width * np.dtype(schema.dtype).itemsize
    for id_, vector in zip(ids, vectors, strict=True):
        if len(vector) != size:
            raise StoreCorrupt(f"Record {id_!a} has a vector of {len(vector)} bytes, not {size}. Write it again.")
    return np.frombuffer(b"".join(vectors), schema.dtype).reshape(len(vectors), schema.width)


def texts_of(column: Sequence[bytes | None]) -> list[str | None]:
    """Return texts."""
    return [None if text is None else text.decode() for text in column]


def extras_of(column: Sequence[bytes | None]) -> list[str]:
    """Return undeclared metadata."""
    return [NO_EXTRA if extra is None else extra.decode() for extra in column]


def fields_of(
    columns: Mapping[str, Sequence[bytes | None]], schema: Schema, ids: Sequence[str]
) -> dict[str, list[Stored | None]]:
    """Return declared fields in stored form.

    Raises
    ------
    StoreCorrupt
    """
    read: dict[str, list[Stored | None]] = {}
    for name, field in schema.fields.items():
        decode = form(field).read
        try:
            read[name] = [None if value is None else decode(value) for value in columns[attribute(name)]]
        except ValueError:  # whose message quotes the value
            raise StoreCorrupt(f"A record among {ids[0]!a} … holds no {field.kind} in field {name!r}.") from None
    return read
