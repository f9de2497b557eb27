"""Terms of texts: words, runs of characters, and their counts."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORDS = re.compile(r"\w+")
_TOKENS = re.compile(f"([{_CJK}]+)|[^\\W{_CJK}]+")
_ANALYZERS = ("word", "char")
_MOST_NGRAM = 8


@dataclass(frozen=True, slots=True)
class Analyzer:
    """How a text becomes terms.

    Parameters
    ----------
    unit : {"word", "char"}
        Words, where scripts that write no spaces between them give pairs of characters, or runs of characters.
    ngrams : tuple of int
        The shortest and the longest run of units that is a term.
    lowercase : bool
    """

    unit: str
    ngrams: tuple[int, int]
    lowercase: bool

    @classmethod
    def make(cls, unit: str, ngrams: Sequence[int], lowercase: bool) -> Analyzer:  # noqa: FBT001 - as it is saved
        """Return an analyser of checked arguments.

        Raises
        ------
        InvalidArgument
        """
        if unit not in _ANALYZERS:
            raise InvalidArgument(f"analyzer must be 'word' or 'char', not {unit!r}.")
        if not isinstance(ngrams, list | tuple) or len(ngrams) != 2 or any(type(each) is not int for each in ngrams):
            raise InvalidArgument(f"ngrams must be two whole numbers such as (1, 2), not {ngrams!r}.")
        low, high = ngrams
        if not 1 <= low <= high <= _MOST_NGRAM:
            raise InvalidArgument(f"ngrams must be from 1 to {_MOST_NGRAM} and ascending, not {tuple(ngrams)!r}.")
        if not isinstance(lowercase, bool):
            raise InvalidArgument(f"lowercase must be True or False, not {lowercase!r}.")
        return cls(unit, (low, high), lowercase)

    @property
    def params(self) -> dict[str, Any]:
        """Its arguments as JSON data."""
        return {"analyzer": self.unit, "ngrams": list(self.ngrams), "lowercase": self.lowercase}

    def split(self, text: str) -> list[str]:
        """Return the terms of a text, in order and with repetitions."""
        if self.lowercase:
            text = text.lower()
        units = _split_words(text) if self.unit == "word" else list(" ".join(text.split()))
        low, high = self.ngrams
        if high == 1:
            return units
        joint = " " if self.unit == "word" else ""
        return [
            joint.join(units[start : start + size])
            for size in range(low, high + 1)
            for start in range(len(units) - size + 1)
        ]


def _split_words(text: str) -> list[str]:
    if text.isascii():
        return _WORDS.findall(text)
    found: list[str] = []
    for match in _TOKENS.finditer(text):
        run = match[1]
        if run is None or len(run) == 1:
            found.append(match[0])
        else:
            found += [run[start : start + 2] for start in range(len(run) - 1)]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """The terms of texts as numbers: one entry for each term that a text has.

    Attributes
    ----------
    terms : ndarray of int64
        Numbers of terms, text after text.
    counts : ndarray of float32
        How often each is in its text.
    ends : ndarray of int64, shape (texts,)
        Where the entries of each text end.
    """

    terms: NDArray[np.int64]
    counts: NDArray[np.float32]
    ends: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The text of each entry."""
        return np.repeat(np.arange(len(self.ends)), np.diff(self.ends, prepend=0))


def count_known(texts: Iterable[str], analyzer: Analyzer, index: Mapping[str, int]) -> Counts:
    """Count the terms of texts that are in a vocabulary."""
    terms, counts, ends = array("q"), array("f"), array("q")
    for text in texts:
        for term, count in Counter(analyzer.split(text)).items():
            if (number := index.get(term)) is not None:
                terms.append(number)
                counts.append(count)
        ends.append(len(terms))
    return _as_counts(terms, counts, ends)


def learn_terms(
    texts: Iterable[str], analyzer: Analyzer, min_texts: int, max_terms: int | None
) -> tuple[list[str], Counts]:
    """Return the terms that at least so many texts have, the most frequent ones, sorted, and their counts."""
    index: dict[str, int] = {}
    terms, counts, ends = array("q"), array("f"), array("q")
    for text in texts:
        for term, count in Counter(analyzer.split(text)).items():
            terms.append(index.setdefault(term, len(index)))
            counts.append(count)
        ends.append(len(terms))
    found = _as_counts(terms, counts, ends)
    names = list(index)
    frequencies = np.bincount(found.terms, minlength=len(names))
    kept = [number for number in range(len(names)) if frequencies[number] >= min_texts]
    if max_terms is not None:
        kept = sorted(kept, key=lambda number: (-frequencies[number], names[number]))[:max_terms]
    kept.sort(key=names.__getitem__)
    renumbered = np.full(len(names), -1, np.int64)
    renumbered[kept] = np.arange(len(kept))
    moved = renumbered[found.terms]
    here = moved >= 0
    sizes = np.bincount(found.rows[here], minlength=len(found.ends))
    return [names[number] for number in kept], Counts(moved[here], found.counts[here], np.cumsum(sizes))


def _as_counts(terms: array[int], counts: array[float], ends: array[int]) -> Counts:
    return Counts(
        np.frombuffer(terms, np.int64) if terms else np.empty(0, np.int64),
        np.frombuffer(counts, np.float32) if counts else np.empty(0, np.float32),
        np.frombuffer(ends, np.int64) if ends else np.empty(0, np.int64),
    )
