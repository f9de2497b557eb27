"""Rows of tables as columns, without a record for each: the same metadata that `RecordColumns` makes of each row.

Where a row would be refused, or would need a look at its other columns, the answer is None. The rows are then read one
by one, which also finds the words for what is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from ..columns import Columns
from ..fields import DateTime, Field
from .json_values import parse_json
from .record_columns import RecordColumns, TableLayout
from .sources import ReadColumns
from .text_lines import Unreadable
from .vector_columns import is_vector_name, parse_vectors

_NESTED = "metadata"
_MOST_KEYS = 100
"""With more keys within ``metadata``, columns of mostly nothing would take more memory than the rows."""


def read_table(table: Any, columns: RecordColumns) -> ReadColumns | None:
    """Return the rows of an Arrow table as columns."""
    import pyarrow as pa

    layout = columns.find_layout(table.column_names, table.column_names)
    if layout is None:
        return None
    vectors = None if layout.vector is None else table.column(layout.vector)
    if vectors is not None and not _holds_numbers(vectors.type):
        return None
    lacking = table.num_rows if vectors is None else vectors.null_count
    if lacking and layout.needs_look and (vectors is not None or any(_may_hold_vector(table, layout, columns))):
        return None
    try:
        texts = None if layout.text is None else table.column(layout.text).to_pylist()
        absent = [True] * table.num_rows if vectors is None else vectors.is_null().to_pylist() if lacking else []
        metadata = _read_metadata(table, layout, columns)
        ids = table.column(layout.id).to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):  # which reading row by row explains
        return None
    return _finish(ids, vectors, texts, metadata, absent, columns)


def read_texts(cells: Mapping[str, Sequence[str]], columns: RecordColumns) -> ReadColumns | None:
    """Return the columns of a CSV file, whose cells are all texts, as columns."""
    layout = columns.find_layout(list(cells), [name for name, column in cells.items() if any(column)])
    if layout is None:
        return None
    given = None if layout.vector is None else [text or None for text in cells[layout.vector]]
    absent = [True] * len(cells[layout.id]) if given is None else [text is None for text in given]
    if (
        any(absent)
        and layout.needs_look
        and (given is not None or any(is_vector_name(name) and name not in columns.fields for name in layout.metadata))
    ):
        return None
    vectors: Any = None
    if given is not None and not all(absent):
        vectors = parse_vectors([text for text in given if text is not None])
        if vectors is None:
            return None
        if any(absent):
            rest = iter(vectors)
            vectors = [None if gone else next(rest) for gone in absent]
    texts = None if layout.text is None else [text or None for text in cells[layout.text]]
    try:
        metadata: dict[str, Any] | None = {}
        for name, key in layout.metadata.items():
            found = [text or None for text in cells[name]]
            if name == _NESTED:
                metadata = _spread(found, layout, columns, metadata)
            elif metadata is not None:
                metadata[key] = columns.convert_column(key, found)
    except Unreadable:
        return None
    return _finish([id_ or None for id_ in cells[layout.id]], vectors, texts, metadata, absent, columns)


def drop_nanoseconds(column: Any) -> Any:
    """Return dates of nanoseconds, in which pandas writes them, as microseconds, which Python has."""
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type) or column.type.unit != "ns":
        return column
    return column.cast(pa.timestamp("us", column.type.tz), safe=False)


def _finish(
    ids: list[Any],
    vectors: Any,
    texts: list[Any] | None,
    metadata: dict[str, Any] | None,
    absent: Sequence[bool],
    columns: RecordColumns,
) -> ReadColumns | None:
    """Check what the store would not, or would say in other words."""
    if metadata is None:
        return None
    ids = [str(id_) if type(id_) in (int, UUID) else id_ for id_ in ids]
    if set(map(type, ids)) - {str} or (texts is not None and set(map(type, texts)) - {str, type(None)}):
        return None
    bare = [row for row, gone in enumerate(absent) if gone and texts is not None and texts[row] is not None]
    if sum(absent) > len(bare) and not columns.is_vector_optional:
        return None
    if bare and not columns.embeds:
        return None
    return ReadColumns(Columns(ids, vectors, texts, metadata), has_bare_texts=bool(bare))


def _holds_numbers(kind: Any) -> bool:
    from pyarrow import types

    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    return bool(types.is_integer(kind.value_type) or types.is_floating(kind.value_type))


def _may_hold_vector(table: Any, layout: TableLayout, columns: RecordColumns) -> list[str]:
    """Return the columns of metadata in which a row might have its vector."""
    from pyarrow import types

    kinds = {name: table.schema.field(name).type for name in layout.metadata if name not in columns.fields}
    return [
        name
        for name, kind in kinds.items()
        if is_vector_name(name) or name == _NESTED or not (types.is_primitive(kind) or _is_text(kind))
    ]


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_plain(kind: Any, declared: Field | None) -> bool:
    """Return whether values of a type are stored as they are, so that Arrow can hand over the column."""
    from pyarrow import types

    if _is_text(kind):
        return not isinstance(declared, DateTime)
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _read_metadata(table: Any, layout: TableLayout, columns: RecordColumns) -> dict[str, Any] | None:
    from pyarrow import types

    metadata: dict[str, Any] | None = {}
    for name, key in layout.metadata.items():
        column = table.column(name)
        kind = column.type
        if name == _NESTED and not types.is_primitive(kind):
            metadata = _spread(column.to_pylist(), layout, columns, metadata)
        elif metadata is None:
            break
        elif _is_plain(kind, columns.fields.get(key)):
            metadata[key] = column
        else:
            metadata[key] = columns.convert_column(key, drop_nanoseconds(column).to_pylist())
    return metadata


def _spread(
    values: list[Any], layout: TableLayout, columns: RecordColumns, metadata: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Add the keys of the objects, or of their JSON texts, in a column ``metadata`` to the columns of metadata."""
    if metadata is None:
        return None
    taken: Collection[str] = {*layout.metadata, *layout.metadata.values()}
    inner: dict[str, list[Any]] = {}
    for row, value in enumerate(values):
        nested = parse_json(value, _NESTED) if isinstance(value, str) and value.lstrip().startswith("{") else value
        if not isinstance(nested, dict):
            nested = {} if nested is None else {_NESTED: nested}
        elif _NESTED in nested:
            return None
        for key, each in nested.items():
            if key not in inner:
                if len(inner) == _MOST_KEYS or (key in taken and key != _NESTED) or columns.is_renamed(key):
                    return None
                inner[key] = [None] * len(values)
            inner[key][row] = each
    return metadata | {key: columns.convert_column(key, column) for key, column in inner.items()}
