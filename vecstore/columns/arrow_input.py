"""Reading of Arrow data: tables, streams of record batches, frames of pandas and polars, relations of DuckDB."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from ..rows.batches import BATCH_BYTES
from .arrow_arrays import combine, read_nested, read_values, read_vectors
from .batch import ColumnBatch

if TYPE_CHECKING:
    import pyarrow as pa

_INDEX = re.compile(r"__index_level_\d+__")
"""Columns in which pandas hands over an index without a name."""
_SHOWN = 20
"""How many names of columns a message lists."""
_SMALL = 8
"""About how many bytes a number takes."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns of a table are what."""

    id: str
    vector: str | None
    text: str | None
    nested: str | None
    metadata: tuple[str, ...]


def is_arrow(records: object) -> bool:
    """Return whether an object hands over Arrow columns."""
    return hasattr(type(records), "__arrow_c_stream__")


def read_batches(records: Any, most: int, vector_bytes: int, declared: Mapping[str, Any]) -> Iterator[ColumnBatch]:
    """Read Arrow data in batches of up to ``most`` rows or 16 MiB, whichever comes first.

    Raises
    ------
    InvalidArgument
        The data are no table, or their columns cannot be told apart.
    MissingExtra
    """
    pa = import_pyarrow()
    reader = _open_stream(records)
    layout = _find_layout(reader.schema, declared)
    first, waiting = 0, pa.Table.from_batches([], reader.schema)
    for each in reader:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([each])])
        while waiting.num_rows >= most or waiting.nbytes >= BATCH_BYTES:
            rows = _find_end(waiting, layout, most, vector_bytes)
            yield _read_batch(waiting.slice(0, rows), layout, first)
            first, waiting = first + rows, waiting.slice(rows)
    while waiting.num_rows:
        rows = _find_end(waiting, layout, most, vector_bytes)
        yield _read_batch(waiting.slice(0, rows), layout, first)
        first, waiting = first + rows, waiting.slice(rows)


def import_pyarrow() -> Any:
    """Return pyarrow.

    Raises
    ------
    MissingExtra
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    return pa


def _open_stream(records: Any) -> Any:
    pa = import_pyarrow()
    try:
        return pa.RecordBatchReader.from_stream(records)
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
        kind = type(records).__name__
        raise InvalidArgument(
            f"records of type {kind} cannot be read as a table of Arrow columns; the cause is above. Give a table with "
            "the columns id, vector and text, in which each column has one type and a name of its own."
        ) from error


def _find_layout(schema: pa.Schema, declared: Mapping[str, Any]) -> _Layout:
    names = [name for name in schema.names if not _INDEX.fullmatch(name)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgument(f"The column name {twice[:60]!a} is given twice. Rename one of them, or leave it out.")
    if "id" not in names:
        shown = ", ".join(ascii(name[:60]) for name in names[:_SHOWN]) or "no columns"
        raise InvalidArgument(f"There is no column 'id' among {shown}. Rename the column that holds the ids to id.")
    nested = "metadata" if "metadata" in names and _holds_keys(schema.field("metadata").type, declared) else None
    metadata = tuple(name for name in names if name not in {"id", "vector", "text", nested})
    return _Layout("id", _choose(names, "vector"), _choose(names, "text"), nested, metadata)


def _choose(names: Sequence[str], wanted: str) -> str | None:
    return wanted if wanted in names else None


def _holds_keys(kind: pa.DataType, declared: Mapping[str, Any]) -> bool:
    """Return whether a column ``metadata`` is several keys: an object in each row, or the JSON text of one."""
    pa = import_pyarrow()
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.json":
            return True
        kind = kind.storage_type
    if types.is_struct(kind) or types.is_map(kind):
        return True
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return is_text and "metadata" not in declared


def _find_end(table: pa.Table, layout: _Layout, most: int, vector_bytes: int) -> int:
    """Return how many of the first rows make a batch."""
    head = table.slice(0, most)
    sizes = np.full(head.num_rows, vector_bytes, np.int64)
    for name in (layout.id, layout.text, layout.nested, *layout.metadata):
        if name is not None:
            sizes += _measure(head.column(name))
    return min(len(sizes), int(np.searchsorted(np.cumsum(sizes), BATCH_BYTES)) + 1)


def _measure(column: pa.ChunkedArray) -> Any:
    """Estimate the bytes of each value."""
    pa = import_pyarrow()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        import pyarrow.compute as pc

        return pc.fill_null(pc.binary_length(column), 0).to_numpy().astype(np.int64)
    return _SMALL if pa.types.is_primitive(column.type) else column.nbytes // max(len(column), 1)


def _read_batch(table: pa.Table, layout: _Layout, first: int) -> ColumnBatch:
    def take(name: str) -> Any:
        return combine(table.column(name))

    ids = read_values(take(layout.id), "id", first)
    return ColumnBatch(
        first,
        ids if isinstance(ids, list) else ids.micros,
        None if layout.vector is None else read_vectors(take(layout.vector), layout.vector),
        None if layout.text is None else _read_texts(take(layout.text), first),
        {name: read_values(take(name), name, first) for name in layout.metadata},
        None if layout.nested is None else read_nested(take(layout.nested), layout.nested, first),
    )


def _read_texts(array: Any, first: int) -> list[Any]:
    texts = read_values(array, "text", first)
    return texts if isinstance(texts, list) else list(texts.micros)
