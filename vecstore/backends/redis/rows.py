"""Records by column as the attributes of hashes, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Include, Rows, Update
from vecstore.errors import StoreCorrupt
from vecstore.fields import DateTime, Field, Int, Keyword, Stored
from vecstore.groups import read_member
from vecstore.rows.metadata import NO_EXTRA
from vecstore.schema import Schema

from .failures import MENDING
from .fields import FIELDS, encode_tokens
from .filters import EVERY, KEYS, VECTOR_MARK, assign_presence_tokens
from .key_tokens import list_tokens

ID, VECTOR, TEXT, EXTRA, VERSION, HAS = "id", "vector", "text", "extra", "version", "has"


def to_attribute(field: str) -> str:
    """Return the attribute of a declared field."""
    return f"f_{field}"


def list_attributes(schema: Schema, include: Include) -> list[str]:
    """Return the attributes that a read asks for; every record has the first one."""
    names = [ID, VERSION]
    if "vector" in include:
        names.append(VECTOR)
    if "text" in include:
        names.append(TEXT)
    if "metadata" in include:
        names += [EXTRA, *map(to_attribute, schema.fields)]
    return names


def list_shown_attributes(schema: Schema, include: Include) -> list[str]:
    """Return the attributes that hits carry."""
    # With float16, scores are computed from the stored vectors; see `search`.
    shown = [VECTOR] if "vector" in include or schema.dtype == "float16" else []
    if "text" in include:
        shown.append(TEXT)
    if "metadata" in include:
        shown += [EXTRA, *map(to_attribute, schema.fields)]
    return shown


class _Columns:
    """The attributes of rows: one value for each row, or None if the row has none."""

    def __init__(self, rows: Rows, schema: Schema) -> None:
        if rows.vectors is None or rows.texts is None or rows.fields is None or rows.extras is None:
            raise TypeError("a write needs every column")
        self.columns: dict[str, Sequence[Any]] = {
            VECTOR: _encode_vectors(rows, schema),
            ID: encode_tokens(rows.ids),
            HAS: _encode_presence(rows, rows.fields, schema),
            TEXT: rows.texts,
            EXTRA: [None if extra == NO_EXTRA else extra for extra in rows.extras],
        }
        if schema.dynamic:
            self.columns[KEYS] = [encode_keys(extra) or None for extra in rows.extras]
        for name, field in schema.fields.items():
            self.columns[to_attribute(name)] = _encode_field(rows.fields[name], field)

    def group(self, count: int) -> Iterator[tuple[tuple[str, ...], list[int]]]:
        """Yield sets of attributes, and the rows that have them."""
        always = (ID, HAS)
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


def _encode_presence(rows: Rows, columns: Mapping[str, Sequence[Stored | None]], schema: Schema) -> list[str]:
    """Return the attribute by which each row says which fields it has, and whether a vector, where it may lack one."""
    tokens = assign_presence_tokens(schema.fields)
    vector = [VECTOR_MARK] if schema.has_optional_vectors else []
    if rows.present is None and not any(None in columns[name] for name in tokens):
        return [",".join((EVERY, *vector, *tokens.values()))] * len(rows)
    present = [True] * len(rows) if rows.present is None else rows.present.tolist()
    parts = [[token if each else None for each in present] for token in vector]
    parts += [[None if value is None else token for value in columns[name]] for name, token in tokens.items()]
    return [",".join((EVERY, *filter(None, row))) for row in zip(*parts, strict=True)]


def encode_keys(extra: str) -> str:
    """Return the attribute by which a record of a dynamic store is found by its undeclared metadata."""
    return ",".join(list_tokens(extra))


def _encode_field(values: Sequence[Stored | None], field: Field) -> Sequence[Any]:
    if None not in values:
        if isinstance(field, Int | DateTime):
            return values
        if isinstance(field, Keyword):
            return encode_tokens(values)  # type: ignore[arg-type]
    write = FIELDS[field.kind].write
    return [None if value is None else write(value) for value in values]


def _encode_vectors(rows: Rows, schema: Schema) -> list[bytes | None]:
    whole = np.ascontiguousarray(rows.vectors, schema.dtype).tobytes()
    size = schema.width * np.dtype(schema.dtype).itemsize
    packed: list[bytes | None] = [whole[start : start + size] for start in range(0, len(whole), size)]
    if rows.present is None:
        return packed
    return [vector if has_vector else None for vector, has_vector in zip(packed, rows.present, strict=True)]


def encode_write(
    rows: Rows, schema: Schema, mode: str, fence: Sequence[int] | None = None, fences: Mapping[str, int] | None = None
) -> list[Any]:
    """Return the arguments of ``write.lua``: with fences of rows, or of groups by their heads, or without."""
    encoded = _Columns(rows, schema)
    groups = list(encoded.group(len(rows)))
    order = [number for _, numbers in groups for number in numbers]
    words: list[Any] = [mode, len(order), *(rows.ids[number] for number in order)]
    if fence is not None:
        words += [len(order), *(fence[number] for number in order)]
    if fences is not None:
        numbers_of = {head: number for number, head in enumerate(fences, 1)}
        words += [len(fences), *fences, len(fences), *fences.values()]
        words += [len(order), *(numbers_of[read_member(rows.ids[number])[0]] for number in order)]
    for names, numbers in groups:
        words += [len(names), *names, len(numbers)]
        columns = [encoded.columns[name] for name in names]
        if len(numbers) == len(rows):
            for row in zip(*columns, strict=True):
                words += row
        else:
            for number in numbers:
                words += [column[number] for column in columns]
    return words


def encode_update(update: Update, schema: Schema) -> list[Any]:
    """Return arguments of ``update.lua``: attributes to set and to unset, tokens gained and lost."""
    tokens = assign_presence_tokens(schema.fields)
    sets: dict[str, Any] = {}
    unsets: list[str] = []
    gained: list[str] = []
    lost: list[str] = []
    for name, value in update.fields.items():
        if value is None:
            unsets.append(to_attribute(name))
            lost.append(tokens[name])
        else:
            sets[to_attribute(name)] = FIELDS[schema.fields[name].kind].write(value)
            gained.append(tokens[name])
    if update.vector is not None:
        sets[VECTOR] = np.ascontiguousarray(update.vector, schema.dtype).tobytes()
        gained += [VECTOR_MARK] if schema.has_optional_vectors else []
    if update.removes_vector:
        unsets.append(VECTOR)
        lost.append(VECTOR_MARK)
    if update.sets_text and update.text is None:
        unsets.append(TEXT)
    elif update.sets_text:
        sets[TEXT] = update.text
    words: list[Any] = [len(sets)]
    for pair in sets.items():
        words += pair
    for each in (unsets, gained, lost):
        words += [len(each), *each]
    return words


def decode_rows(answer: Sequence[Any], schema: Schema, include: Include) -> Rows:
    """Return the rows of an answer that repeats an id and the values of `list_attributes`."""
    ids = [id_.decode() for id_ in answer[::2]]
    names = list_attributes(schema, include)
    columns = list(zip(*answer[1::2], strict=True)) if ids else [() for _ in names]
    by_name: dict[str, Sequence[Any]] = dict(zip(names, columns, strict=True))
    vectors, present = _decode_present(by_name[VECTOR], schema, ids) if "vector" in include else (None, None)
    return Rows(
        ids,
        vectors,
        _decode_texts(by_name[TEXT]) if "text" in include else None,
        _decode_fields(by_name, schema, ids) if "metadata" in include else None,
        _decode_extras(by_name[EXTRA]) if "metadata" in include else None,
        [int(version or 0) for version in by_name[VERSION]],
        present,
    )


def decode_shown(ids: list[str], hashes: Sequence[Mapping[bytes, bytes]], include: Include, schema: Schema) -> Rows:
    """Return rows with the parts in ``include``, from the attributes of each hit."""
    columns: dict[str, list[bytes | None]] = {}
    for name in list_shown_attributes(schema, include):
        key = name.encode()
        columns[name] = [each.get(key) for each in hashes]
    has_metadata = "metadata" in include
    return Rows(
        ids,
        decode_vectors(columns[VECTOR], schema, ids) if "vector" in include else None,
        _decode_texts(columns[TEXT]) if "text" in include else None,
        _decode_fields(columns, schema, ids) if has_metadata else None,
        _decode_extras(columns[EXTRA]) if has_metadata else None,
    )


def _decode_present(
    vectors: Sequence[bytes | None], schema: Schema, ids: Sequence[str]
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return vectors as a matrix, zeros where there is none, and which are there; None where all have to be."""
    if not schema.has_optional_vectors or None not in vectors:
        return decode_vectors(vectors, schema, ids), None
    present = np.array([vector is not None for vector in vectors], np.bool_)
    matrix = np.zeros((len(vectors), schema.width), schema.dtype)
    those = [(id_, vector) for id_, vector in zip(ids, vectors, strict=True) if vector is not None]
    matrix[present] = decode_vectors([vector for _, vector in those], schema, [id_ for id_, _ in those])
    return matrix, present


