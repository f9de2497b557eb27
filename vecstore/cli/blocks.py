"""The blocks of a document: headings, and the text between blank lines; read piece by piece, in linear time.

markdown-it finds headings and fenced code as CommonMark defines them. A piece without a line that could be either needs
no parser. Memory grows with the largest piece, not with the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

Markup = Literal["markdown", "rst", "text"]
"""How headings are written; in ``"text"`` there are none."""

_PIECE = 1 << 18
_LARGEST_PIECE = 1 << 21
_STRUCTURE = re.compile(r"^ {0,3}(?:#|`{3}|~{3}|<|=+[ \t]*$|-+[ \t]*$)", re.MULTILINE)
"""Lines without which Markdown has neither headings nor code nor HTML."""
_CODE_END = re.compile(r"^ {0,3}(?:`{3}|~{3})", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_WHOLE = frozenset({"fence", "html_block"})
_RST_HEADING = re.compile(r"""^(\S[^\n]*)\n(([=\-~^"'*+#`:._])\3{2,})[ \t]*$""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a piece of code, or the text between two blank lines.

    Attributes
    ----------
    start, end : int
        Its place in the text, in characters.
    level : int
        1 and more for a heading, 0 otherwise.
    title : str
        The text of a heading.
    is_open : bool
        Whether it may go on beyond the piece that was read.
    """

    start: int
    end: int
    level: int = 0
    title: str = ""
    is_open: bool = False


def read_blocks(text: str, start: int = 0, markup: Markup = "markdown") -> Iterator[Block]:
    """Iterate over the blocks of a document from ``start`` on, whose lines end in a newline.

    Blank lines belong to no block; everything else is in exactly one.
    """
    if markup == "rst":
        return _read_rst(text, start)
    if markup == "text":
        return split_paragraphs(text, start, len(text))
    return _read_markdown(text, start)


def _read_markdown(text: str, start: int) -> Iterator[Block]:
    fence, size = "", _PIECE
    while start < len(text):
        end = text.find("\n", start + size) + 1 or len(text)
        blocks, after = _read_piece(text, start, end, fence)
        last = blocks[-1] if blocks and end < len(text) else None
        if last is not None and not after and last.is_open and last.start > start:
            blocks.pop()
            end = last.start
        elif last is not None and not after and last.is_open and size < _LARGEST_PIECE:
            size *= 2
            continue
        yield from blocks
        start, fence, size = end, after, _PIECE


def _read_piece(text: str, start: int, end: int, fence: str) -> tuple[list[Block], str]:
    """Return the blocks of whole lines, and the line that opened the code in which they end, if they do."""
    if fence and not _CODE_END.search(text, start, end):
        return [Block(start, end)], fence
    if not fence and not _STRUCTURE.search(text, start, end):
        return list(split_paragraphs(text, start, end)), ""
    lines = [start, *(match.end() for match in re.compile("\n").finditer(text, start, end))]
    if lines[-1] < end:
        lines.append(end)
    opened = 1 if fence else 0
    tokens = _make_parser().parse(fence + text[start:end])
    blocks: list[Block] = []
    done, after = start, ""
    for token, inline in pairwise([*tokens, None]):
        if token is None or token.map is None:
            continue
        is_heading = token.type == "heading_open" and token.level == 0
        if not is_heading and token.type not in _WHOLE:
            continue
        first, last = (lines[min(max(0, line - opened), len(lines) - 1)] for line in token.map)
        blocks += split_paragraphs(text, done, first)
        if is_heading:
            title = " ".join(inline.content.split()) if inline else ""
            blocks.append(Block(first, last, int(token.tag[1]), title))
        elif text[first:last].strip():
            blocks.append(Block(first, last, is_open=last == end))
        done = max(done, last)
        if token.type == "fence" and last == end:
            is_continued = bool(fence) and first == start
            after = "" if _is_closed(text[first:last], token.markup, is_continued) else f"{token.markup}{token.info}\n"
    return [*blocks, *split_paragraphs(text, done, end)], after


def _is_closed(code: str, mark: str, is_continued: bool) -> bool:
    lines = code.rstrip("\n").rsplit("\n", 1)
    closing = lines[-1].strip()
    return (len(lines) > 1 or is_continued) and closing.startswith(mark) and not closing.strip(mark[0])


def split_paragraphs(text: str, start: int, end: int) -> Iterator[Block]:
    """Iterate over what lies between blank lines in a part of a text."""
    for match in _BLANK_LINES.finditer(text, start, end):
        if text[start : match.start()].strip():
            yield Block(start, match.start() + 1)
        start = match.end()
    if text[start:end].strip():
        yield Block(start, end, is_open=True)


def _read_rst(text: str, start: int) -> Iterator[Block]:
    levels: dict[str, int] = {}
    for match in _RST_HEADING.finditer(text, start):
        title, underline, mark = match.groups()
        if len(underline) < len(title.rstrip()):
            continue
        yield from split_paragraphs(text, start, match.start())
        end = min(match.end() + 1, len(text))
        yield Block(match.start(), end, levels.setdefault(mark, len(levels) + 1), title.strip())
        start = end
    yield from (replace(block, is_open=False) for block in split_paragraphs(text, start, len(text)))


@cache
def _make_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser
