"""The bytes of a file, bounded; and the text of markup, in the encoding that it declares."""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path

from ..encodings import MARK_BYTES, describe_misfit, find_encoding
from .parts import BrokenDocument
from .signatures import find_signature

_SNIFFED = 8_192
_LEAST_WIDE = 16
_DECLARED = re.compile(
    rb"""<meta\s[^>]{0,1000}?\bcharset\s*=\s*["']?\s*([\w.:-]+)|^\s*<\?xml\s[^>]{0,200}?\bencoding\s*=\s*["']([\w.:-]+)""",
    re.IGNORECASE,
)
# What browsers read pages in that declare the name on the left.
_READ_AS = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
    "euc_kr": "cp949", "big5": "big5hkscs", "utf-16": "utf-8", "utf-16-le": "utf-8", "utf-16-be": "utf-8",
}  # fmt: skip


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file.

    Raises
    ------
    BrokenDocument
        It is no regular file (any more), or larger than ``limit`` by now.
    OSError
    """
    # A pipe that took the place of the file must not block.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BrokenDocument("not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise BrokenDocument(f"larger than {limit >> 20} MiB")
    return data


def check_text(data: bytes) -> None:
    """Refuse bytes that are another format.

    Raises
    ------
    BrokenDocument
    """
    if signature := find_signature(data):
        raise BrokenDocument(f"by its content {signature}")


def check_binary(text: str) -> None:
    """Refuse a text with NUL, which no text has.

    Raises
    ------
    BrokenDocument
    """
    if "\0" in text:
        raise BrokenDocument("binary")


def decode_text(data: bytes, encoding: str | None) -> str:
    """Decode a text file by its byte order mark, the given encoding, or as UTF-8.

    Raises
    ------
    BrokenDocument
    """
    found = find_encoding(data[:MARK_BYTES], encoding)
    sample = data[:_SNIFFED]
    if b"\0" in sample and not found.startswith(("utf-16", "utf-32")):
        raise BrokenDocument(describe_misfit("utf-8", sample) if _is_wide(sample) else "binary")
    return _decode(data, found)


def decode_markup(data: bytes, encoding: str | None) -> str:
    """Decode HTML: by its byte order mark, the given encoding, the one that it declares, or as UTF-8.

    Raises
    ------
    BrokenDocument
    """
    given = find_encoding(data[:MARK_BYTES], encoding)
    found = _DECLARED.search(data[:_SNIFFED])
    if found is None or given != "utf-8" or encoding:
        return decode_text(data, encoding)
    label = (found[1] or found[2]).decode("ascii", "replace")
    try:
        name = codecs.lookup(label).name
        "a".encode(name)
    except (LookupError, TypeError, ValueError) as error:
        raise BrokenDocument(f"declares the unknown encoding {label[:40]!a}; name it with --encoding") from error
    return _decode(data, _READ_AS.get(name, name))


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeError as error:  # some codecs do not say where
        line = data.count(b"\n", 0, getattr(error, "start", 0)) + 1
        raise BrokenDocument(f"line {line} is {describe_misfit(encoding)}") from error


def _is_wide(sample: bytes) -> bool:
    """Say whether bytes are probably text in UTF-16 without a mark: every other byte of much of it is zero."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    return len(sample) >= _LEAST_WIDE and max(even, odd) > len(sample) // 4 and min(even, odd) * 20 < max(even, odd)
