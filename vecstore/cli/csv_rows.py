"""Rows of CSV files: blocks that are read by column, or row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .record_columns import RecordColumns
from .sources import Item, ReadColumns, Skipped
from .table_columns import read_texts

BLOCK_ROWS, BLOCK_CHARS = 4_096, 8 << 20


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row, the number of its line, and the bytes of the file that had been read by its end."""

    cells: Sequence[str]
    line: int
    position: int


@dataclass(frozen=True, slots=True)
class CsvBlock:
    """Rows of a CSV file one after another, all as long as its header; see `vecstore.cli.sources.RowBlock`.

    Attributes
    ----------
    columns : RecordColumns
    names : sequence of str
        The header; a column without a name has an empty one.
    rows : sequence of CsvRow
    make_item : callable
        Makes an item of the values of a row, its place, the bytes read, and all names.
    """

    columns: RecordColumns
    names: Sequence[str]
    rows: Sequence[CsvRow]
    make_item: Callable[[Mapping[str, str], str, int, Sequence[str]], Item | Skipped]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def position(self) -> int:
        """The bytes of the file that had been read by the end of the block."""
        return self.rows[-1].position

    def cut(self, start: int, end: int) -> CsvBlock:
        """Return a part of the block."""
        return replace(self, rows=self.rows[start:end])

    def read_columns(self) -> ReadColumns | None:
        """Return the rows as columns, or None if they are to be read one by one."""
        cells = zip(*(row.cells for row in self.rows), strict=True)
        named = {name: column for name, column in zip(self.names, cells, strict=True) if name or self._note(column)}
        return read_texts(named, self.columns)

    def items(self) -> Iterator[Item | Skipped]:
        """Read row by row."""
        for row in self.rows:
            values = {name: text for name, text in zip(self.names, row.cells, strict=True) if text != ""}
            if values.pop("", None) is not None:
                self.columns.note_nameless()
            yield self.make_item(values, f"line {row.line}", row.position, self.names)

    def _note(self, column: Sequence[str]) -> bool:
        """Note a column without a name that has values. Return False: it is left out."""
        if any(column):
            self.columns.note_nameless()
        return False
