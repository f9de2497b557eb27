"""Rows of Parquet files: blocks that are read by column, or row by row with vectors as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .exits import Failure
from .record_columns import RecordColumns
from .sources import Item, ReadColumns, Skipped
from .table_columns import drop_nanoseconds, read_table

INDEX_NAMES = frozenset({"", "__index_level_0__"})
"""Columns in which pandas writes the index of a frame."""
READ_ROWS = 1_000
_BLOCK_ROWS, _BLOCK_BYTES = 4_096, 16 << 20


@dataclass(frozen=True, slots=True)
class ParquetBlock:
    """Rows of a Parquet file one after another; see `vecstore.cli.sources.RowBlock`.

    Attributes
    ----------
    file : str
        What messages call the file.
    columns : RecordColumns
    table : pyarrow.Table
    first : int
        How many rows the file has before it.
    tell : callable
        Returns how many bytes of the file so many rows are.
    make_item : callable
        Makes an item of a row, its place and the bytes read.
    """

    file: str
    columns: RecordColumns
    table: Any
    first: int
    tell: Callable[[int], int]
    make_item: Callable[[dict[str, Any], str, int], Item | Skipped]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def position(self) -> int:
        """The bytes of the file that had been read by the end of the block."""
        return self.tell(self.first + len(self))

    def cut(self, start: int, end: int) -> ParquetBlock:
        """Return a part of the block."""
        part = self.table.slice(start, end - start)
        return ParquetBlock(self.file, self.columns, part, self.first + start, self.tell, self.make_item)

    def read_columns(self) -> ReadColumns | None:
        """Return the rows as columns, or None if they are to be read one by one."""
        names = [name for name in self.table.column_names if name not in INDEX_NAMES]
        return read_table(self.table.select(names), self.columns)

    def items(self) -> Iterator[Item | Skipped]:
        """Read row by row."""
        vectors = self.columns.find_vector_names(self.table.column_names)
        number = self.first
        with explain_damage(self.file):
            for batch in self.table.to_batches(max_chunksize=READ_ROWS):
                for row in iterate_rows(batch, vectors):
                    number += 1
                    yield self.make_item(row, f"row {number}", self.tell(number))


@contextmanager
def explain_damage(file: str) -> Iterator[None]:
    """Turn errors of pyarrow, and of values that Python does not have, into a sentence."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise Failure(f"{file}: cannot be read as Parquet: {reason}.") from error


def join_batches(batches: Iterator[Any]) -> Iterator[Any]:
    """Return Arrow batches one after another as tables of some thousand rows."""
    import pyarrow as pa

    waiting: list[Any] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _BLOCK_ROWS or size >= _BLOCK_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def iterate_rows(batch: Any, vectors: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Return the rows of an Arrow batch; ``vectors`` are the columns that may hold vectors."""
    columns: dict[str, Any] = {}
    for name in batch.schema.names:
        if name in INDEX_NAMES:
            continue
        column = drop_nanoseconds(batch.column(name))
        columns[name] = _read_arrays(column) if name in vectors else column.to_pylist()
    for values in zip(*columns.values(), strict=True) if columns else ():
        yield dict(zip(columns, values, strict=True))


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
