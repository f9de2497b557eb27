"""Passages: the parts of a text document that are embedded and found each by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..sentences import cut_text
from .blocks import Block, Markup, read_blocks
from .front_matter import read_front_matter

DEFAULT_SIZE = 1_000
MIN_SIZE, MAX_SIZE = 100, 100_000

_MAX_HEADING = 250  # characters; a Keyword holds 1,024 bytes


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document.

    Attributes
    ----------
    text : str
    line : int
        Where it begins, counted from 1.
    heading : str
        The headings above it, outermost first, joined by ``" > "``; empty when there are none.
    """

    text: str
    line: int
    heading: str


@dataclass(slots=True)
class _Open:
    """The passage that is being filled."""

    blocks: list[Block] = field(default_factory=list)
    size: int = 0
    has_body: bool = False

    def add(self, block: Block) -> None:
        self.blocks.append(block)
        self.size += block.end - block.start
        self.has_body = self.has_body or not block.level


@dataclass(slots=True)
class _Lines:
    """Counts lines up to places that never go back."""

    text: str
    place: int = 0
    number: int = 1

    def number_at(self, place: int) -> int:
        self.number += self.text.count("\n", self.place, place)
        self.place = place
        return self.number


def passages(
    text: str, size: int = DEFAULT_SIZE, *, markup: Markup = "markdown", front_matter: bool = True
) -> Iterator[Passage]:
    """Split a document at its headings, then between paragraphs, sentences, words, so that passages fit ``size``.

    Short paragraphs share a passage; a passage never spans two sections. It carries its own heading lines, and
    otherwise the document's lines as they are. Time and memory grow linearly with the text.

    Parameters
    ----------
    text : str
    size : int
        Characters in one passage at most.
    markup : {"markdown", "rst", "text"}
        How headings are written; in ``"text"`` there are none.
    front_matter : bool
        Leave out the YAML front matter of a Markdown document; `read_front_matter` says what counts as such.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    start = read_front_matter(text).end if front_matter and markup == "markdown" else 0
    return join_blocks(text, read_blocks(text, start, markup), size)


def join_blocks(text: str, blocks: Iterable[Block], size: int = DEFAULT_SIZE) -> Iterator[Passage]:
    """Make passages of a document whose blocks are known, as `passages` does.

    Parameters
    ----------
    text : str
        Lines end in a newline.
    blocks : iterable of Block
        In the order of the text. A heading without characters stands above what follows, and is no part of it.
    size : int
    """
    lines = _Lines(text)
    stack: list[tuple[int, str]] = []
    current = _Open()
    for block in blocks:
        is_full = current.size + block.end - block.start > size
        if current.has_body and (block.level or is_full):
            yield from _cut(lines, current.blocks, stack, size)
            current = _Open()
        if block.level:
            stack = [entry for entry in stack if entry[0] < block.level]
            stack.append((block.level, block.title))
        current.add(block)
    if current.blocks:
        yield from _cut(lines, current.blocks, stack, size)


def _cut(lines: _Lines, blocks: list[Block], stack: list[tuple[int, str]], size: int) -> Iterator[Passage]:
    heading = " > ".join(title for _, title in stack if title)[:_MAX_HEADING]
    start, end = _strip(lines.text, blocks[0].start, blocks[-1].end)
    while start < end:
        first, last = next(cut_text(lines.text, start, end, size))
        first, stripped = _strip(lines.text, first, last)
        if first < stripped:
            yield Passage(lines.text[first:stripped], lines.number_at(first), heading)
        start = last


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave white space at both ends out."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
