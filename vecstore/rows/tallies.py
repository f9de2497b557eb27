"""Tallies: which values a field has, and which keys metadata has, in how many records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import nsmallest
from typing import Any

from ..fields import MAX_INT, Stored
from ..filters.key_values import SCALARS, KeyValue, read_value
from .metadata import NO_EXTRA

CLASSES: Mapping[type, str] = {
    bool: "bool", int: "number", float: "number", str: "str", list: "list", dict: "object"
}  # fmt: skip
"""The class of each value that JSON can have; None is a missing value."""


def tally_column(column: Iterable[Stored | None], counts: Counter[Stored]) -> None:
    """Add to ``counts`` how many records have each value of a field; a list counts once under each of its elements."""
    for value in column:
        if isinstance(value, tuple):
            counts.update(set(value))
        elif value is not None:
            counts[value] += 1


def rank_values(counts: Mapping[Stored, int], limit: int | None) -> list[tuple[Stored, int]]:
    """Return values with their counts, the largest count first, and equal ones in the order of the values."""

    def order(item: tuple[Any, int]) -> tuple[int, Any]:
        return -item[1], item[0]

    return sorted(counts.items(), key=order) if limit is None else nsmallest(limit, counts.items(), key=order)


def tally_undeclared(extras: Iterable[str], key: str, counts: Counter[KeyValue]) -> None:
    """Add to ``counts`` how many records have each scalar under an undeclared key, or in a list there."""
    for extra in extras:
        if extra == NO_EXTRA or (found := json.loads(extra).get(key)) is None:
            continue
        value = read_value(found)
        counts.update(each for each in {*(value.value if value.kind == "list" else (value,))} if each.kind in SCALARS)


def rank_undeclared(counts: Mapping[KeyValue, int], limit: int | None) -> list[tuple[Any, int]]:
    """Return values as `rank_values` does; of equal counts bools come first, then numbers, then strings."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0].kind, item[0].value))
    return [(_to_plain(value.value), count) for value, count in ranked[:limit]]


def _to_plain(value: Any) -> Any:
    """Return a whole number as an int: filters take 1 and 1.0 for the same value."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= MAX_INT
    return int(value) if is_whole else value


def tally_keys(extras: Iterable[str], counts: Counter[tuple[str, str]]) -> None:
    """Add to ``counts`` how many records have each undeclared key with a value of each class."""
    for extra in extras:
        if extra != NO_EXTRA:
            counts.update((key, CLASSES[type(value)]) for key, value in json.loads(extra).items() if value is not None)
