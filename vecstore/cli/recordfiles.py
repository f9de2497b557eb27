"""Files of records: JSON lines, JSON arrays, CSV and Parquet, also compressed with gzip."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any, NoReturn

from ..errors import MissingExtra
from ..exports.header import KEY
from ..exports.parquet_layout import VERSION
from ..fields import Field
from .csv_dialects import SEPARATORS, choose_separator, read_separator_line
from .csv_rows import BLOCK_CHARS, BLOCK_ROWS, CsvBlock, CsvRow
from .exits import Failure, describe_os_error
from .export_header import ExportHeader, is_header
from .formats.signatures import find_markup, find_signature
from .json_values import iterate_values, parse_object
from .origins import ReplayedStream
from .parquet_rows import READ_ROWS, ParquetBlock, explain_damage, join_batches
from .record_columns import RecordColumns
from .sources import ColumnNames, Item, RowBlock, Skipped, list_names
from .text_lines import MAX_LINE_BYTES, TextLines, Unreadable
from .unpacking import open_unpacked
from .vector_columns import VectorFit

_HEAD = 4_096


@dataclass
class RecordFile:
    """Records of one file.

    Parameters
    ----------
    path : Path or None
        None reads JSON lines or a JSON array from stdin.
    kind : {"jsonl", "json", "csv", "parquet"}
    columns : ColumnNames
    fields : mapping of str to Field
        Declared fields; texts are converted to their types.
    encoding : str, optional
        Of a text file without a byte order mark; UTF-8 by default.
    fit : VectorFit
        Which vectors are taken from a column that nobody named.
    header : ExportHeader, optional
        The store that the file was exported from.
    begin : bytes
        What was read of stdin already.
    given : str
        The path in messages, where it is not ``path``.
    """

    path: Path | None
    kind: str
    columns: ColumnNames = field(default_factory=ColumnNames)
    fields: Mapping[str, Field] = field(default_factory=dict)
    encoding: str | None = None
    fit: VectorFit = field(default_factory=VectorFit)
    header: ExportHeader | None = None
    begin: bytes = b""
    given: str = ""

    def __post_init__(self) -> None:
        header = self.header
        self._columns = RecordColumns(
            self.name, self.columns, self.fields, self.fit, from_text=self.kind == "csv", exact=header is not None,
            embeds=not (header and header.vectors and header.schema.has_optional_vectors),
        )  # fmt: skip

    @property
    def name(self) -> str:
        """The name in messages."""
        return "stdin" if self.path is None else self.given or str(self.path)

    @property
    def size(self) -> int | None:
        """Bytes of the file, None for a pipe."""
        if self.path is None:
            return None
        try:
            return self.path.stat().st_size or None
        except OSError as error:
            raise Failure(f"{self.name}: {describe_os_error(error)}.") from error

    @property
    def notes(self) -> list[str]:
        """What was decided while the file was read and the user should know."""
        return self._columns.notes

    def items(self) -> Iterator[Item | Skipped | RowBlock]:
        """Read JSON record by record, and tables in blocks of rows."""
        readers: dict[str, Callable[[IO[bytes], IO[bytes]], Iterator[Item | Skipped | RowBlock]]] = {
            "jsonl": self._read_json_lines,
            "json": self._read_json,
            "csv": self._read_csv,
        }
        try:
            if self.path is None:
                stdin = io.BufferedReader(ReplayedStream(self.begin, sys.stdin.buffer))
                self._check_content(self.begin[:_HEAD])
                is_array = self.begin.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
                yield from (self._read_json if is_array else self._read_json_lines)(stdin, stdin)
            elif self.kind == "parquet":
                yield from self._read_parquet(self.path)
            else:
                with open_unpacked(self.path) as (file, packed):
                    self._check_content(file.peek(_HEAD)[:_HEAD])
                    yield from readers[self.kind](file, packed)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Failure(f"{self.name}: damaged or not complete, so it cannot be unpacked with gzip.") from error
        except OSError as error:
            raise Failure(f"{self.name}: {describe_os_error(error)}.") from error

    def _check_content(self, head: bytes) -> None:
        """Refuse a file that is another format by its first bytes."""
        found = find_signature(head)
        if found is None and self.kind == "csv" and self.encoding is None:
            found = find_markup(head.decode("utf-8", "replace").removeprefix("\ufeff"))
        if found is not None:
            hint = " Only JSON is read from stdin; save anything else as a file." if self.path is None else ""
            raise Failure(f"{self.name}: by its content {found}.{hint}")

    def _read_json_lines(self, file: IO[bytes], packed: IO[bytes]) -> Iterator[Item | Skipped]:
        lines = TextLines(file, self.name, self.encoding)
        while True:
            try:
                line = next(lines)
                if not line.strip():
                    continue
                row = parse_object(line.strip())
            except StopIteration:
                return
            except Unreadable as error:
                if self.path is None and lines.number == 1:
                    error = Unreadable(f"{error}; stdin is read as JSON lines, so save anything else to a file")
                yield self._skip(f"line {lines.number}", error, lines.position)
            else:
                if is_header(row):
                    self._check_header(row, f"line {lines.number}", is_first=lines.number == 1)
                    continue
                yield self._make_item(row, f"line {lines.number}", _tell(file, packed, lines.position))

    def _read_json(self, file: IO[bytes], packed: IO[bytes]) -> Iterator[Item | Skipped]:
        for number, value in enumerate(iterate_values(file, self.name, self.encoding), 1):
            place, position = f"record {number}", _tell(packed, packed, 0)
            if is_header(value):
                self._check_header(value, place, is_first=number == 1)
                continue
            if number == 1 and isinstance(value, dict):
                self._check_enclosed(value)
            if isinstance(value, dict):
                yield self._make_item(value, place, position)
            else:
                yield self._skip(place, Unreadable("not a JSON object"), position)

    def _check_enclosed(self, value: Mapping[str, Any]) -> None:
        """Refuse an object that has the records in it."""
        inside = [key for key, each in value.items() if isinstance(each, list) and each and isinstance(each[0], dict)]
        if len(inside) == 1 and len(value) < len(value[inside[0]]) + 2 and self.columns.id not in value:
            raise Failure(
                f"{self.name}: an object with the records in {inside[0]!a}. Take the array out, for example with "
                f"jq '.{inside[0]}' FILE."
            )

    def _check_header(self, value: Mapping[str, Any], place: str, *, is_first: bool) -> None:
        """Pass over the header, and over that of another part of the same export in one file."""
        place = f"{self.name}, {place}"
        if self.header is None or not (is_first or self.header.describes_same(ExportHeader.from_json(value, place))):
            self._refuse_export(place)

    def _refuse_export(self, place: str) -> NoReturn:
        other, command = ("another", "") if self.header else ("a", ", to `vecstore add`")
        raise Failure(f"{place}: an export of {other} store begins here. Give each export a file of its own{command}.")

    def _read_csv(self, file: IO[bytes], packed: IO[bytes]) -> Iterator[Skipped | RowBlock]:
        csv.field_size_limit(MAX_LINE_BYTES)
        lines = TextLines(file, self.name, self.encoding)
        rows: list[CsvRow] = []
        names: list[str] = []
        fault: Exception | None = None
        chars = 0
        try:
            reader, names = self._open_table(lines)
            while True:
                line = lines.number + 1
                row = next(reader, None)
                if row is None:
                    break
                position = _tell(file, packed, lines.position)
                if not any(row):
                    continue
                if len(row) == len(names):
                    rows.append(CsvRow(row, line, position))
                    chars += sum(map(len, row))
                if rows and (len(row) != len(names) or len(rows) == BLOCK_ROWS or chars > BLOCK_CHARS):
                    yield CsvBlock(self._columns, names, rows, self._make_item)
                    rows, chars = [], 0
                if len(row) != len(names):
                    yield self._skip(f"line {line}", Unreadable(_describe_length(row, names)), position)
        except (Unreadable, csv.Error) as error:
            fault = error
        if rows:
            yield CsvBlock(self._columns, names, rows, self._make_item)
        if fault is not None:
            reason = _explain(fault) if isinstance(fault, csv.Error) else fault
            raise Failure(f"{self.name}, line {lines.number}: {reason}.") from fault

    def _open_table(self, lines: TextLines) -> tuple[Iterator[list[str]], list[str]]:
        """Return the rows of a CSV file behind its header, and the names of the columns."""
        header = next((line for line in lines if line.strip()), "")
        usual = "\t" if self.path and ".tsv" in self.path.suffixes[-2:] else ","
        separator = read_separator_line(header)
        if separator is not None:
            header = next(lines, "")
        else:
            separator = choose_separator(header, usual, self.columns.id)
            if separator != usual:
                self.notes.append(f"{self.name}: the columns are separated by {SEPARATORS[separator]}.")
        reader = csv.reader(chain([header], lines), delimiter=separator, strict=True)
        names = [name.strip() for name in next(reader, [])]
        self._check_names([name for name in names if name], f"{self.name}, line {lines.number}")
        return reader, names

    def _read_parquet(self, path: Path) -> Iterator[RowBlock]:
        try:
            from pyarrow import parquet
        except ImportError as error:
            raise MissingExtra("pyarrow", "parquet") from error
        size, first = path.stat().st_size, 0
        # Without pre-buffering, which would keep all that was read until the end.
        with explain_damage(self.name), parquet.ParquetFile(path, pre_buffer=False) as file:
            if self.header is None and KEY.encode() in (file.metadata.metadata or {}):
                self._refuse_export(self.name)
            total = file.metadata.num_rows
            names, chosen = file.schema_arrow.names, None
            if self.header is not None and self.header.digest is not None:
                names = chosen = [name for name in names if name != VERSION]  # a store gives versions itself
            self._check_names(names, self.name)
            for table in join_batches(file.iter_batches(batch_size=READ_ROWS, columns=chosen)):
                yield ParquetBlock(
                    self.name, self._columns, table, first, lambda rows: size * rows // total, self._make_item
                )
                first += table.num_rows

    def _check_names(self, names: Sequence[str], place: str) -> None:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise Failure(f"{place}: a column name is given twice: {twice[:60]!a}. Rename one of them.")
        self._columns.check_names(names)

    def _make_item(
        self, row: Mapping[str, Any], place: str, position: int, names: Sequence[str] | None = None
    ) -> Item | Skipped:
        where = f"{self.name}, {place}"
        try:
            return Item(self._columns.make_record(row, where, names), where, position)
        except Unreadable as error:
            return self._skip(place, error, position)

    def _skip(self, place: str, error: Unreadable, position: int) -> Skipped:
        return Skipped(f"{self.name}, {place}", str(error), bad=True, position=position)


def _tell(file: IO[bytes], packed: IO[bytes], position: int) -> int:
    """Return how many bytes of the stored file have been read."""
    if not packed.seekable():  # a pipe, whose size is not known either
        return position
    return position if file is packed and position else packed.tell()


def _describe_length(row: Sequence[str], names: Sequence[str]) -> str:
    return (
        f"the row does not have the {len(names)} columns of the header ({list_names(names)}), but {len(row)}; quote "
        "texts that contain the separator"
    )


def _explain(error: csv.Error) -> str:
    reason = str(error)
    if "new-line character" in reason:
        return "lines end with a carriage return alone; save the file with line ends of Windows or Unix"
    if "unexpected end of data" in reason:
        return "unexpected end of data; a quotation mark is not closed"
    return f"{reason}; write quotation marks within a quoted text twice"
