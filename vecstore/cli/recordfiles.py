"""Files of records: JSON lines, CSV and Parquet."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from ..errors import MissingExtra
from ..fields import Bool, DateTime, Field, Float, Int, Keywords
from ..records import Record
from .exits import Failure, describe_os_error
from .sources import ColumnNames, Item, Skipped

MAX_LINE_BYTES = 64 << 20
_PARQUET_ROWS = 1_000
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Unreadable(ValueError):
    """Why a line or a row is not a record."""


@dataclass
class RecordFile:
    """Records of one file.

    Parameters
    ----------
    path : Path or None
        None reads JSON lines from stdin.
    kind : {"jsonl", "csv", "parquet"}
    columns : ColumnNames
    fields : mapping of str to Field
        Declared fields; texts are converted to their types.
    """

    path: Path | None
    kind: str
    columns: ColumnNames = field(default_factory=ColumnNames)
    fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name in messages."""
        return "stdin" if self.path is None else str(self.path)

    @property
    def size(self) -> int | None:
        """Bytes of the file, None for a pipe."""
        if self.path is None:
            return None
        try:
            return self.path.stat().st_size or None
        except OSError as error:
            raise Failure(f"{self.name}: {describe_os_error(error)}.") from error

    def items(self) -> Iterator[Item | Skipped]:
        """Read record by record."""
        try:
            if self.path is None:
                yield from self._read_json_lines(sys.stdin.buffer)
            elif self.kind == "parquet":
                yield from self._read_parquet(self.path)
            else:
                with self.path.open("rb") as file:
                    yield from self._read_csv(file) if self.kind == "csv" else self._read_json_lines(file)
        except OSError as error:
            raise Failure(f"{self.name}: {describe_os_error(error)}.") from error

    def _read_json_lines(self, file: IO[bytes]) -> Iterator[Item | Skipped]:
        position = number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            position += len(line)
            place = f"{self.name}, line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise Failure(f"{place}: longer than {MAX_LINE_BYTES >> 20} MiB; a file of records has one per line.")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line := line.strip():
                try:
                    yield self._make_item(_parse_object(line), place, position)
                except Unreadable as error:
                    yield Skipped(place, str(error), bad=True, position=position)

    def _read_csv(self, file: IO[bytes]) -> Iterator[Item | Skipped]:
        csv.field_size_limit(MAX_LINE_BYTES)
        delimiter = "\t" if self.path and self.path.suffix.lower() == ".tsv" else ","
        lines = _Lines(file, self.name)
        reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
        try:
            names = reader.fieldnames or []
            if len(set(names)) < len(names):
                raise Failure(f"{self.name}, line 1: a column name is given twice.")
            while True:
                begin = lines.number + 1
                try:
                    row = next(reader)
                except StopIteration:
                    return
                place = f"{self.name}, line {begin}"
                try:
                    if None in row or None in row.values():
                        raise Unreadable(f"the row does not have the {len(names)} columns of line 1")
                    item = self._make_item(
                        {key: value for key, value in row.items() if value != ""}, place, lines.position
                    )
                except Unreadable as error:
                    yield Skipped(place, str(error), bad=True, position=lines.position)
                else:
                    yield item
        except csv.Error as error:
            raise Failure(f"{self.name}, line {lines.number}: {error}.") from error

    def _read_parquet(self, path: Path) -> Iterator[Item | Skipped]:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise MissingExtra("pyarrow", "parquet") from error
        number, size = 0, path.stat().st_size
        try:
            with parquet.ParquetFile(path) as file:
                total = file.metadata.num_rows
                names = file.schema_arrow.names
                if len(set(names)) < len(names):
                    raise Failure(f"{self.name}: a column name is given twice.")
                for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                    for row in _iterate_rows(batch, self.columns.vector):
                        number += 1
                        place, position = f"{self.name}, row {number}", size * number // total
                        try:
                            yield self._make_item(row, place, position)
                        except Unreadable as error:
                            yield Skipped(place, str(error), bad=True, position=position)
        except (pa.ArrowException, ValueError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise Failure(f"{self.name}: cannot be read as Parquet: {reason}.") from error

    def _make_item(self, row: dict[str, Any], place: str, position: int) -> Item:
        values = dict(row)
        id_ = values.pop(self.columns.id, None)
        text, vector = values.pop(self.columns.text, None), values.pop(self.columns.vector, None)
        if isinstance(id_, int) and not isinstance(id_, bool):
            id_ = str(id_)
        if id_ is not None and not isinstance(id_, str):
            raise Unreadable(f"{self.columns.id!r} is not text")
        if id_ is None:
            raise Unreadable(f"no {self.columns.id!r}; name the column that holds ids with --id-column")
        if text is None and vector is None:
            raise Unreadable(f"neither {self.columns.text!r} nor {self.columns.vector!r}; see --text-column")
        if isinstance(vector, str):
            vector = _parse_json(vector, self.columns.vector)
        if isinstance(vector, list) and not all(type(number) in (int, float) for number in vector):
            raise Unreadable(f"{self.columns.vector!r} is not a list of numbers")
        nested = values.get("metadata")
        if isinstance(nested, str) and nested.lstrip().startswith("{") and self.kind != "jsonl":
            nested = _parse_json(nested, "metadata")
        if isinstance(nested, dict):
            del values["metadata"]
            if twice := sorted(set(values) & set(nested)):
                raise Unreadable(f"{twice[0]!r} is given twice, once within 'metadata'")
            values.update(nested)
        metadata = {key: self._convert_value(key, value) for key, value in values.items()}
        return Item(Record(id_, vector, text, metadata), place, position)

    def _convert_value(self, key: str, value: Any) -> Any:
        declared = self.fields.get(key)
        if declared is not None and isinstance(value, str):
            return _convert_text(value, declared, from_text=self.kind == "csv")
        if isinstance(value, datetime) and isinstance(declared, DateTime):
            return value
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        return str(value) if isinstance(value, Decimal) else value


class _Lines(Iterator[str]):
    """Lines of a file as text, with their number and position."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name
        self.number = self.position = 0

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.position += len(line)
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise Failure(f"{self._name}, line {self.number}: not UTF-8.") from error


def _iterate_rows(batch: Any, vector: str) -> Iterator[dict[str, Any]]:
    """Return the rows of an Arrow batch, with vectors as arrays, which is much faster than lists."""
    names = [name for name in batch.schema.names if name != vector]
    columns = {name: batch.column(name).to_pylist() for name in names}
    vectors: list[Any] = [None] * batch.num_rows
    if vector in batch.schema.names:
        column = batch.column(vector)
        for number in range(batch.num_rows):
            value = column[number]
            if value.is_valid:
                vectors[number] = (
                    value.values.to_numpy(zero_copy_only=False) if hasattr(value, "values") else value.as_py()
                )
    for number in range(batch.num_rows):
        yield {**{name: columns[name][number] for name in names}, vector: vectors[number]}


def _parse_object(line: bytes) -> dict[str, Any]:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8") from error
    value = _parse_json(text, "the line")
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def _parse_json(text: str, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise Unreadable(f"{what} is not JSON ({error.msg} at column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{what} is not JSON ({error})") from error


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _convert_text(text: str, declared: Field, *, from_text: bool) -> Any:
    """Return the value of a text, or the text itself if it has none; the write then refuses it."""
    try:
        if isinstance(declared, DateTime):
            return datetime.fromisoformat(text)
        if not from_text:
            return text
        if isinstance(declared, Int | Float):
            return int(text) if isinstance(declared, Int) else float(text)
        if isinstance(declared, Bool):
            return _TRUTH.get(text.strip().lower(), text)
        if isinstance(declared, Keywords):
            return json.loads(text) if text.startswith("[") else text.split("|")
    except ValueError:
        return text
    return text
