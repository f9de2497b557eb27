"""The stores that the files of one `vecstore add` were exported from, read before any record is."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .exits import Failure, describe_os_error
from .export_header import ExportHeader, find_origin, is_header, read_parquet_header
from .sources import detect_kind, is_compressed
from .text_lines import MAX_LINE_BYTES, TextLines, Unreadable

STDIN = "-"


@dataclass(frozen=True)
class Origins:
    """What the files say about the stores that they were exported from.

    Attributes
    ----------
    headers : mapping of str to ExportHeader
        By path, without files that were not exported.
    begin : bytes
        What was read of stdin to find out.
    """

    headers: Mapping[str, ExportHeader] = field(default_factory=dict)
    begin: bytes = b""

    @classmethod
    def read(cls, paths: Sequence[str], encoding: str | None) -> Origins:
        """Read the headers of all files of records.

        Raises
        ------
        Failure
            One is damaged or newer than this vecstore.
        """
        begin = sys.stdin.buffer.readline(MAX_LINE_BYTES + 1) if STDIN in paths else b""
        headers = {}
        for path in paths:
            if path == STDIN:
                name, value = "stdin", _parse(io.BytesIO(begin), "stdin", encoding)
            else:
                name, value = path, _read(Path(path), encoding)
            if value is not None:
                headers[path] = ExportHeader.from_json(value, name)
        return cls(headers, begin)

    def find_common(self, columns: Collection[str] = ()) -> ExportHeader | None:
        """Return the store that all of them describe, or None if there is none.

        Raises
        ------
        Failure
            Two of them describe different stores, or the user named columns, which those of an export are not.
        """
        origin = find_origin(self.headers.values())
        if origin and columns:
            raise Failure(f"{origin.place} is an export, whose columns are known. Leave out --{min(columns)}-column.")
        return origin


class ReplayedStream(io.RawIOBase):
    """A stream of which the beginning was read already.

    Parameters
    ----------
    begin : bytes
    rest : binary file
    """

    def __init__(self, begin: bytes, rest: IO[bytes]) -> None:
        self._begin, self._rest = io.BytesIO(begin), rest

    def readable(self) -> bool:
        """Say that the stream can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, at least a byte unless the stream has ended."""
        data = self._begin.read(len(buffer)) or self._rest.read1(len(buffer))  # type: ignore[attr-defined]
        buffer[: len(data)] = data
        return len(data)


def _read(path: Path, encoding: str | None) -> dict[str, Any] | None:
    kind = None if path.is_dir() else detect_kind(path)
    try:
        if kind == "parquet":
            return read_parquet_header(path)
        if kind not in {"jsonl", "json"}:
            return None
        with gzip.open(path, "rb") if is_compressed(path) else path.open("rb") as file:
            return _parse(file, str(path), encoding)  # type: ignore[arg-type]
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None  # reading the records says what is wrong
    except OSError as error:
        raise Failure(f"{path}: {describe_os_error(error)}.") from error


def _parse(file: IO[bytes], name: str, encoding: str | None) -> dict[str, Any] | None:
    """Return the header that the first line is, or None for any other line."""
    try:
        lines = TextLines(file, name, encoding)
        try:
            value = json.loads(next(lines, ""))
        finally:
            lines.detach()
    except (ValueError, RecursionError, Unreadable, Failure):
        return None  # reading the records says what is wrong
    return value if is_header(value) else None
