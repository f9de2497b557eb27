"""The text that elements of HTML stand for: lines, paragraphs, headings, cells of tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..blocks import Block, split_paragraphs
from .parts import DocumentPart, clean_text

_PARAGRAPHS = frozenset({
    "address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "div", "dl", "fieldset",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "main", "nav", "ol", "p",
    "pre", "section", "table", "ul",
})  # fmt: skip
_LINES = frozenset({"caption", "dd", "dt", "figcaption", "legend", "li", "summary", "tr"})
_CELLS = frozenset({"td", "th"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACES = re.compile(r"[ \t\n\f]+")
_LINE, _PARAGRAPH = 1, 2


class TextLayout:
    """Collects the text of elements in the order of the document."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._headings: list[tuple[int, int, int]] = []
        self._heading_start = 0
        self._preformatted = 0
        self._break = 0
        self._has_space = False
        self._is_at_start = False
        """Whether a cell or an item of a list has begun and has no text yet."""
        self._is_first_cell = False
        self.is_in_heading = False
        """Whether a heading has begun and not ended."""

    @property
    def has_text(self) -> bool:
        """Whether there is any text so far."""
        return self._length > 0

    def add_text(self, text: str) -> None:
        """Add the text between two tags."""
        text = clean_text(text)
        if self._preformatted:
            self._write(text)
            return
        words = _SPACES.sub(" ", text)
        self._has_space = self._has_space or words.startswith(" ")
        if words.strip(" "):
            self._write(words.strip(" "))
            self._has_space = words.endswith(" ")

    def start(self, tag: str) -> None:
        """Begin an element."""
        if tag in _CELLS:
            self._start_cell()
        elif tag == "br":
            self._break = min(self._break + 1, _PARAGRAPH)
        elif tag in _LINES or (tag in _PARAGRAPHS and not self._is_at_start):
            self._break = max(self._break, _LINE if tag in _LINES else _PARAGRAPH)
        if tag == "li":
            self._write("-")
            self._has_space = self._is_at_start = True
        elif tag == "tr":
            self._is_first_cell = True
        elif tag == "pre":
            self._preformatted += 1
        elif tag in _HEADINGS:
            self.is_in_heading, self._heading_start = True, -1

    def end(self, tag: str) -> None:
        """End an element."""
        if tag in _HEADINGS and self.is_in_heading:
            self._end_heading(_HEADINGS[tag])
        if tag in _CELLS or tag == "tr":
            self._break = _LINE if tag == "tr" else 0
            self._is_at_start = False
        elif tag in _LINES or tag in _PARAGRAPHS:
            self._break = max(self._break, _LINE if tag in _LINES else _PARAGRAPH)
        if tag == "pre":
            self._preformatted -= 1

    def make_part(self) -> DocumentPart:
        """Return the text with its headings and paragraphs."""
        text = "".join(self._pieces)
        return DocumentPart(text, list(_list_blocks(text, self._headings)))

    def _start_cell(self) -> None:
        if not self._is_first_cell:
            self._pieces.append(" |")
            self._length += 2
            self._break, self._has_space = 0, True
        self._is_first_cell, self._is_at_start = False, True

    def _end_heading(self, level: int) -> None:
        self.is_in_heading = False
        if self._heading_start >= 0:
            self._headings.append((self._heading_start, self._length, level))

    def _write(self, text: str) -> None:
        if not text:
            return
        if self.is_in_heading and self._heading_start >= 0:
            before = " " if self._break or self._has_space else ""
        else:
            before = "\n" * self._break if self._break else " " if self._has_space else ""
        if self._length:
            self._pieces.append(before)
            self._length += len(before)
        if self.is_in_heading and self._heading_start < 0:
            self._heading_start = self._length
        self._pieces.append(text)
        self._length += len(text)
        self._break, self._has_space, self._is_at_start = 0, False, False


def _list_blocks(text: str, headings: list[tuple[int, int, int]]) -> Iterator[Block]:
    done = 0
    for start, end, level in headings:
        yield from split_paragraphs(text, done, start)
        yield Block(start, end, level, " ".join(text[start:end].split()))
        done = end
    yield from split_paragraphs(text, done, len(text))
