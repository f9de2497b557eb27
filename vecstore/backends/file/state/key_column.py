"""The values of one undeclared key, or path of keys, of all rows, as arrays.

A row's code says which value it has: one of the fixed codes, or a place in a dictionary of strings and of what stands
for a list. Numbers stand in an array of their own, which has NaN elsewhere, so that no comparison is true there. The
items of lists are in arrays beside, with the rows that own them; an item that no operand can equal is left out.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vecstore.filters.key_values import KeyValue, to_double

from ..vectors.append_array import AppendArray
from .fields import Mask

_MISSING = -1
_NOWHERE = -2
"""The code of a value that no row has."""
_NUMBER, _OBJECT, _FALSE, _TRUE = range(4)
_FIRST = 4
"""The first code of the dictionary."""
_ENTRY = 120
"""About what an entry of the dictionary takes beside its characters, in bytes."""
_LONGEST = 64
"""From this many bytes on, a digest stands for a list."""
_NO_RANK = -1
_NAN = float("nan")
_NUMBERS = frozenset({int, float})
_PLAIN = frozenset({str, bool})
_SCALARS = _NUMBERS | _PLAIN

_ORDER: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {"lt": np.less, "lte": np.less_equal, "gt": np.greater, "gte": np.greater_equal}
)
_TEXTS: Mapping[str, Callable[[str, str], bool]] = MappingProxyType(
    {"starts_with": str.startswith, "contains_text": str.__contains__}
)
_BISECT: Mapping[str, Callable[[list[str], str], int]] = MappingProxyType(
    {"lt": bisect_left, "lte": bisect_right, "gt": bisect_right, "gte": bisect_left}
)
"""How many of the sorted strings are before the operand: those that match, or those that do not."""


class KeyColumn:
    """The values of one key of all rows. One thread at a time extends it; others read the rows that they know.

    Attributes
    ----------
    rows : int
        How many rows it covers.
    used : int
        When a filter last used it, on the clock of `KeyColumns`.
    unknown : ndarray of int64
        Rows whose values were not read, because they had been removed.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.used = 0
        self.unknown: NDArray[np.int64] = np.empty(0, np.int64)
        self._codes = AppendArray(np.int32)
        self._numbers = _Numbers()
        self._dictionary: dict[str | bytes, int] = {}
        self._entries: list[str | bytes] = []
        self._dictionary_size = 0
        self._order = _TextOrder([], [])
        # Of the items of all lists: rows that own them, codes, numbers.
        self._items = 0
        self._owners = AppendArray(np.int64)
        self._item_codes = AppendArray(np.int32)
        self._item_numbers = AppendArray(np.float64)

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        numbers = self.rows * 8 if self._numbers.are_any else 0
        return self.rows * 4 + numbers + self._items * 20 + self._dictionary_size + self.unknown.nbytes

    def extend(self, values: Sequence[Any], unknown: Sequence[int]) -> None:
        """Add the values of the next rows, as JSON data; None is missing.

        Parameters
        ----------
        values : sequence
        unknown : sequence of int
            Places in ``values`` of rows that were not read.
        """
        start = self.rows
        self._items = self._count_items(start)  # more are left if an earlier call was broken off
        self._codes.write(start, [self._encode(value) for value in values])
        self._numbers.write(start, values)
        self._write_items(start, values)
        if unknown:
            self.unknown = np.append(self.unknown, np.array(unknown, np.int64) + start)
        self.rows = start + len(values)

    def test(self, op: str, operand: Any, size: int) -> Mask:
        """Apply a comparison of a bound `CompareKey` to each of the first ``size`` rows."""
        codes: NDArray[np.int32] = self._codes.view(size)
        match op:
            case "exists":
                return np.not_equal(codes, _MISSING)
            case "eq" if operand.kind == "number":
                return self._numbers.test(np.equal, operand.value, size)
            case "eq":
                return np.equal(codes, self._find_code(operand))
            case "in":
                return self._test_any(operand, size)
            case "contains_any" | "contains_all":
                return self._test_items(operand, size, every=op == "contains_all")
            case "starts_with" | "contains_text":
                return self._test_texts(_TEXTS[op], operand.value, size)
            case _ if operand.kind == "number":
                return self._numbers.test(_ORDER[op], operand.value, size)
        return self._test_text_order(op, operand.value, size)

    def _test_any(self, operands: Sequence[KeyValue], size: int) -> Mask:
        numbers = [each.value for each in operands if each.kind == "number"]
        codes = [code for each in operands if each.kind != "number" and (code := self._find_code(each)) != _NOWHERE]
        found: Mask = np.isin(self._codes.view(size), np.array(codes, np.int32))
        return found | self._numbers.test(np.isin, np.array(numbers), size) if numbers else found

    def _test_texts(self, test: Callable[[str, str], bool], text: str, size: int) -> Mask:
        """Apply a test to each distinct string; the last place of the table is that of a missing value."""
        entries = list(self._entries)
        table = np.zeros(_FIRST + len(entries) + 1, np.bool_)
        table[_FIRST:-1] = [isinstance(entry, str) and test(entry, text) for entry in entries]
        found: Mask = table[self._codes.view(size)]
        return found

    def _test_text_order(self, op: str, text: str, size: int) -> Mask:
        order = self._order
        if len(order.ranks) < _FIRST + len(self._entries) + 1:
            order = self._order = _TextOrder(list(self._entries), order.codes)
        place, ranks = _BISECT[op](order.texts, text), order.ranks
        table = (ranks < place) & (ranks > _NO_RANK) if op in {"lt", "lte"} else ranks >= place
        found: Mask = table[self._codes.view(size)]
        return found

    def _test_items(self, operands: Sequence[KeyValue], size: int, *, every: bool) -> Mask:
        mask = np.zeros(size, np.bool_)
        items = self._count_items(size)
        owners = self._owners.view(items)
        codes, numbers = self._item_codes.view(items), self._item_numbers.view(items)
        for number, operand in enumerate(operands):
            hits = numbers == operand.value if operand.kind == "number" else codes == self._find_code(operand)
            owning = np.zeros(size, np.bool_)
            owning[owners[hits]] = True
            mask = owning if not number else mask & owning if every else mask | owning
        return mask

    def _count_items(self, rows: int) -> int:
        """Return how many items the first rows have; owners are rising."""
        return int(np.searchsorted(self._owners.view(self._items), rows))

    def _encode(self, value: Any) -> int:
        kind = type(value)
        if kind is str:
            return self._add_entry(value)
        if value is None:
            return _MISSING
        if kind is bool:
            return _TRUE if value else _FALSE
        if kind is int or kind is float:
            return _NUMBER
        return self._add_entry(_describe_list(value)) if kind is list else _OBJECT

    def _add_entry(self, entry: str | bytes) -> int:
        code = self._dictionary.get(entry)
        if code is None:
            # The list first: other threads look up codes below its length.
            self._entries.append(entry)
            code = self._dictionary[entry] = _FIRST + len(self._entries) - 1
            self._dictionary_size += sys.getsizeof(entry) + _ENTRY
        return code

    def _find_code(self, operand: KeyValue) -> int:
        match operand:
            case KeyValue("bool", value):
                return _TRUE if value else _FALSE
            case KeyValue("list"):
                return self._dictionary.get(_describe_list(operand.to_json()), _NOWHERE)
        return self._dictionary.get(operand.value, _NOWHERE)

    def _write_items(self, start: int, values: Iterable[Any]) -> None:
        owned = [(row, value) for row, value in enumerate(values, start) if type(value) is list]
        items = [(row, item) for row, value in owned for item in value if type(item) in _SCALARS]
        if items:
            plain = [item for _, item in items]
            self._owners.write(self._items, [row for row, _ in items])
            self._item_codes.write(self._items, [self._encode(item) for item in plain])
            self._item_numbers.write(self._items, list(map(_read_number, plain)))
            self._items += len(items)


