"""Lines of a text file or stdin, with their number, in constant memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

from .encodings import MARK_BYTES, describe_misfit, find_encoding
from .exits import Failure

MAX_LINE_BYTES = 64 << 20


class Unreadable(ValueError):
    """Why a line or a row is not a record."""


class TextLines(Iterator[str]):
    """Lines of a file as text; a line that is not in its encoding raises `Unreadable`, and the next one can be read.

    Parameters
    ----------
    file : binary file
    name : str
        What messages call the file.
    encoding : str, optional
        For a file without a byte order mark; UTF-8 by default.
    """

    def __init__(self, file: IO[bytes], name: str, encoding: str | None = None) -> None:
        self._file, self._name = open_buffered(file), name
        self.encoding = find_encoding(self._file.peek(MARK_BYTES)[:MARK_BYTES], encoding)
        self.number = self.position = 0
        # A line feed has several bytes in these.
        self._wide = self.encoding.replace("_", "-").startswith(("utf-16", "utf-32"))
        self._text = io.TextIOWrapper(self._file, self.encoding, newline="\n") if self._wide else None

    def __next__(self) -> str:
        if self._text is not None:
            return self._read_wide(self._text)
        line = self._file.readline(MAX_LINE_BYTES + 1)
        self._count(line)
        try:
            text = line.decode("utf-8" if self.encoding == "utf-8-sig" else self.encoding)
        except UnicodeError as error:
            raise Unreadable(describe_misfit(self.encoding, line)) from error
        if self.number == 1:
            text = text.removeprefix("\ufeff")
            if "\0" in text:
                raise Failure(f"{self._name}, line 1: {describe_misfit(self.encoding, line)}.")
        return text

    def detach(self) -> None:
        """Leave the file, which its owner closes, before the end."""
        if self._text is not None:
            self._text.detach()

    def _read_wide(self, text: io.TextIOWrapper) -> str:
        try:
            line = text.readline(MAX_LINE_BYTES + 1)
        except UnicodeError as error:
            place = f"{self._name}, after line {self.number}"
            raise Failure(f"{place}: {describe_misfit(self.encoding)}.") from error
        self._count(line)
        return line.removeprefix("\ufeff") if self.number == 1 else line

    def _count(self, line: bytes | str) -> None:
        if not line:
            if self._text is not None:
                self._text.detach()  # closing is the owner's
            raise StopIteration
        self.number += 1
        self.position += len(line) * (2 if self._wide else 1)
        if len(line) > MAX_LINE_BYTES:
            raise Failure(
                f"{self._name}, line {self.number}: longer than {MAX_LINE_BYTES >> 20} MiB; a file of records has one "
                "per line."
            )


def open_buffered(file: IO[bytes]) -> io.BufferedReader:
    """Return a file as one that can be looked into before it is read."""
    return file if hasattr(file, "peek") else io.BufferedReader(file)  # type: ignore[arg-type, return-value]
