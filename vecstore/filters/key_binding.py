"""Binding of conditions on undeclared keys: the limits of keys, and operands in the form of stored values."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidFilter
from ..rows.strings import find_fault, to_plain
from .key_values import ORDERED, SCALARS, KeyValue, make_operand
from .limits import MAX_KEY_BYTES, MAX_PATH, MAX_VALUES
from .nodes import NOTHING, CompareKey, Filter
from .operators import LISTS, SPELLINGS, TEXTS, check_text, to_tuple


def describe_path(path: tuple[str, ...]) -> str:
    """Return a key or a path as messages name it."""
    shown = [ascii(key[:60]) for key in path[:4]]
    return f"Key {shown[0]}" if len(path) == 1 else f"Path [{', '.join(shown)}{', …' if len(path) > 4 else ''}]"


def bind_key(path: tuple[str, ...], op: str, value: object) -> Filter:
    """Check a condition on an undeclared key, and return what a backend has to compile.

    A condition that no value fulfils becomes a filter that matches nothing, so a backend sees operands of a fitting
    class only: strings and numbers for an order, strings of at least one character for the operators of `TEXTS`,
    scalars for ``contains_any`` and ``contains_all``, never an empty list of them.

    Raises
    ------
    InvalidFilter
    """
    owner = describe_path(path)
    if len(path) > MAX_PATH:
        raise InvalidFilter(f"{owner} has {len(path)} keys, more than {MAX_PATH}.")
    for key in path:
        if reason := find_fault(key, 0, MAX_KEY_BYTES):
            whose = owner if len(path) == 1 else f"{owner}: key {key[:60]!a}"
            raise InvalidFilter(f"{whose} {reason}, so a filter cannot use it.")
    path = tuple(map(to_plain, path))
    if op == "exists":
        return CompareKey(path, op, True)
    if op not in SPELLINGS:
        raise InvalidFilter(f"{owner} does not support {op!r}. It supports: {', '.join(SPELLINGS.values())}.")
    try:
        operand = _make_operands(owner, op, value) if op in LISTS else make_operand(value)
        _check_count(operand)
        if op in TEXTS:
            _check_text(op, operand)
    except ValueError as error:
        if isinstance(error, InvalidFilter):
            raise
        raise InvalidFilter(f"{owner}, {SPELLINGS[op]}: the value {error}.") from error
    if op in LISTS:
        return CompareKey(path, op, operand) if operand else NOTHING
    return CompareKey(path, op, operand) if op == "eq" or operand[0] in ORDERED else NOTHING


def _check_text(op: str, operand: Any) -> None:
    if operand.kind != "str":
        raise ValueError(f"must be a str, not a {operand.kind}")
    check_text(op, operand.value)


def _make_operands(owner: str, op: str, value: object) -> tuple[KeyValue, ...]:
    values = to_tuple(owner, op, value)
    if len(values) > MAX_VALUES:
        raise ValueError(f"has {len(values):,} entries, more than {MAX_VALUES:,}; ask in several calls")
    found: dict[KeyValue, None] = {}
    for number, each in enumerate(values):
        try:
            operand = make_operand(each)
            if op != "in" and operand.kind not in SCALARS:
                raise ValueError(
                    f"is a {type(each).__name__}; for several values use contains_any ($contains_any) "
                    "or contains_all ($contains_all)"
                )
        except ValueError as error:
            raise ValueError(f"at position {number} {error}") from error
        found[operand] = None
    return tuple(found)


def _check_count(operand: KeyValue | tuple[KeyValue, ...]) -> None:
    """Refuse lists that together have too many values."""
    count, pending = -isinstance(operand, KeyValue), [operand]  # the list of $eq is not its own item
    while pending:
        each: Any = pending.pop()
        if isinstance(each, KeyValue):
            count += 1
            pending += each.value if each.kind == "list" else ()
        else:
            pending += each
        if count > MAX_VALUES:
            raise ValueError(f"has more than {MAX_VALUES:,} values in lists; ask in several calls")
