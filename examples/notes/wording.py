"""How the page puts it: scores in words, marked words, dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup, escape

VERY_CLOSE, CLOSE, DISTANT = 0.30, 0.22, 0.18
"""Cosine similarities of the embedder in use. Texts that have nothing in common reach 0.17 at times."""
_WORD = re.compile(r"\w+")
_SHORTEST = 3
_EVERYWHERE = frozenset(
    [
        "and",
        "are",
        "but",
        "can",
        "did",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "its",
        "not",
        "that",
        "the",
        "their",
        "they",
        "this",
        "was",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "you",
        "your",
    ]
)


def describe_score(score: float | None) -> str:
    """Return a score in words; None is that of a note that was found by its words alone."""
    if score is None:
        return "Contains your words"
    if score >= VERY_CLOSE:
        return "Very close"
    return "Close" if score >= CLOSE else "Loosely related"


def find_words(query: str) -> list[str]:
    """Return the words of a query that are worth marking, in lower case."""
    words = {word.casefold() for word in _WORD.findall(query)} - _EVERYWHERE
    return sorted(word for word in words if len(word) >= _SHORTEST)


def has_words(text: str, words: Sequence[str]) -> bool:
    """Say whether a text contains one of the words."""
    return any(word in set(words) for word in map(str.casefold, _WORD.findall(text)))


def mark_words(text: str, words: Sequence[str]) -> Markup:
    """Return a text as HTML, with the words in ``<mark>``."""
    if not words:
        return escape(text)
    wanted, pieces, last = set(words), [], 0
    for match in _WORD.finditer(text):
        if match[0].casefold() in wanted:
            pieces += [escape(text[last : match.start()]), Markup("<mark>{}</mark>").format(match[0])]
            last = match.end()
    return Markup("").join([*pieces, escape(text[last:])])


def format_date(moment: datetime) -> str:
    """Return a date as ``30 November 2026``."""
    return f"{moment.day} {moment:%B %Y}"


def count(number: int, noun: str) -> str:
    """Return ``1 note`` or ``2 notes``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