class _Numbers:
    """The numbers of a column, NaN elsewhere; nothing until there is a number."""

    def __init__(self) -> None:
        self._values: AppendArray | None = None

    @property
    def are_any(self) -> bool:
        return self._values is not None

    def write(self, start: int, values: Sequence[Any]) -> None:
        """Write the numbers among the values of rows, the first at ``start``."""
        if self._values is None and _NUMBERS.isdisjoint(map(type, values)):
            return
        found = list(map(_read_number, values))
        if self._values is None:
            array = AppendArray(np.float64)
            array.write(0, np.full(start, np.nan))
            array.write(start, found)
            self._values = array
        else:
            self._values.write(start, found)

    def test(self, compare: Callable[[Any, Any], Any], operand: Any, size: int) -> Mask:
        """Compare the numbers of the first ``size`` rows."""
        if self._values is None:
            return np.zeros(size, np.bool_)
        found: Mask = compare(self._values.view(size), operand)
        return found


class _TextOrder:
    """The strings of a dictionary in their order.

    Attributes
    ----------
    codes : list of int
        The codes of all strings, sorted by the strings.
    texts : list of str
        Sorted.
    ranks : ndarray of int32
        For each code the place of its string in `texts`; the last one is that of a missing value.
    """

    def __init__(self, entries: Sequence[str | bytes], before: Sequence[int]) -> None:
        known = set(before)
        codes = [code for code, each in enumerate(entries, _FIRST) if code not in known and isinstance(each, str)]
        # What is sorted already is merged.
        self.codes = sorted([*before, *codes], key=lambda code: entries[code - _FIRST])
        self.texts = [cast("str", entries[code - _FIRST]) for code in self.codes]
        self.ranks: NDArray[np.int32] = np.full(_FIRST + len(entries) + 1, _NO_RANK, np.int32)
        self.ranks[self.codes] = np.arange(len(self.codes))


def _read_number(value: Any) -> float:
    """Return the number that a JSON value is, else NaN."""
    kind = type(value)
    return value + 0.0 if kind is float else to_double(value) if kind is int else _NAN


def _describe_list(value: list[Any]) -> bytes:
    """Return what stands for a list in the dictionary: the same bytes for lists that are equal, and for no others."""
    text = repr(value if _PLAIN.issuperset(map(type, value)) else list(map(_normalize, value))).encode()
    return text if len(text) < _LONGEST else b"#" + blake2b(text, digest_size=16).digest()


def _normalize(item: Any) -> Any:
    kind = type(item)
    if kind is int or kind is float:
        return _read_number(item)
    if kind is list:
        return list(map(_normalize, item))
    return {} if kind is dict else item