def decode_vectors(vectors: Sequence[bytes | None], schema: Schema, ids: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return vectors as a matrix.

    Raises
    ------
    StoreCorrupt
    """
    size = schema.width * np.dtype(schema.dtype).itemsize
    stored = [vector or b"" for vector in vectors]
    for id_, vector in zip(ids, stored, strict=True):
        if len(vector) != size:
            raise StoreCorrupt(f"Record {id_!a} has a vector of {len(vector)} bytes, not {size}. {MENDING}")
    return np.frombuffer(b"".join(stored), schema.dtype).reshape(len(stored), schema.width)


def _decode_texts(column: Sequence[bytes | None]) -> list[str | None]:
    return [None if text is None else text.decode() for text in column]


def _decode_extras(column: Sequence[bytes | None]) -> list[str]:
    return [NO_EXTRA if extra is None else extra.decode() for extra in column]


def _decode_fields(
    columns: Mapping[str, Sequence[bytes | None]], schema: Schema, ids: Sequence[str]
) -> dict[str, list[Stored | None]]:
    """Return declared fields in stored form.

    Raises
    ------
    StoreCorrupt
    """
    fields: dict[str, list[Stored | None]] = {}
    for name, field in schema.fields.items():
        read = FIELDS[field.kind].read
        try:
            fields[name] = [None if value is None else read(value) for value in columns[to_attribute(name)]]
        except ValueError:  # its message quotes the value
            raise StoreCorrupt(
                f"A record among {ids[0]!a} … has a value in field {name!r} that is no {field.kind}. "
                "Run verify() to find it, and write it again."
            ) from None
    return fields
