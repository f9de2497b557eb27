"""The dict form of a filter, which is also its JSON: ``{"year": {"$gte": 2020}, "lang": "en", "$or": […]}``.

``{"$key": ["id", {"$eq": 1}]}`` is the metadata key of that name, whatever it is, and
``{"$path": [["a", "b"], {"$eq": 1}]}`` a path into objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ..errors import InvalidFilter, close_matches
from ..fields import unwrap
from .field_ref import FieldRef, make_ref
from .limits import MAX_DEPTH
from .nodes import ALL, NOTHING, And, Compare, CompareKey, Filter, Not, Or

_FROM_DICT: Mapping[str, Callable[[FieldRef, Any], Filter]] = MappingProxyType(
    {
        "$eq": lambda ref, value: ref == value,
        "$ne": lambda ref, value: ref != value,
        "$lt": lambda ref, value: ref < value,
        "$lte": lambda ref, value: ref <= value,
        "$gt": lambda ref, value: ref > value,
        "$gte": lambda ref, value: ref >= value,
        "$in": FieldRef.in_,
        "$nin": FieldRef.not_in,
        "$between": lambda ref, value: ref.between(*_check_pair(ref, value)),
        "$exists": lambda ref, value: ref.exists() if _check_bool(ref, value) else ref.is_missing(),
        "$contains": FieldRef.contains,
        "$contains_any": FieldRef.contains_any,
        "$contains_all": FieldRef.contains_all,
        "$starts_with": FieldRef.starts_with,
        "$contains_text": FieldRef.contains_text,
    }
)


_CONSTANTS: Mapping[str, Filter] = MappingProxyType({"$all": ALL, "$nothing": NOTHING})


def _check_pair(ref: FieldRef, value: object) -> tuple[object, object]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        found = f"a list of {len(value)}" if isinstance(value, list | tuple) else type(value).__name__
        raise InvalidFilter(f"Field {ref.name[:60]!a}: $between takes a list of two values, not {found}.")
    return value[0], value[1]


def _check_bool(ref: FieldRef, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidFilter(f"Field {ref.name[:60]!a}: $exists takes true or false, not {type(value).__name__}.")
    return value


def from_dict(data: Mapping[str, Any]) -> Filter:
    """Parse the dict form, for example ``{"year": {"$gte": 2020}, "$or": [{"lang": "en"}, …]}``.

    Raises
    ------
    InvalidFilter
    """
    return _parse(data, depth=1)


def as_filter(where: Filter | Mapping[str, Any]) -> Filter:
    """Return a filter in either form as a `Filter`."""
    return where if isinstance(where, Filter) else from_dict(where)


def _parse(data: object, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise InvalidFilter(f"The filter is nested deeper than {MAX_DEPTH}.")
    if not isinstance(data, Mapping):
        raise InvalidFilter(
            f"A filter is written as F.year >= 2020 or {{'year': {{'$gte': 2020}}}}, not as {type(data).__name__}."
        )
    if not data:
        raise InvalidFilter(
            "An empty dict would match every record. Pass None for no filter, or ALL to match every record explicitly."
        )
    items = [_parse_entry(key, value, depth) for key, value in data.items()]
    return items[0] if len(items) == 1 else And(tuple(items))


def _parse_entry(key: object, value: object, depth: int) -> Filter:
    if not isinstance(key, str):
        raise InvalidFilter(f"A filter's keys are names of fields, and must be str, not {type(key).__name__}.")
    if key == "$not":
        return Not(_parse(value, depth + 1))
    if key in {"$and", "$or"}:
        if not isinstance(value, list | tuple) or not value:
            found = "an empty list" if isinstance(value, list | tuple) else type(value).__name__
            raise InvalidFilter(f"{key} takes a list of at least one filter, not {found}.")
        items = tuple(_parse(item, depth + 1) for item in value)
        return And(items) if key == "$and" else Or(items)
    if value is True and key in _CONSTANTS:
        return _CONSTANTS[key]
    if key in {"$key", "$path"}:
        return _parse_condition(*_parse_subject(key, value))
    if key.startswith("$"):
        hint = close_matches(key, ["$and", "$or", "$not", "$key", "$path"])
        raise InvalidFilter(f"Unknown operator {key[:40]!a}.{hint} A metadata key of that name is written with $key.")
    return _parse_condition(FieldRef(key), value)


def _parse_subject(key: str, value: object) -> tuple[FieldRef, object]:
    """Return the key or path of a condition, and the condition."""
    if isinstance(value, list | tuple) and len(value) == 2:
        name, condition = value
        path = (name,) if key == "$key" else tuple(name) if isinstance(name, list | tuple) else ()
        if path and all(isinstance(each, str) for each in path):
            return make_ref(path), condition
    example = '["Page Number", {"$eq": 3}]' if key == "$key" else '[["author", "name"], {"$eq": "x"}]'
    raise InvalidFilter(
        f"{key} takes a list of two: {'a key' if key == '$key' else 'a list of keys'} and a condition, as in {example}."
    )


def _parse_condition(ref: FieldRef, value: object) -> Filter:
    if not isinstance(value, Mapping):
        return ref == value
    conditions = [_parse_operator(ref, op, operand) for op, operand in value.items()]
    if not conditions:
        raise InvalidFilter(
            f"Field {ref.name[:60]!a} has an empty condition, which would match every record. "
            "Write one such as {'$eq': …}."
        )
    return conditions[0] if len(conditions) == 1 else And(tuple(conditions))


def _parse_operator(ref: FieldRef, op: object, operand: object) -> Filter:
    if not isinstance(op, str) or op not in _FROM_DICT:
        hint = close_matches(str(op), _FROM_DICT)
        raise InvalidFilter(f"Unknown operator {str(op)[:40]!a} on field {ref.name[:60]!a}.{hint}")
    return _FROM_DICT[op](ref, operand)


def to_dict(condition: Filter) -> dict[str, Any]:
    """Return a filter in its dict form, which JSON can represent; dates become ISO 8601 text."""
    match condition:
        case And(()):
            return {"$all": True}
        case Or(()):
            return {"$nothing": True}
        case Compare(name, op, value):
            spelled = {f"${op}": _to_jsonable(value)}
            return {"$key": [name, spelled]} if name.startswith("$") else {name: spelled}
        case CompareKey(path, op, value):
            spelled = {f"${op}": _to_jsonable(value)}
            return {"$key": [path[0], spelled]} if len(path) == 1 else {"$path": [list(path), spelled]}
        case And(items):
            return {"$and": [to_dict(item) for item in items]}
        case Or(items):
            return {"$or": [to_dict(item) for item in items]}
        case Not(item):
            return {"$not": to_dict(item)}
    raise InvalidFilter(f"Not a filter: {type(condition).__name__}.")


def _to_jsonable(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_to_jsonable(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return unwrap(value)
