"""The bytes of a file, bounded; and the text of markup, in the encoding that it declares."""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path

from .parts import BrokenDocument
from .signatures import find_signature

_SNIFFED = 8_192
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
    marked = _find_mark(data)
    if not marked and b"\0" in data[:_SNIFFED] and not (encoding or "").startswith(("utf-16", "utf-32", "utf_16")):
        raise BrokenDocument("binary")
    return _decode(data, marked or encoding or "utf-8")


def decode_markup(data: bytes, encoding: str | None) -> str:
    """Decode HTML: by its byte order mark, the given encoding, the one that it declares, or as UTF-8.

    Raises
    ------
    BrokenDocument
    """
    marked = _find_mark(data)
    if marked or encoding:
        return _decode(data, marked or encoding or "")
    found = _DECLARED.search(data[:_SNIFFED])
    if found is None:
        return _decode(data, "utf-8")
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
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = encoding.removesuffix("-sig").upper()
        raise BrokenDocument(f"not {name} (line {line}); name its encoding with --encoding") from error


def _find_mark(data: bytes) -> str | None:
    return next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
