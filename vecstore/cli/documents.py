"""Directories of documents, and single ones, as passages."""

from __future__ import annotations

import os
import stat
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..fields import Field
from ..ids import MAX_ID_BYTES
from ..records import Record
from .blocks import read_blocks
from .formats.content import check_binary, check_text, decode_text, read_bytes
from .formats.kinds import PLAIN, Format, explain_refusal, find_format
from .formats.parts import BrokenDocument, DocumentPart, DocumentText
from .formats.process import ReaderProcess
from .formats.signatures import find_markup
from .front_matter import fit_metadata, make_metadata, read_front_matter
from .passages import Passage, join_blocks
from .sources import Item, Skipped, detect_kind

_ROOM_FOR_NUMBER = 12
_DATABASE_MARKS = ("catalog.db", "PG_VERSION")
"""Files in a directory of vecstore, and in one of PostgreSQL's, which often lie beside the documents."""
_NO_DOCUMENT = "not a document that is read"

UNREADABLE = -1
"""How many passages a file has that could not be read: not known, none of them is removed."""


@dataclass
class Documents:
    """The documents below a directory, or one document.

    Parameters
    ----------
    path : Path
    folder : str
        What ids begin with: ``folder/file.md#1``.
    root : str
        The directory, as `vecstore.cli.roots.describe_root` writes it; each passage stores it.
    patterns : sequence of str
        Which files of a directory to read, as shell patterns of their names; by default by their ending.
    passage_size : int
    encoding : str, optional
        Of text, HTML and notebooks; by default what they declare, or UTF-8.
    """

    path: Path
    folder: str
    root: str
    patterns: Sequence[str] = ()
    passage_size: int = 1_000
    encoding: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """Passages of each file read so far, by its ``source``."""
    fields: Mapping[str, Field] = field(default_factory=dict)
    """Declared fields of the store."""

    def __post_init__(self) -> None:
        self._files: list[tuple[Path, str, int, Format]] = []
        self._skipped: list[Skipped] = []
        self._left_out: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._outputs = 0
        self.is_refused = False
        """Whether this is one file that cannot be read."""
        self._missing: dict[Format, str | None] = {}
        if self.path.is_dir():
            self._walk()
        else:
            self._look_at(self.path, f"{self.folder}/{self.path.name}", chosen=True)
            self.is_refused = not self._files

    @property
    def whole_folder(self) -> bool:
        """Whether files of the folder that are not here are gone."""
        return self.path.is_dir()

    @property
    def sources(self) -> list[str]:
        """The ``source`` of each file to read."""
        return [source for _, source, _, _ in self._files]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, _, size, _ in self._files)

    def items(self) -> Iterator[Item | Skipped]:
        """Read file by file. A file that cannot be read is skipped, and the next one follows."""
        yield from self._skipped
        position = 0
        with ReaderProcess() as process:
            for path, source, size, kind in self._files:
                position += size
                if not size:
                    self.counts[source] = 0
                    yield Skipped(source, "empty")
                    continue
                try:
                    document, about = self._read(process, path, kind)
                except (BrokenDocument, OSError) as error:
                    self.counts[source] = UNREADABLE
                    self.is_refused = not self.whole_folder
                    reason = error.reason if isinstance(error, BrokenDocument) else f"unreadable: {error.strerror}"
                    yield Skipped(source, reason)
                    continue
                self.counts[source] = 0
                yield from self._make_items(document, about, source, kind, position)
                for place, reason in document.gaps:
                    yield Skipped(f"{source}, {place}" if place else source, reason)
                if not self.counts[source] and not document.gaps:
                    yield Skipped(source, "empty")

    @property
    def notes(self) -> list[str]:
        """What was read and is not stored, and how many files were not read."""
        notes = []
        if self._left_out:
            notes.append(f"keys of front matter that are not stored: {_count_files(self._left_out)}.")
        if self._outputs:
            notes.append(f"outputs of notebook cells that are not stored: {self._outputs:,}.")
        if self._unread:
            notes.append(
                f"files of other kinds: {_count_files(self._unread)}. To read text of another ending, use --glob."
            )
        return [f"{self.folder}: {each}" for each in notes]

    def _read(self, process: ReaderProcess, path: Path, kind: Format) -> tuple[DocumentText, dict[str, Any]]:
        """Return the text of a document, and metadata of all its passages."""
        if kind.module:
            document = process.read(path, kind, self.encoding)
            self._outputs += document.outputs
            return document, fit_metadata({"title": document.title}, self.fields)
        data = read_bytes(path, kind.max_bytes)
        check_text(data)
        text = decode_text(data, self.encoding).replace("\r\n", "\n").replace("\r", "\n")
        check_binary(text)
        if markup := find_markup(text):
            raise BrokenDocument(f"by its content {markup}")
        front = read_front_matter(text) if kind.front_matter else None
        about, left_out = make_metadata(front.values, self.fields) if front else ({}, [])
        self._left_out.update(left_out)
        part = DocumentPart(text, read_blocks(text, front.end if front else 0, kind.markup))
        return DocumentText([part]), about

    def _make_items(
        self, document: DocumentText, about: Mapping[str, Any], source: str, kind: Format, position: int
    ) -> Iterator[Item]:
        for part in document.parts:
            for passage in join_blocks(part.text, part.blocks, self.passage_size):
                self.counts[source] += 1
                values = {
                    **about,
                    "folder": self.folder,
                    "source": source,
                    "root": self.root,
                    "heading": passage.heading or None,
                }
                place = find_place(part, passage, kind)
                record = Record(
                    f"{source}#{self.counts[source]}",
                    text=passage.text,
                    metadata={**values, **fit_metadata(place, self.fields)},
                )
                where = "".join(f", {unit} {number}" for unit, number in place.items())
                yield Item(record, f"{source}{where}", position, passage=True)

    def _walk(self) -> None:
        def unreadable(error: OSError) -> None:
            self._skip(os.path.relpath(str(error.filename), self.path), f"unreadable: {error.strerror}")

        for folder, subfolders, names in os.walk(self.path, onerror=unreadable):
            here = Path(folder)
            for name in sorted(subfolders):
                if reason := _reason_by_directory(here / name):
                    subfolders.remove(name)
                    self._skip(self._source(here / name) + "/", reason)
            subfolders.sort()
            for name in sorted(names):
                self._look_at(here / name, self._source(here / name), chosen=False)

    def _source(self, path: Path) -> str:
        return f"{self.folder}/{path.relative_to(self.path).as_posix()}"

    def _skip(self, source: str, reason: str) -> None:
        self._skipped.append(Skipped(source, reason))

    def _look_at(self, path: Path, source: str, *, chosen: bool) -> None:
        try:
            found = path.stat() if chosen else path.lstat()
        except OSError as error:
            self.counts[source] = UNREADABLE
            self._skip(source, f"unreadable: {error.strerror}")
            return
        reason = None if chosen else self._reason_by_name(path, found)
        reason = reason or _reason_by_source(source)
        if reason is None and not stat.S_ISREG(found.st_mode):
            reason = "not a regular file"
        kind = self._find_kind(path, is_chosen=chosen or bool(self.patterns)) if reason is None else reason
        if isinstance(kind, str):
            self._skip(source, kind)
        elif found.st_size > kind.max_bytes:
            self._skip(source, f"larger than {kind.max_bytes >> 20} MiB")
        else:
            self._files.append((path, source, found.st_size, kind))

    def _reason_by_name(self, path: Path, found: os.stat_result) -> str | None:
        if path.name.startswith("."):
            return "hidden"
        if stat.S_ISLNK(found.st_mode):
            return "a symbolic link"
        if self.patterns and not any(fnmatch(path.name, pattern) for pattern in self.patterns):
            return "not chosen by --glob"
        return None

    def _find_kind(self, path: Path, *, is_chosen: bool) -> Format | str:
        """Return the format of a file by its name, or why it is not read."""
        kind = find_format(path)
        if kind is not None:
            if kind not in self._missing:
                self._missing[kind] = _explain_missing(kind)
            return self._missing[kind] or kind
        if detect_kind(path) is not None:
            return "a file of records; to add its records, name the file itself instead of its directory"
        if refusal := explain_refusal(path):
            return refusal
        if is_chosen:
            return PLAIN
        self._unread[path.suffix.lower() or "no ending"] += 1
        return _NO_DOCUMENT


def find_place(part: DocumentPart, passage: Passage, kind: Format) -> dict[str, int]:
    """Return where a passage begins, in what its format counts: ``{"page": 3}``."""
    if kind.unit == "line":
        return {"line": passage.line}
    begun = bisect_right(part.numbers, (passage.line, sys.maxsize))
    return {kind.unit: part.numbers[begun - 1][1]} if kind.unit and begun else {}


def _reason_by_directory(directory: Path) -> str | None:
    if directory.name.startswith("."):
        return "hidden"
    if directory.is_symlink():
        return "a symbolic link"
    with suppress(OSError):
        if any((directory / mark).exists() for mark in _DATABASE_MARKS):
            return "a database"
    return None


def _explain_missing(kind: Format) -> str | None:
    return f'{kind.name} is read with an extra: pip install "vecstore-db[documents]"' if kind.missing else None


def _count_files(counts: Counter[str]) -> str:
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{key} ({count:,} {'file' if count == 1 else 'files'})" for key, count in ranked)


def _reason_by_source(source: str) -> str | None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if size > MAX_ID_BYTES - _ROOM_FOR_NUMBER:
        return f"its path is longer than {MAX_ID_BYTES - _ROOM_FOR_NUMBER} bytes"
    return None
