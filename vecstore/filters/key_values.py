"""Values of metadata that nobody declared, as filters see them: the definition that backends must agree with.

A value is a string, a number, a bool or a list. Null and what is absent are missing. An object exists, equals nothing
and has no order; so does a list that contains an object or a null. Values of different classes are never equal. Only
two numbers or two strings have an order, strings by code points. A number's value is that of the nearest finite double,
whatever its spelling.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ..fields import unwrap
from ..rows.metadata import MAX_BYTES
from ..rows.missing import name_missing
from ..rows.strings import find_fault, to_plain

MAX_LIST_DEPTH = 32
_LARGEST = float.fromhex("0x1.fffffffffffffp+1023")


class KeyValue(NamedTuple):
    """A value and its class. Two are equal as tuples exactly if a filter takes them for equal.

    ``True``, ``1`` and ``1.0`` are equal in Python; the class keeps the bool apart, also as a key of a cache.

    Attributes
    ----------
    kind : {"str", "number", "bool", "list", "object", "null"}
        The last two only occur in stored values; no operand has them, also not inside a list.
    value : str, float, bool, tuple of KeyValue, or None
    """

    kind: Literal["str", "number", "bool", "list", "object", "null"]
    value: Any

    def to_json(self) -> Any:
        """Return the value of an operand as JSON data; every number is a float."""
        return [item.to_json() for item in self.value] if self.kind == "list" else self.value


def to_double(number: float) -> float:
    """Return the finite double nearest to an int or float; 0.0 for both zeros."""
    try:
        return float(number) + 0.0
    except OverflowError:
        return _LARGEST if number > 0 else -_LARGEST


def read_value(found: Any) -> KeyValue:
    """Return the value of plain JSON data."""
    match found:
        case bool():
            return KeyValue("bool", found)
        case str():
            return KeyValue("str", found)
        case int() | float():
            return KeyValue("number", to_double(found))
        case list():
            return KeyValue("list", tuple(map(read_value, found)))
        case dict():
            return KeyValue("object", None)
    return KeyValue("null", None)


def read_path(extra: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Return what is at the end of a path of keys, None where there is nothing."""
    found: Any = extra
    for key in path:
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found


def matches_key(extra: Mapping[str, Any], path: tuple[str, ...], op: str, operand: Any) -> bool:
    """Return whether undeclared metadata matches a bound `CompareKey`."""
    found = read_path(extra, path)
    return found is not None and KEY_OPERATORS[op](read_value(found), operand)


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[KeyValue, KeyValue], bool]:
    return lambda stored, operand: stored.kind == operand.kind and test(stored.value, operand.value)


KEY_OPERATORS: Mapping[str, Callable[[KeyValue, Any], bool]] = MappingProxyType(
    {
        "eq": operator.eq,
        "in": lambda stored, operands: stored in operands,
        "lt": _compare(operator.lt),
        "lte": _compare(operator.le),
        "gt": _compare(operator.gt),
        "gte": _compare(operator.ge),
        "exists": lambda stored, operand: True,
        "contains_any": lambda stored, operands: (
            stored.kind == "list" and any(map(stored.value.__contains__, operands))
        ),
        "contains_all": lambda stored, operands: (
            stored.kind == "list" and all(map(stored.value.__contains__, operands))
        ),
        "starts_with": _compare(str.startswith),
        "contains_text": _compare(operator.contains),
    }
)
"""The meaning of each operator for a stored value, which is not missing, and a bound operand."""
ORDERED = frozenset({"str", "number"})
"""The classes that have an order. The operand of an order has one of them."""
SCALARS = frozenset({"str", "number", "bool"})
"""The classes of the operands of ``contains_any`` and ``contains_all``."""


def make_operand(value: Any, depth: int = 1) -> KeyValue:
    """Return the value that stored ones are compared with.

    Raises
    ------
    ValueError
        With the reason, which does not quote the value: undeclared metadata cannot hold it, or it equals nothing.
    """
    value = unwrap(value)
    if isinstance(value, str):
        if reason := find_fault(value, 0, MAX_BYTES):
            raise ValueError(reason)
        return KeyValue("str", to_plain(value))
    if missing := "None" if value is None else name_missing(value):
        raise ValueError(f"is {missing}; use is_missing() or exists() ($exists) to match missing values")
    if isinstance(value, bool):
        return KeyValue("bool", value)
    if isinstance(value, int | float):
        if value in (float("inf"), -float("inf")):
            raise ValueError("must be finite, because stored numbers are")
        return KeyValue("number", to_double(value))
    if isinstance(value, list | tuple):
        if depth > MAX_LIST_DEPTH:
            raise ValueError(f"is nested deeper than {MAX_LIST_DEPTH}")
        return KeyValue("list", tuple(make_operand(item, depth + 1) for item in value))
    raise ValueError(_describe_stranger(value))


def _describe_stranger(value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, Mapping):
        return f"is a {kind}, and objects equal nothing; compare what is inside, as in F.path('author', 'name') == 'x'"
    if isinstance(value, set | frozenset):
        return f"is a {kind}; for several values use in_ ($in), on lists contains_any ($contains_any)"
    advice = "; give value.tolist()" if hasattr(value, "tolist") else ""
    advice = "; give the text that was stored, or declare a DateTime field" if hasattr(value, "isoformat") else advice
    return f"must be a str, a number, a bool or a list, not {kind}{advice}"
