"""Undeclared metadata as JSON in which equal values are spelled equally, for engines that compare it themselves.

Numbers are the shortest decimals of their doubles, nulls of objects are left out: both as in
`vecstore.filters.key_values`.
"""

from __future__ import annotations

import json
from typing import Any

from ..rows.metadata import NO_EXTRA
from .key_values import KeyValue, to_double

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False).encode


def make_canonical(extra: str) -> str:
    """Return undeclared metadata, a JSON object as text, with every value in its canonical spelling."""
    return extra if extra == NO_EXTRA else _encode(_reduce(json.loads(extra)))


def encode_value(value: KeyValue) -> str:
    """Return the operand of a condition as JSON text, as `make_canonical` spells it."""
    return _encode(_to_plain(value))


def encode_member(path: tuple[str, ...], *values: KeyValue, listed: bool = False) -> str:
    """Return the object with this value, or a list of these values, at the end of a path, as JSON text."""
    found: Any = [_to_plain(each) for each in values] if listed else _to_plain(values[0])
    for key in reversed(path):
        found = {key: found}
    return _encode(found)


def _reduce(found: Any) -> Any:
    match found:
        case bool() | str() | None:
            return found
        case dict():
            return {key: _reduce(value) for key, value in found.items() if value is not None}
        case list():
            return [_reduce(value) for value in found]
    return to_double(found)


def _to_plain(value: KeyValue) -> Any:
    return [_to_plain(each) for each in value.value] if value.kind == "list" else value.value
