"""What `vecstore add` reads: documents in directories, and files of records; one item at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..columns import Columns
from ..fields import DateTime, Field, Keyword, Keywords
from ..fields import Int as IntField
from ..records import Record

RECORD_ENDINGS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip

DOCUMENT_FIELDS: dict[str, Field] = {
    "folder": Keyword(),
    "source": Keyword(),
    "root": Keyword(),
    "heading": Keyword(),
    "line": IntField(),
    "page": IntField(),
    "cell": IntField(),
    "title": Keyword(),
    "tags": Keywords(),
    "date": DateTime(),
}
"""Declared fields of a store created for documents."""

_SHOWN_NAMES = 20
PASSAGE_KEYS = ("folder", "source", "root", "heading", "line")
"""The metadata that passages have themselves; the others come from front matter."""


@dataclass(frozen=True, slots=True)
class Item:
    """A record, its place, and the bytes of its source that had been read by then.

    A ``passage`` is a part of a document and is left out if it cannot be stored; any other record that cannot be
    stored is an error.
    """

    record: Record
    place: str
    position: int
    passage: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not added, and why.

    Attributes
    ----------
    place : str
        A file, or a file and a line.
    reason : str
    bad : bool
        True for an invalid record; False for a file that is not read.
    position : int
    """

    place: str
    reason: str
    bad: bool = False
    position: int = 0


@dataclass(frozen=True, slots=True)
class ReadColumns:
    """Rows of a table as columns, and whether one of them has a text and no vector."""

    columns: Columns
    has_bare_texts: bool


class RowBlock(Protocol):
    """Rows of a table one after another, which may be written by column."""

    def __len__(self) -> int:
        """Return how many rows there are, at least one."""

    @property
    def position(self) -> int:
        """The bytes of the source that had been read by the end of the block."""

    def cut(self, start: int, end: int) -> RowBlock:
        """Return the rows from ``start`` up to ``end``, or to the last one."""

    def read_columns(self) -> ReadColumns | None:
        """Return the rows as columns, or None if they are to be read one by one."""

    def items(self) -> Iterator[Item | Skipped]:
        """Read row by row."""


class Source(Protocol):
    """A source of records."""

    @property
    def notes(self) -> list[str]:
        """What the user should know about how it was read."""

    @property
    def size(self) -> int | None:
        """Bytes to read, or None if that is not known."""

    def items(self) -> Iterator[Item | Skipped | RowBlock]:
        """Read from the beginning; in constant memory."""


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The columns of a record's parts in a file of records; all others are metadata.

    ``given`` are the parts whose column the user named.
    """

    id: str = "id"
    text: str = "text"
    vector: str = "vector"
    given: frozenset[str] = frozenset()


def detect_kind(path: Path) -> str | None:
    """Return the format of a file of records by its ending, also behind ``.gz``, or None for a document."""
    kind = RECORD_ENDINGS.get((path.with_suffix("") if is_compressed(path) else path).suffix.lower())
    return None if kind == "parquet" and is_compressed(path) else kind


def is_compressed(path: Path) -> bool:
    """Return whether a file's name says that it is compressed with gzip."""
    return path.suffix.lower() == ".gz"


def list_names(names: Iterable[str]) -> str:
    """Return the first names of columns, quoted, for a message."""
    listed = [ascii(name[:60]) for name in names]
    more = f" and {len(listed) - _SHOWN_NAMES:,} more" if len(listed) > _SHOWN_NAMES else ""
    return f"{', '.join(listed[:_SHOWN_NAMES])}{more}" if listed else "no columns"
