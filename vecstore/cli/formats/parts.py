"""What a document consists of once it is read, and why it could not be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..blocks import Block

_PLAIN: dict[int, str | None] = {
    **{code: None for code in (*range(0x20), 0x7F, 0xAD, 0xFEFF) if chr(code) not in "\n\t"},
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st",
}  # fmt: skip
_SURROGATE = re.compile("[\ud800-\udfff]")


class BrokenDocument(Exception):
    """Why a document is not read.

    Parameters
    ----------
    reason : str
        Without the document's name; for a person.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A part of a document that passages stay within: the whole, a page, a chapter.

    Attributes
    ----------
    text : str
        Lines end in a newline.
    blocks : iterable of Block
        Headings and paragraphs in the order of the text. A heading without characters is known from elsewhere, such as
        the outline of a PDF.
    numbers : sequence of tuple of int
        The lines at which pages or cells begin, counted from 1, and the numbers of these.
    """

    text: str
    blocks: Iterable[Block]
    numbers: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The text of a document.

    Attributes
    ----------
    parts : sequence of DocumentPart
    title : str, optional
        What the document says is its title.
    gaps : sequence of tuple of str
        Places within the document that could not be read, and why.
    outputs : int
        Outputs of notebook cells, which are left out.
    """

    parts: Sequence[DocumentPart]
    title: str | None = None
    gaps: Sequence[tuple[str, str]] = ()
    outputs: int = 0


def clean_text(text: str) -> str:
    """Return a text without what no reader sees, such as control characters and soft hyphens.

    Line ends become newlines, ligatures letters, and lone surrogates U+FFFD.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n").translate(_PLAIN)
    return _SURROGATE.sub("\ufffd", plain)
