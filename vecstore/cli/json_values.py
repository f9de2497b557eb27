"""Values of JSON: a line, a cell, and the elements of a file that is one array or holds one object after the other."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from .encodings import MARK_BYTES, describe_misfit, find_encoding
from .exits import Failure
from .text_lines import MAX_LINE_BYTES, Unreadable, open_buffered

_CHUNK = 1 << 20
_SPACE = re.compile(r"[ \t\n\r]*")


def parse_json(text: str, what: str) -> Any:
    """Return the value of a JSON text; raise `Unreadable` if it is none."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_twice)
    except json.JSONDecodeError as error:
        raise Unreadable(f"{what} is not JSON ({error.msg} at column {error.colno})") from error
    except RecursionError as error:
        raise Unreadable(f"{what} is nested too deeply") from error
    except ValueError as error:
        raise Unreadable(f"{what} is not JSON ({_explain(error)})") from error


def parse_object(text: str) -> dict[str, Any]:
    """Return the object on a line; raise `Unreadable` if it is none."""
    if text.startswith("["):
        raise Unreadable("not a JSON object but an array; if everything is one, save it with the ending .json")
    value = parse_json(text, "the line")
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def iterate_values(file: IO[bytes], name: str, encoding: str | None) -> Iterator[Any]:
    """Iterate over the elements of an array, or over objects that follow each other, in constant memory.

    Raises
    ------
    Failure
        The file is not JSON, so that its end cannot be found either.
    """
    source = _Text(file, name, encoding)
    begin = source.look()
    if begin not in {"[", "{"}:
        raise Failure(f"{name}: neither a JSON array of records nor JSON objects.")
    is_array = begin == "["
    if is_array:
        source.skip()
    number = 0
    while True:
        following = source.look()
        if is_array and following == "]":
            source.skip()
            following = source.look()
            if following:
                raise Failure(f"{name}: there is something behind the array of {number:,} records.")
            return
        if not following and not is_array:
            return
        number += 1
        yield source.decode(number)
        if is_array and source.look() == ",":
            source.skip()
        elif is_array and source.look() != "]":
            raise Failure(f"{name}, record {number}: not JSON; there is no comma or end of the array behind it.")


class _Text:
    """The text of a file of JSON from where it was not read yet."""

    def __init__(self, file: IO[bytes], name: str, encoding: str | None) -> None:
        self._file, self._name = open_buffered(file), name
        self._encoding = find_encoding(self._file.peek(MARK_BYTES)[:MARK_BYTES], encoding)
        self._decoder = codecs.getincrementaldecoder(self._encoding)()
        self._json = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_refuse_twice)
        self._buffer, self._at, self._ended = "", 0, False

    def look(self) -> str:
        """Return the next character that is not white space, or an empty string at the end."""
        while True:
            self._at = _SPACE.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._read(_CHUNK):
                return ""

    def skip(self) -> None:
        """Pass the character that `look` returned."""
        self._at += 1

    def decode(self, number: int) -> Any:
        """Return the value that begins here."""
        size = _CHUNK
        while True:
            try:
                value, self._at = self._json.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if len(self._buffer) - self._at > MAX_LINE_BYTES or not self._read(size):
                    raise Failure(f"{self._name}, record {number}: not JSON ({error.msg}).") from error
                size *= 2
            except RecursionError as error:
                raise Failure(f"{self._name}, record {number}: nested too deeply.") from error
            except ValueError as error:
                raise Failure(f"{self._name}, record {number}: not JSON ({_explain(error)}).") from error
            else:
                return value

    def _read(self, size: int) -> bool:
        """Read on, and say whether there was more."""
        if self._ended:
            return False
        data = self._file.read(size)
        self._ended = not data
        try:
            text = self._decoder.decode(data, final=self._ended)
        except UnicodeError as error:
            raise Failure(f"{self._name}: {describe_misfit(self._encoding, data[:1_000])}.") from error
        self._buffer = self._buffer[self._at :] + text.removeprefix("\ufeff")
        self._at = 0
        return bool(text) or not self._ended


def _explain(error: ValueError) -> str:
    # Python's own advice is for programs.
    return "a number has thousands of digits; write it as text" if "digits" in str(error) else str(error)


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object with a key twice, because one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!a} is given twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number; write null for a missing value")
