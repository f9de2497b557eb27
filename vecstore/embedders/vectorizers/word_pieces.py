"""Pieces of words, as fastText cuts and hashes them, so that a word that nobody learned has a vector."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import InvalidArgument

_MOST_NGRAM = 8


def cut_pieces(word: str, low: int, high: int) -> list[str]:
    """Return the pieces of a word with its ends marked, as fastText cuts it: without the marks on their own."""
    marked = f"<{word}>"
    return [
        marked[start : start + size]
        for start in range(len(marked))
        for size in range(low, min(high, len(marked) - start) + 1)
        if size > 1 or 0 < start < len(marked) - 1
    ]


def hash_piece(piece: str) -> int:
    """Return fastText's hash of a piece: FNV-1a of 32 bits over bytes that have a sign."""
    found = 2166136261
    for byte in piece.encode():
        found = ((found ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) & 0xFFFFFFFF
    return found


def check_ngrams(ngrams: Sequence[int]) -> tuple[int, int]:
    """Return the lengths of the shortest and the longest piece, or raise `InvalidArgument`."""
    if not isinstance(ngrams, list | tuple) or len(ngrams) != 2 or any(type(each) is not int for each in ngrams):
        raise InvalidArgument(f"ngrams must be two whole numbers such as (3, 6), not {ngrams!r}.")
    low, high = ngrams
    if not 1 <= low <= high <= _MOST_NGRAM:
        raise InvalidArgument(f"ngrams must be from 1 to {_MOST_NGRAM} and ascending, not {tuple(ngrams)!r}.")
    return low, high
