"""Directories of text and Markdown files, and single ones, as passages."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..fields import Field
from ..ids import MAX_ID_BYTES
from ..records import Record
from .blocks import Markup
from .front_matter import make_metadata, read_front_matter
from .passages import passages
from .sources import MARKDOWN_ENDINGS, TEXT_ENDINGS, Item, Skipped

MAX_FILE_BYTES = 64 << 20
_SNIFFED = 8192
_ROOM_FOR_NUMBER = 12

UNREADABLE = -1
"""How many passages a file has that could not be read: not known, none of them is removed."""


@dataclass
class Documents:
    """The text files below a directory, or one text file.

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
    """

    path: Path
    folder: str
    root: str
    patterns: Sequence[str] = ()
    passage_size: int = 1_000
    counts: dict[str, int] = field(default_factory=dict)
    """Passages of each file read so far, by its ``source``."""
    fields: Mapping[str, Field] = field(default_factory=dict)
    """Declared fields of the store."""

    def __post_init__(self) -> None:
        self._files: list[tuple[Path, str, int]] = []
        self._skipped: list[Skipped] = []
        self._left_out: Counter[str] = Counter()
        if self.path.is_dir():
            self._walk()
        else:
            self._look_at(self.path, f"{self.folder}/{self.path.name}", chosen=True)

    @property
    def whole_folder(self) -> bool:
        """Whether files of the folder that are not here are gone."""
        return self.path.is_dir()

    @property
    def sources(self) -> list[str]:
        """The ``source`` of each file to read."""
        return [source for _, source, _ in self._files]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, _, size in self._files)

    def items(self) -> Iterator[Item | Skipped]:
        """Read file by file."""
        yield from self._skipped
        position = 0
        for path, source, size in self._files:
            position += size
            text = self._text(path, source)
            if isinstance(text, Skipped):
                yield text
                continue
            self.counts[source] = 0
            is_markdown = path.suffix.lower() in MARKDOWN_ENDINGS
            about = self._read_front_matter(text) if is_markdown else {}
            markup: Markup = "rst" if path.suffix.lower() == ".rst" else "markdown"
            for number, passage in enumerate(
                passages(text, self.passage_size, markup=markup, front_matter=is_markdown), 1
            ):
                self.counts[source] = number
                values = {
                    **about,
                    "folder": self.folder,
                    "source": source,
                    "root": self.root,
                    "heading": passage.heading or None,
                }
                record = Record(f"{source}#{number}", text=passage.text, metadata={**values, "line": passage.line})
                yield Item(record, f"{source}, line {passage.line}", position, passage=True)
            if not self.counts[source]:
                yield Skipped(source, "empty")

    @property
    def notes(self) -> list[str]:
        """What was read and is not stored."""
        if not self._left_out:
            return []
        keys = (f"{key} ({count:,} {'file' if count == 1 else 'files'})" for key, count in self._left_out.most_common())
        return [f"{self.folder}: keys of front matter that are not stored: {', '.join(keys)}."]

    def _read_front_matter(self, text: str) -> dict[str, Any]:
        metadata, left_out = make_metadata(read_front_matter(text).values, self.fields)
        self._left_out.update(left_out)
        return metadata

    def _walk(self) -> None:
        def unreadable(error: OSError) -> None:
            self._skip(os.path.relpath(str(error.filename), self.path), f"unreadable: {error.strerror}")

        for folder, subfolders, names in os.walk(self.path, onerror=unreadable):
            here = Path(folder)
            for name in sorted(subfolders):
                if name.startswith(".") or (here / name).is_symlink():
                    subfolders.remove(name)
                    reason = "hidden" if name.startswith(".") else "a symbolic link"
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
        if reason is None and found.st_size > MAX_FILE_BYTES:
            reason = f"larger than {MAX_FILE_BYTES >> 20} MiB"
        if reason is None:
            self._files.append((path, source, found.st_size))
        else:
            self._skip(source, reason)

    def _reason_by_name(self, path: Path, found: os.stat_result) -> str | None:
        if path.name.startswith("."):
            return "hidden"
        if stat.S_ISLNK(found.st_mode):
            return "a symbolic link"
        if self.patterns:
            fits = any(fnmatch(path.name, pattern) for pattern in self.patterns)
            return None if fits else "not chosen by --glob"
        if path.suffix.lower() in TEXT_ENDINGS:
            return None
        return f"not text or Markdown ({path.suffix.lower() or 'no ending'})"

    def _text(self, path: Path, source: str) -> str | Skipped:
        try:
            data = path.read_bytes()
        except OSError as error:
            self.counts[source] = UNREADABLE
            return Skipped(source, f"unreadable: {error.strerror}")
        if b"\0" in data[:_SNIFFED]:
            return Skipped(source, "binary")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            return Skipped(source, f"not UTF-8 (line {line})")
        return Skipped(source, "binary") if "\0" in text else text.replace("\r\n", "\n").replace("\r", "\n")


def _reason_by_source(source: str) -> str | None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if size > MAX_ID_BYTES - _ROOM_FOR_NUMBER:
        return f"its path is longer than {MAX_ID_BYTES - _ROOM_FOR_NUMBER} bytes"
    return None
