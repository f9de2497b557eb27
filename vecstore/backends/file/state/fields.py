"""Declared fields as arrays, with one class for each way to store and compare them.

Values are appended as ``rows.db`` stores them. A comparison covers the first ``size`` rows and is false where the
field is missing.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vecstore.fields import Stored

from ..vectors.append_array import AppendArray

Mask = NDArray[np.bool_]

_MISSING = -1
_UNKNOWN = -2
"""The code of a value that occurs nowhere; no row has it."""

_ORDER: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {"eq": np.equal, "lt": np.less, "lte": np.less_equal, "gt": np.greater, "gte": np.greater_equal, "in": np.isin}
)

_TEXTS: Mapping[str, Callable[[str, str], bool]] = MappingProxyType(
    {"starts_with": str.startswith, "contains_text": str.__contains__}
)


class Column(ABC):
    """One declared field of all rows."""

    @abstractmethod
    def write(self, start: int, values: Sequence[Any]) -> None:
        """Write the values of consecutive rows, the first at ``start``."""

    @abstractmethod
    def test(self, op: str, value: Any, size: int) -> Mask:
        """Apply a comparison with ``value`` to each of the first ``size`` rows."""

    @abstractmethod
    def tally(self, chosen: Mask) -> dict[Stored, int]:
        """Return in how many of the chosen rows each value is, in stored form; of a list each element."""


class KeywordColumn(Column):
    """Strings, stored as codes of a dictionary."""

    def __init__(self) -> None:
        self._codes = AppendArray(np.int32)
        self._dictionary: dict[str, int] = {}

    def write(self, start: int, values: Sequence[Any]) -> None:
        dictionary = self._dictionary
        for value in dict.fromkeys(values):
            if value is not None:
                dictionary.setdefault(value, len(dictionary))
        self._codes.write(start, np.fromiter(map(dictionary.get, values, repeat(_MISSING)), np.int32, len(values)))

    def test(self, op: str, value: Any, size: int) -> Mask:
        codes: NDArray[np.int32] = self._codes.view(size)
        if op == "exists":
            return np.not_equal(codes, _MISSING)
        if op == "eq":
            return np.equal(codes, self._dictionary.get(value, _UNKNOWN))
        if test := _TEXTS.get(op):
            # As a list, because another thread may add words.
            return np.isin(codes, [code for code, word in enumerate(list(self._dictionary)) if test(word, value)])
        return np.isin(codes, _look_up_codes(self._dictionary, value))

    def tally(self, chosen: Mask) -> dict[Stored, int]:
        codes: NDArray[np.int32] = self._codes.view(len(chosen))[chosen]
        return _tally_codes(codes[codes != _MISSING], self._dictionary)


class KeywordsColumn(Column):
    """Lists of strings: the dictionary code of every item, and the row that owns it."""

    def __init__(self) -> None:
        self._present = AppendArray(np.bool_)
        self._ends = AppendArray(np.int64)
        self._codes = AppendArray(np.int32)
        self._owners = AppendArray(np.int64)
        self._dictionary: dict[str, int] = {}

    def write(self, start: int, values: Sequence[Any]) -> None:
        dictionary = self._dictionary
        items = [() if value is None else json.loads(value) for value in values]
        codes = [dictionary.setdefault(item, len(dictionary)) for each in items for item in each]
        lengths = np.array([len(each) for each in items], np.int64)
        first = int(self._ends.view(start)[-1]) if start else 0
        self._codes.write(first, codes)
        self._owners.write(first, np.repeat(np.arange(start, start + len(items)), lengths))
        self._ends.write(start, first + np.cumsum(lengths))
        self._present.write(start, [value is not None for value in values])

    def test(self, op: str, value: Any, size: int) -> Mask:
        if op == "exists":
            return self._present.view(size).copy()
        wanted = np.unique(_look_up_codes(self._dictionary, value))
        mask = np.zeros(size, np.bool_)
        if not size or not len(value) or (op == "contains_all" and len(wanted) < len(set(value))):
            return mask
        items = int(self._ends.view(size)[-1])
        codes, owners = self._codes.view(items), self._owners.view(items)
        hits = np.isin(codes, wanted)
        if op == "contains_any" or len(wanted) == 1:
            mask[owners[hits]] = True
            return mask
        # A row may hold a keyword twice: count distinct ones.
        base = int(wanted[-1]) + 1
        pairs = np.unique(owners[hits] * base + codes[hits])
        rows, counts = np.unique(pairs // base, return_counts=True)
        mask[rows[counts == len(wanted)]] = True
        return mask

    def tally(self, chosen: Mask) -> dict[Stored, int]:
        items = int(self._ends.view(len(chosen))[-1]) if len(chosen) else 0
        codes, owners = self._codes.view(items), self._owners.view(items)
        kept = chosen[owners]
        # A row may hold a keyword twice.
        pairs = np.unique(np.stack((owners[kept], codes[kept].astype(np.int64))), axis=1)
        return _tally_codes(pairs[1], self._dictionary)


class NumberColumn(Column):
    """Ints, floats, bools."""

    def __init__(self, dtype: DTypeLike, restore: Callable[[Any], Stored] = lambda value: value) -> None:
        self._restore = restore
        self._values = AppendArray(dtype)
        self._present = AppendArray(np.bool_)
        self._dtype = dtype

    def write(self, start: int, values: Sequence[Any]) -> None:
        if None in values:
            self._values.write(start, [0 if value is None else value for value in values])
            self._present.write(start, [value is not None for value in values])
        else:
            self._values.write(start, values)
            self._present.write(start, np.ones(len(values), np.bool_))

    def test(self, op: str, value: Any, size: int) -> Mask:
        present: Mask = self._present.view(size)
        if op == "exists":
            return present.copy()
        operand = np.array(value, self._dtype)
        found: Mask = _ORDER[op](self._values.view(size), operand)
        return found & present

    def tally(self, chosen: Mask) -> dict[Stored, int]:
        kept = chosen & self._present.view(len(chosen))
        values, counts = np.unique(self._values.view(len(chosen))[kept], return_counts=True)
        return dict(zip(map(self._restore, values.tolist()), counts.tolist(), strict=True))


def _encode_keywords(stored: Stored) -> str:
    return json.dumps(stored, ensure_ascii=False, separators=(",", ":"))


def _decode_keywords(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


@dataclass(frozen=True, slots=True)
class FieldForm:
    """How one kind of field is stored and compared.

    Attributes
    ----------
    make_column : callable
        Returns an empty column.
    encode, decode : callable or None
        Convert a stored value to the value in ``rows.db``, and back; None if they are the same.
    """

    make_column: Callable[[], Column]
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None


FIELDS: Mapping[str, FieldForm] = MappingProxyType(
    {
        "keyword": FieldForm(KeywordColumn),
        "keywords": FieldForm(KeywordsColumn, _encode_keywords, _decode_keywords),
        "int": FieldForm(partial(NumberColumn, np.int64)),
        "float": FieldForm(partial(NumberColumn, np.float64)),
        "bool": FieldForm(partial(NumberColumn, np.int8, bool), int, bool),
        "datetime": FieldForm(partial(NumberColumn, np.int64)),
    }
)
"""By `Field.kind`."""


def _tally_codes(codes: NDArray[Any], dictionary: Mapping[str, int]) -> dict[Stored, int]:
    """Return how often each value of a dictionary occurs, by its code."""
    if not len(codes):
        return {}
    counts, words = np.bincount(codes), list(dictionary)
    return {words[code]: int(counts[code]) for code in np.flatnonzero(counts).tolist()}


def _look_up_codes(dictionary: Mapping[str, int], values: Sequence[str]) -> NDArray[np.int32]:
    """Return the codes of the values that occur."""
    return np.array([code for value in values if (code := dictionary.get(value)) is not None], np.int32)
