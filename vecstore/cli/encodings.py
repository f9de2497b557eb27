"""Encodings of text files: by a byte order mark, by ``--encoding``, otherwise UTF-8. Nothing is guessed."""

from __future__ import annotations

import codecs
from typing import Annotated

import typer

from ..errors import close_matches
from .exits import Failure

_COMMON = ("utf-8", "utf-16", "cp1252", "latin-1", "iso-8859-15", "cp1251", "shift_jis", "gb18030", "big5", "euc_kr")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARK_BYTES = 4
"""The first bytes of a file that `find_encoding` looks at."""

Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="The encoding of files that are not UTF-8, such as cp1252 (Western Windows), latin-1 or shift_jis.",
    ),
]


def parse_encoding(name: str | None) -> str | None:
    """Return the encoding that ``--encoding`` names.

    Raises
    ------
    Failure
        Python has no text encoding of that name.
    """
    if name is None:
        return None
    try:
        found = codecs.lookup(name.strip())
        "a".encode(found.name)
    except (LookupError, ValueError, TypeError) as error:
        raise Failure(f"There is no encoding {name!a}.{close_matches(name.lower(), _COMMON)}") from error
    return found.name


def find_encoding(head: bytes, given: str | None) -> str:
    """Return the encoding of a file: that of its byte order mark, the given one, or UTF-8.

    Parameters
    ----------
    head : bytes
        The first `MARK_BYTES` bytes of the file.
    given : str, optional
        What ``--encoding`` says, as `parse_encoding` returns it.
    """
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    return marked or given or "utf-8"


def describe_misfit(encoding: str, sample: bytes = b"") -> str:
    """Say that bytes are not in the encoding, and what to do about it."""
    name = encoding.removesuffix("-sig").upper()
    if encoding not in {"utf-8", "utf-8-sig"}:
        return f"not {name}. Name the file's encoding with --encoding, or save the file as UTF-8"
    if b"\0" in sample:
        return f"not {name} but probably UTF-16. Add --encoding utf-16-le or save the file as UTF-8"
    return (
        f"not {name}. Name the file's encoding with --encoding, such as --encoding cp1252 for a file of Western "
        "Windows, or save the file as UTF-8"
    )
