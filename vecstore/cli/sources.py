"""What `vecstore add` reads: documents in directories, and files of records; one item at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..fields import DateTime, Field, Keyword, Keywords
from ..fields import Int as IntField
from ..records import Record

MARKDOWN_ENDINGS = frozenset({".md", ".markdown", ".mdx"})
TEXT_ENDINGS = MARKDOWN_ENDINGS | {".txt", ".text", ".rst"}
RECORD_ENDINGS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip

DOCUMENT_FIELDS: dict[str, Field] = {
    "folder": Keyword(),
    "source": Keyword(),
    "heading": Keyword(),
    "line": IntField(),
    "title": Keyword(),
    "tags": Keywords(),
    "date": DateTime(),
}
"""Declared fields of a store that is created for documents."""


@dataclass(frozen=True, slots=True)
class Item:
    """A record, where it was read, and how many bytes of its source had been read by then.

    A ``passage`` is a part of a document, which is left out when it cannot be stored; any other record
    that cannot be stored is an error.
    """

    record: Record
    place: str
    position: int
    passage: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """What is not added, and why.

    Attributes
    ----------
    place : str
        A file, or a file and a line.
    reason : str
    bad : bool
        True for a record that should have been one; False for a file that is none of ours.
    position : int
    """

    place: str
    reason: str
    bad: bool = False
    position: int = 0


class Source(Protocol):
    """Something that gives records."""

    @property
    def size(self) -> int | None:
        """Bytes to read, None where that is not known."""

    def items(self) -> Iterator[Item | Skipped]:
        """Read from the beginning; in constant memory."""


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Which columns of a file of records are which parts of a record; all others are metadata."""

    id: str = "id"
    text: str = "text"
    vector: str = "vector"


def kind_of(path: Path) -> str | None:
    """Return the format of a file of records by its ending, or None for a document."""
    return RECORD_ENDINGS.get(path.suffix.lower())
