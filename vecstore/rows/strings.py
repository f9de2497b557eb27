"""The rule for every stored string: UTF-8 that all backends keep unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

WIDEST = 4
"""The most bytes that one character takes in UTF-8."""


def to_plain(value: object) -> str:
    """Return the characters of a str as a plain ``str``. A subclass such as a str Enum may print differently."""
    return value if type(value) is str else str.__str__(cast("str", value))


def find_fault(value: object, low: int, high: int) -> str | None:
    """Return why a value cannot be stored as a string of ``low`` to ``high`` bytes, or None if it can.

    PostgreSQL refuses NUL, C interfaces cut strings there, and lone surrogates have no UTF-8 form.
    """
    if type(value) is str and value.isascii() and low <= len(value) <= high and "\0" not in value:
        return None
    if not isinstance(value, str):
        return f"must be a str, not {type(value).__name__}"
    if "\0" in value:
        return "contains a NUL character; remove it with replace('\\0', '')"
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        return "contains a lone surrogate, which has no UTF-8 form; replace it with encode('utf-8', 'replace').decode()"
    if size < low:
        return "is empty"
    if size > high:
        return f"has {size:,} bytes of UTF-8, more than {high:,}"
    return None


def are_storable(values: Sequence[object], low: int, high: int) -> bool:
    """Return whether all are strings of ``low`` to ``high`` bytes. False means that each has to be checked."""
    if not values:
        return True
    if set(map(type, values)) != {str}:
        return False
    strings = cast("Sequence[str]", values)
    whole = "".join(strings)
    longest = max(map(len, strings))
    if not whole.isascii():
        longest *= WIDEST
        try:
            whole.encode()
        except UnicodeEncodeError:
            return False
    return "\0" not in whole and longest <= high and min(map(len, strings)) >= low
