"""Rows of Arrow batches as plain values; vectors as arrays, which is much faster than lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

_INDEX_NAMES = frozenset({"", "__index_level_0__"})
"""Columns in which pandas writes the index of a frame."""


def iterate_rows(batch: Any, vectors: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Return the rows of an Arrow batch; ``vectors`` are the columns that may hold vectors."""
    columns: dict[str, Any] = {}
    for name in batch.schema.names:
        if name in _INDEX_NAMES:
            continue
        column = _drop_nanoseconds(batch.column(name))
        columns[name] = _read_arrays(column) if name in vectors else column.to_pylist()
    for values in zip(*columns.values(), strict=True) if columns else ():
        yield dict(zip(columns, values, strict=True))


def _drop_nanoseconds(column: Any) -> Any:
    """Return dates of nanoseconds, in which pandas writes them, as microseconds, which Python has."""
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type) or column.type.unit != "ns":
        return column
    return column.cast(pa.timestamp("us", column.type.tz), safe=False)


def _read_arrays(column: Any) -> list[Any]:
    import pyarrow as pa

    types = pa.types
    kind = column.type
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return column.to_pylist()  # type: ignore[no-any-return]
    numbers = kind.value_type
    if not (types.is_integer(numbers) or types.is_floating(numbers) or types.is_decimal(numbers)):
        return column.to_pylist()  # type: ignore[no-any-return]
    found: list[Any] = []
    for value in column:
        if not value.is_valid:
            found.append(None)
            continue
        values = value.values.cast(pa.float64()) if types.is_decimal(numbers) else value.values
        found.append(values.to_numpy(zero_copy_only=False))
    return found
