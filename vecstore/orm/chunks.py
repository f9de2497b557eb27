"""Long texts in parts: each chunk is embedded and found by itself, and all chunks of a row are one group of records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..arguments import check_whole
from ..errors import InvalidArgument
from ..sentences import cut_text

ROW = "row_key"
"""The declared field of a store of chunks that holds the key of the row, as text."""
CHUNK = "chunk"
"""The metadata of a chunk that say which part of the row's text it is."""
MIN_SIZE, MAX_SIZE = 20, 100_000
_PARAGRAPH = "\n\n"
_ENDS = frozenset(".!?…\n")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a text: ``text[start:end]``.

    Attributes
    ----------
    text : str
    start, end : int
        In characters.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Chunks:
    """How long texts are cut: after a paragraph where that is possible, else after a sentence, else between words.

    Parameters
    ----------
    size : int, 20 to 100,000
        Characters in a chunk at most.
    overlap : int
        Up to so many characters of a chunk are repeated in the next one, from the beginning of a sentence or word on,
        so that what stands at the border is found too. At most half of ``size``.

    Raises
    ------
    InvalidArgument
    """

    size: int = 800
    overlap: int = 80

    def __post_init__(self) -> None:
        size = check_whole("size", self.size, MIN_SIZE, MAX_SIZE)
        overlap = check_whole("overlap", self.overlap, 0, MAX_SIZE)
        if overlap > size // 2:
            raise InvalidArgument(f"overlap must be at most half of size, {size // 2:,}, not {overlap:,}.")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "overlap", overlap)

    def split(self, text: str) -> Iterator[Chunk]:
        """Yield the chunks of a text in their order, without white space at their ends; none is empty."""
        start = done = 0
        while start < len(text):
            cut = self._find_cut(text, start)
            if cut <= done:  # the repeated part ends at the same place again
                start = done
                continue
            first, last = _strip(text, start, cut)
            if first < last:
                yield Chunk(text[first:last], first, last)
            start, done = self._find_next(text, first, cut), cut

    def _find_cut(self, text: str, start: int) -> int:
        limit = start + self.size
        if limit >= len(text):
            return len(text)
        paragraph = text.rfind(_PARAGRAPH, start + self.size // 2 + 1, limit)
        if paragraph >= 0:
            return paragraph + len(_PARAGRAPH)
        return next(cut_text(text, start, len(text), self.size))[1]

    def _find_next(self, text: str, start: int, cut: int) -> int:
        """Return where the chunk after a cut begins: at least half of a chunk is not repeated."""
        least = max(cut - self.overlap, (start + cut + 1) // 2)
        if cut >= len(text) or text[cut - len(_PARAGRAPH) : cut] == _PARAGRAPH:
            return cut  # a paragraph needs nothing of the one before
        begins = [place for place in range(least, cut) if text[place - 1].isspace() and not text[place].isspace()]
        return next((place for place in begins if _begins_sentence(text, place)), begins[0] if begins else cut)


def _begins_sentence(text: str, place: int) -> bool:
    while text[place - 1].isspace() and text[place - 1] != "\n":
        place -= 1
    return text[place - 1] in _ENDS


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
