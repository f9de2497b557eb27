"""Loading one file, in a worker process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..bulk import Ticket
from ..bulk.parts import write_batches
from ..columns import Columns
from ..errors import InvalidArgument
from ..fields import Field
from ..records import Record
from .exits import Failure, find_hint
from .recordfiles import RecordFile
from .sources import ColumnNames, Item, Skipped, detect_kind
from .vector_columns import VectorFit

FIRST = 32
ROWS = 5_000
"""Records that are read one by one and written together."""


@dataclass(frozen=True)
class FileReading:
    """How the files of a load are read; it can be pickled.

    Attributes
    ----------
    columns : ColumnNames
    fields : mapping of str to Field
    encoding : str or None
    fit : VectorFit
    """

    columns: ColumnNames
    fields: Mapping[str, Field]
    encoding: str | None
    fit: VectorFit

    def open(self, path: str, place: str = "") -> RecordFile:
        """Return the records of a file, which is at ``place`` and which messages call ``path``."""
        kind = detect_kind(Path(path))
        if kind is None:
            raise Failure(
                f"{path} is no file of records. Load JSONL, JSON, CSV or Parquet; documents go by `vecstore add`."
            )
        given = str(Path(path))
        return RecordFile(Path(place or path), kind, self.columns, self.fields, self.encoding, self.fit, given=given)


@dataclass(frozen=True)
class FileTask:
    """One file of a load; it can be pickled.

    Attributes
    ----------
    ticket : Ticket
    path : str
        As it was given.
    place : str
        The same, absolute: a worker may have another working directory.
    reading : FileReading
    """

    ticket: Ticket
    path: str
    place: str
    reading: FileReading

    @classmethod
    def make(cls, ticket: Ticket, path: str, reading: FileReading) -> FileTask:
        """Return the task of a file of this process's working directory."""
        # Links and ".." are left to the system that opens the file.
        return cls(ticket, path, os.path.join(os.getcwd(), path), reading)


def load_file(task: FileTask) -> int:
    """Write a file into a load, and return how many ids it has.

    Raises
    ------
    Failure
        A record cannot be stored.
    """
    try:
        return write_batches(task.ticket, read_parts(task.reading.open(task.path, task.place)))
    except InvalidArgument as error:
        raise Failure(f"{task.path}: {error} {find_hint(error)}".rstrip()) from error


def read_parts(file: RecordFile) -> Iterator[list[Record] | Columns]:
    """Return what a file has, by column where that says all.

    Raises
    ------
    Failure
        A record is invalid.
    """
    waiting: list[Record] = []
    for found in file.items():
        if isinstance(found, Item | Skipped):
            waiting += _take(found)
        elif (read := found.read_columns()) is not None:
            yield read.columns
        else:
            waiting += [record for item in found.items() for record in _take(item)]
        if len(waiting) >= ROWS:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def read_first(file: RecordFile) -> list[Record]:
    """Return the first records of a file, to learn what they are."""
    for found in file.items():
        if isinstance(found, Item | Skipped):
            return _take(found)
        return [record for item in found.cut(0, FIRST).items() for record in _take(item)]
    return []


def _take(found: Item | Skipped) -> list[Record]:
    if isinstance(found, Item):
        return [found.record]
    if found.bad:
        raise Failure(
            f"{found.place}: {found.reason.rstrip('.')}. Fix it; nothing of the load stays visible until then."
        )
    return []
