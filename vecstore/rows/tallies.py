"""Tallies: which values a field has, and which keys metadata has, in how many records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import nsmallest
from typing import Any

from ..fields import Stored
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


def tally_keys(extras: Iterable[str], counts: Counter[tuple[str, str]]) -> None:
    """Add to ``counts`` how many records have each undeclared key with a value of each class."""
    for extra in extras:
        if extra != NO_EXTRA:
            counts.update((key, CLASSES[type(value)]) for key, value in json.loads(extra).items() if value is not None)
