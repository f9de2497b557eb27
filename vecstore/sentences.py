"""Where a text may be cut: after a sentence, else between words, never inside a grapheme cluster."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOKAHEAD = 32
"""Characters after the limit that a sentence end at the limit may need to be recognised."""
_CLUSTER = 256
"""Characters before a cut that are searched for the beginning of a grapheme cluster."""
_SPACES = " \t\u3000"


def cut_text(text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut a part of a text into pieces of at most ``size`` characters.

    Each piece ends after the last sentence or line in its last three quarters; without one, between words; without
    spaces, between two grapheme clusters (Unicode Standard Annex 29). Chinese, Japanese and Korean sentences need no
    space after them. Thai has no sentence mark, so that it is cut at its spaces.

    Parameters
    ----------
    text : str
        Lines end in a newline.
    start, end : int
        The part to cut.
    size : int

    Yields
    ------
    tuple of int
        Where a piece begins and ends. The pieces follow each other without a gap.
    """
    while end - start > size:
        cut = _find_cut(text, start, start + size)
        yield start, cut
        start = cut
    if start < end:
        yield start, end


def _find_cut(text: str, start: int, limit: int) -> int:
    least = start + (limit - start) // 4
    cut = max(_find_last_sentence_end(text, start, least, limit), text.rfind("\n", least, limit) + 1)
    if cut <= least:
        cut = max(text.rfind(space, least, limit) for space in _SPACES) + 1
    if cut <= least:
        cut = limit
    return _move_before_cluster(text, start, cut)


def _find_last_sentence_end(text: str, start: int, least: int, limit: int) -> int:
    line = max(start, text.rfind("\n", start, limit) + 1)
    if line >= limit:
        return -1
    sentences = _load_segmenter()("en", text[line : limit + _LOOKAHEAD])
    # The last sentence is unfinished, unless the lookahead went beyond its end.
    ends = [line + length for length in accumulate(map(len, sentences[:-1]))]
    return max((found for found in ends if least < found <= limit), default=-1)


def _move_before_cluster(text: str, start: int, cut: int) -> int:
    """Move a cut to the beginning of the grapheme cluster that it would divide."""
    if cut >= len(text) or (text[cut] < "\u0300" and text[cut - 1] < "\u0300"):
        return cut
    first = max(start, cut - _CLUSTER)
    before = first
    while before > start and _is_flag_half(text[before - 1]):
        before -= 1
    first -= (first - before) % 2  # flags are pairs, counted from the first one
    boundary = first
    # A slice: for each flag, the search would count all flags before it in the text.
    for match in _compile_clusters().finditer(text[first : cut + _CLUSTER]):
        if first + match.start() > cut:
            break
        boundary = first + match.start()
    # A cluster longer than the piece is no text that anybody reads; a piece must not grow with it.
    return boundary if boundary > start else cut


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


@cache
def _load_segmenter() -> Callable[[str, str], list[str]]:
    import sentencex

    segment: Callable[[str, str], list[str]] = sentencex.segment
    return segment


@cache
def _compile_clusters() -> Any:
    import regex

    return regex.compile(r"\X")
