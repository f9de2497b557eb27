"""Binding checks a filter against a schema and converts its values to stored form, for a backend to compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from math import ceil, floor
from typing import Any

import numpy as np

from ..errors import InvalidFilter, UnknownField, close_matches
from ..fields import Field, Int, Stored
from ..ids import MAX_ID_BYTES
from ..rows.missing import name_missing
from ..rows.strings import find_fault, to_plain
from ..schema import Schema
from .dict_form import as_filter
from .field_ref import RECORD_ID
from .key_binding import bind_key, describe_path
from .limits import MAX_VALUES, check_size
from .nodes import NOTHING, And, Compare, CompareKey, Filter, Not, Or
from .operators import LISTS, SPELLINGS, check_text, to_tuple

_SIMPLE = frozenset({str, int, float, bool, datetime})
"""Types whose values are bound without further checks, except for NaN, which does not equal itself."""


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
    return _bind(condition, schema)


def _bind(condition: Filter, schema: Schema) -> Filter:
    match condition:
        case Compare(name, op, value) if name == RECORD_ID or name in schema.fields:
            bound = Compare(name, op, _bind_value(name, op, value, schema.fields))
            return _resolve_fractions(bound) if isinstance(schema.fields.get(name), Int) else bound
        case Compare(name, op, value):
            return _bind_path((name,), op, value, schema)
        case CompareKey(path, op, value):
            return _bind_path(path, op, value, schema)
        case And(items):
            return And(tuple(_bind(item, schema) for item in items))
        case Or(items):
            return Or(tuple(_bind(item, schema) for item in items))
        case Not(item):
            return Not(_bind(item, schema))
    raise InvalidFilter(f"Not a filter: {type(condition).__name__}.")


def find_field(name: str, schema: Schema) -> Field | None:
    """Return a declared field, or None for another key of a store that filters on any.

    Raises
    ------
    UnknownField, InvalidFilter
    """
    field = schema.fields.get(name)
    if field is None and not schema.dynamic:
        raise _make_unknown_field((name,), schema.fields)
    if field is None:
        bind_key((name,), "exists", True)
    return field


def _bind_path(path: tuple[str, ...], op: str, value: object, schema: Schema) -> Filter:
    if not schema.dynamic:
        raise _make_unknown_field(path, schema.fields)
    declared = schema.fields.get(path[0])
    if declared is not None:
        raise InvalidFilter(
            f"{describe_path(path)} leads into the field {path[0]!r}, which is declared as {declared.kind} "
            f"and is no object. Write F[{path[0]!r}]."
        )
    return bind_key(path, op, value)


def _make_unknown_field(path: tuple[str, ...], fields: Mapping[str, Field]) -> UnknownField:
    name = str(path[0])
    if path == (RECORD_ID,):
        hint = " The id of the record is F.id."
    else:
        hint = close_matches(name, fields) or ("" if fields else " The schema declares no fields.")
    return UnknownField(
        f"The schema has no field {name[:60]!a} to filter on.{hint} "
        "To declare it, call Database.declare(). "
        "To filter on any key, call Database.rebuild() with Schema(dynamic=True)."
    )


def _bind_value(name: str, op: str, value: object, fields: Mapping[str, Field]) -> Any:
    if op == "exists":
        return True
    allowed = frozenset({"eq", "in"}) if name == RECORD_ID else fields[name].operators
    if op not in allowed:
        known = ", ".join(SPELLINGS[each] for each in SPELLINGS if each in allowed)
        raise InvalidFilter(
            f"Field {name!r} does not support {SPELLINGS.get(op, repr(op))}. It supports: {known}, exists ($exists)."
        )
    encode = _encode_id if name == RECORD_ID else fields[name].operand
    try:
        if op not in LISTS:
            operand = _encode_operand(encode, value)
            check_text(op, operand)
            return operand
        values = to_tuple(name, op, value)
        if len(values) > MAX_VALUES:
            raise ValueError(f"has {len(values):,} entries, more than {MAX_VALUES:,}; ask in several calls")
        return _encode_items(encode, values)
    except ValueError as error:
        if isinstance(error, InvalidFilter):
            raise
        kind = "" if name == RECORD_ID else f" ({fields[name].kind})"
        raise InvalidFilter(f"Field {name!r}{kind}, {SPELLINGS[op]}: the value {error}.") from error


def _resolve_fractions(condition: Compare) -> Filter:
    """Return a comparison of an `Int` with fractions as one with whole numbers."""
    name, op, operand = condition.field, condition.op, condition.value
    if op == "in":
        return Compare(name, op, tuple(each for each in operand if type(each) is int))
    if op == "exists" or type(operand) is int:
        return condition
    if op == "eq":
        return NOTHING
    return Compare(name, "lte", floor(operand)) if op in {"lt", "lte"} else Compare(name, "gte", ceil(operand))


def _encode_operand(encode: Callable[[Any], Stored], value: object) -> Stored:
    if type(value) in _SIMPLE and value == value:
        return encode(value)
    missing = "None" if value is None else name_missing(value)
    if missing:
        raise ValueError(f"is {missing}; use is_missing() or exists() ($exists) to match missing values")
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        raise ValueError(
            f"is a {type(value).__name__}; for several values use in_ ($in), on keywords contains_any ($contains_any)"
        )
    if isinstance(value, Mapping):
        raise ValueError(f"is a {type(value).__name__}; give a single value")
    return encode(value)


def _encode_items(encode: Callable[[Any], Stored], values: tuple[object, ...]) -> tuple[Stored, ...]:
    found: list[Stored] = []
    try:
        for value in values:
            found.append(_encode_operand(encode, value))  # noqa: PERF401 - its length is the position of a wrong value
    except ValueError as error:
        raise ValueError(f"at position {len(found)} {error}") from error
    return tuple(found)


def _encode_id(value: Any) -> str:
    reason = find_fault(value, 1, MAX_ID_BYTES)
    if reason:
        raise ValueError(reason if isinstance(value, str) else f"{reason}; give str(value)")
    return to_plain(value)
