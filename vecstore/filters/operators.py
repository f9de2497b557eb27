"""The operators of filters: what each means for a stored value, and how users write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ..errors import InvalidFilter

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "eq": lambda stored, value: stored == value,
        "in": lambda stored, values: stored in values,
        "lt": lambda stored, value: stored < value,
        "lte": lambda stored, value: stored <= value,
        "gt": lambda stored, value: stored > value,
        "gte": lambda stored, value: stored >= value,
        "exists": lambda stored, value: True,
        "contains_any": lambda stored, values: any(value in stored for value in values),
        "contains_all": lambda stored, values: bool(values) and all(value in stored for value in values),
        "starts_with": lambda stored, value: stored.startswith(value),
        "contains_text": lambda stored, value: value in stored,
    }
)
"""The meaning of each operator of a bound filter, for a stored value (never None) and the operand."""
LISTS = frozenset({"in", "contains_any", "contains_all"})
"""Operators whose value is a tuple. An empty tuple matches nothing."""
TEXTS = frozenset({"starts_with", "contains_text"})
"""Operators that look into strings. Their operand is a string of at least one character."""
SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "eq": "== ($eq)",
        "in": "in_ ($in)",
        "lt": "< ($lt)",
        "lte": "<= ($lte)",
        "gt": "> ($gt)",
        "gte": ">= ($gte)",
        "contains_any": "contains_any ($contains_any)",
        "contains_all": "contains ($contains), contains_all ($contains_all)",
        "starts_with": "starts_with ($starts_with)",
        "contains_text": "contains_text ($contains_text)",
    }
)
"""How users write each operator. The complements ``!=`` and ``not_in`` are not listed."""


def check_text(op: str, operand: object) -> None:
    """Refuse an empty operand of the operators of `TEXTS`: an empty value never widens a match.

    Raises
    ------
    ValueError
    """
    if op in TEXTS and not operand:
        raise ValueError("is empty, and every string has that in it; use exists() ($exists) to match all of them")


def to_tuple(name: str, op: str, values: object) -> tuple[object, ...]:
    """Return the values of a list operator on a field as a tuple. A bare ``str`` is refused."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidFilter(
            f"Field {str(name)[:60]!a}, {SPELLINGS[op]}: give a list of values, not {type(values).__name__}. "
            "Write [value] for a single one."
        )
    return tuple(values)
