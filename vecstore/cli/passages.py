"""Passages: the parts of a text document that are embedded and found each by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

DEFAULT_SIZE = 1_000
MIN_SIZE, MAX_SIZE = 100, 100_000

_ATX = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_UNDERLINE = re.compile(r"(={3,}|-{3,}|~{3,})[ \t]*")
_LEVELS = {"=": 1, "-": 2, "~": 3}
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n")
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


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, a fenced piece of code or a heading: lines ``start`` to ``end``, without ``end``."""

    start: int
    end: int
    level: int = 0
    title: str = ""


@dataclass(slots=True)
class _Open:
    """The passage that is being filled."""

    blocks: list[_Block] = field(default_factory=list)
    size: int = 0

    @property
    def has_body(self) -> bool:
        return any(not block.level for block in self.blocks)


def passages(text: str, size: int = DEFAULT_SIZE) -> Iterator[Passage]:
    """Split a document at its headings, then between paragraphs, sentences, words, so that passages fit ``size``.

    Paragraphs that are short share a passage; one never spans two sections. A passage carries its own
    heading lines, and otherwise the document's lines as they are.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    stack: list[tuple[int, str]] = []
    current = _Open()
    for block in _blocks(lines):
        length = sum(len(line) + 1 for line in lines[block.start : block.end])
        full = current.size + length > size
        if current.has_body and (block.level or full):
            yield from _finished(lines, current.blocks, stack, size)
            current = _Open()
        if block.level:
            stack = [entry for entry in stack if entry[0] < block.level]
            stack.append((block.level, block.title))
        current.blocks.append(block)
        current.size += length
    if current.blocks:
        yield from _finished(lines, current.blocks, stack, size)


def _blocks(lines: list[str]) -> Iterator[_Block]:
    start: int | None = None
    number = _after_front_matter(lines)
    while number < len(lines):
        line = lines[number]
        fence = _FENCE.match(line)
        atx = _ATX.fullmatch(line)
        if start is None and number + 1 < len(lines) and line.strip():
            underline = _UNDERLINE.fullmatch(lines[number + 1])
            if underline and not atx and not fence:
                yield _Block(number, number + 2, _LEVELS[underline[1][0]], line.strip())
                number += 2
                continue
        if start is not None and (atx or not line.strip()):
            yield _Block(start, number)
            start = None
        if atx:
            yield _Block(number, number + 1, len(atx[1]), atx[2])
        elif line.strip() and start is None:
            start = number
        number = _after_fence(lines, number, fence[1]) if fence else number + 1
    if start is not None:
        yield _Block(start, len(lines))


def _after_front_matter(lines: list[str]) -> int:
    if lines[0].strip() != "---":
        return 0
    return next((number + 1 for number in range(1, len(lines)) if lines[number].strip() in {"---", "..."}), 0)


def _after_fence(lines: list[str], number: int, mark: str) -> int:
    """Return the line after a fenced piece of code; one that is never closed is no fence."""
    for end in range(number + 1, len(lines)):
        closing = lines[end].strip()
        if closing.startswith(mark) and not closing.strip(mark[0]):
            return end + 1
    return number + 1


def _finished(lines: list[str], blocks: list[_Block], stack: list[tuple[int, str]], size: int) -> Iterator[Passage]:
    start, end = blocks[0].start, blocks[-1].end
    heading = " > ".join(title for _, title in stack if title)[:_MAX_HEADING]
    text = "\n".join(lines[start:end]).strip()
    place = 0
    for piece in _pieces(text, size):
        found = text.find(piece, place)
        yield Passage(piece, start + 1 + text.count("\n", 0, found), heading)
        place = found + len(piece)


def _pieces(text: str, size: int) -> Iterator[str]:
    """Cut a text that is too long after sentences, else between words, else anywhere."""
    start = 0
    while len(text) - start > size:
        window = text[start : start + size]
        ends = [match.start() for match in _SENTENCE_END.finditer(window) if match.start() > size // 4]
        cut = ends[-1] if ends else window.rfind(" ", size // 4)
        cut = cut if cut > 0 else size
        if piece := text[start : start + cut].strip():
            yield piece
        start += cut
    if piece := text[start:].strip():
        yield piece
