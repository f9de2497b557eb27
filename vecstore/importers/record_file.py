"""Records in a file beside an index: JSON lines, JSON or Parquet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ..columns.arrow_input import import_pyarrow
from ..errors import InvalidArgument
from .payloads import Payload

_ENDINGS = (".jsonl", ".ndjson", ".json", ".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of records: how many there are, and a function that yields them in pieces of at most so many."""

    count: int
    read: Callable[[int], Iterator[list[Payload]]]


@contextmanager
def open_records(place: str | os.PathLike[str]) -> Iterator[SourceFile]:
    """Open a file of records. JSON lines and Parquet are read in constant memory.

    Raises
    ------
    InvalidArgument
        There is no such file, it is a pickle, or its content is not what its name says.
    MissingExtra
    """
    path = Path(place).expanduser()
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        what = (
            "A pickle can run a program when it is read, so it is never opened"
            if ending in {".pkl", ".pickle"}
            else (f"{path.name!a} is no file of records")
        )
        raise InvalidArgument(f"{what}. Write the records to a file that ends in .jsonl, .json or .parquet.")
    if not path.is_file():
        raise InvalidArgument(f"There is no file {str(path)!a} of records.")
    if ending in {".parquet", ".pq"}:
        yield from _open_parquet(path)
    elif ending == ".json":
        records = _read_json(path)
        yield SourceFile(len(records), lambda rows: _cut(iter(records), rows))
    else:
        with path.open("rb") as file:
            count = sum(1 for line in file if line.strip())
        yield SourceFile(count, lambda rows: _cut(_read_lines(path), rows))


def _cut(records: Iterator[Payload], rows: int) -> Iterator[list[Payload]]:
    while piece := list(islice(records, rows)):
        yield piece


def _read_lines(path: Path) -> Iterator[Payload]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _check(_parse(line, f"Line {number} of {path.name!a}"), f"Line {number} of {path.name!a}")


def _read_json(path: Path) -> list[Payload]:
    parsed = _parse(path.read_bytes(), f"{path.name!a}")
    if not isinstance(parsed, list):
        raise InvalidArgument(f"{path.name!a} holds no JSON array of objects. Write one object for each record.")
    return [_check(each, f"Item {number} of {path.name!a}") for number, each in enumerate(parsed)]


def _parse(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{what} is not JSON. Correct the file.") from error


def _check(value: Any, what: str) -> Payload:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{what} is no JSON object. Write one object for each record.")
    return value


def _open_parquet(path: Path) -> Iterator[SourceFile]:
    pa = import_pyarrow()
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InvalidArgument(f"{path.name!a} is no Parquet file, or it is damaged.") from error
    with file:
        yield SourceFile(
            file.metadata.num_rows, lambda rows: (batch.to_pylist() for batch in file.iter_batches(batch_size=rows))
        )
