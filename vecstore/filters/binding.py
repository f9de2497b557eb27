"""Binding checks a filter against a schema and converts its values to stored form, for a backend to compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InvalidFilter, UnknownField, close_matches
from ..fields import Field, Stored
from ..ids import MAX_ID_BYTES
from ..rows.strings import find_fault, to_plain
from ..schema import Schema
from .dict_form import as_filter
from .limits import MAX_VALUES, check_size
from .nodes import And, Compare, Filter, Not, Or
from .operators import LISTS, SPELLINGS, to_tuple


def bind(where: Filter | Mapping[str, Any] | None, schema: Schema) -> Filter | None:
    """Check a filter against a schema and convert its values to stored form.

    Returns
    -------
    Filter or None
        None if there is no filter.

    Raises
    ------
    UnknownField, InvalidFilter
    """
    if where is None:
        return None
    condition = as_filter(where)
    check_size(condition)
    return _bind(condition, schema.fields)


def _bind(condition: Filter, fields: Mapping[str, Field]) -> Filter:
    match condition:
        case Compare(name, op, value):
            return Compare(name, op, _bind_value(name, op, value, fields))
        case And(items):
            return And(tuple(_bind(item, fields) for item in items))
        case Or(items):
            return Or(tuple(_bind(item, fields) for item in items))
        case Not(item):
            return Not(_bind(item, fields))
    raise InvalidFilter(f"Not a filter: {type(condition).__name__}.")


def _bind_value(name: str, op: str, value: object, fields: Mapping[str, Field]) -> Any:
    if name != "id" and name not in fields:
        hint = close_matches(name, fields) or " The schema declares no fields."
        raise UnknownField(f"The schema has no field {str(name)[:60]!a} to filter on.{hint}")
    if op == "exists":
        return True
    allowed = frozenset({"eq", "in"}) if name == "id" else fields[name].operators
    if op not in allowed:
        known = ", ".join(SPELLINGS[each] for each in SPELLINGS if each in allowed)
        raise InvalidFilter(
            f"Field {name!r} does not support {SPELLINGS.get(op, repr(op))}. It supports: {known}, exists ($exists)."
        )
    encode = _encode_id if name == "id" else fields[name].operand
    try:
        if op not in LISTS:
            return _encode_operand(encode, value)
        values = to_tuple(op, value)
        if len(values) > MAX_VALUES:
            raise ValueError(f"has {len(values):,} values, more than {MAX_VALUES:,}")
        return tuple(_encode_operand(encode, each) for each in values)
    except ValueError as error:
        if isinstance(error, InvalidFilter):
            raise
        raise InvalidFilter(f"The value that {name!r} is compared with {error}.") from error


def _encode_operand(encode: Callable[[Any], Stored], value: object) -> Stored:
    if value is None:
        raise ValueError("is None; use is_missing() or exists() to match missing values")
    return encode(value)


def _encode_id(value: Any) -> str:
    reason = find_fault(value, 1, MAX_ID_BYTES)
    if reason:
        raise ValueError(reason)
    return to_plain(value)
