"""Haystack's filters as vecstore's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import reduce
from operator import and_, ge, gt, le, lt, or_
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from haystack.errors import FilterError

from ... import ALL, NOTHING, F, Filter

if TYPE_CHECKING:
    from ...filters.field_ref import FieldRef

_ORDERS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType({">": gt, ">=": ge, "<": lt, "<=": le})
_DOCUMENT_FIELDS = frozenset({"content", "blob", "score", "embedding", "sparse_embedding", "meta", "dataframe"})


def read_filters(filters: Mapping[str, Any] | None) -> Filter | None:
    """Return the condition of a read; no filters are none."""
    return _read(filters) if filters else None


def require_filters(filters: Mapping[str, Any] | None) -> Filter:
    """Return the condition of a delete or an update, which never means everything by accident."""
    if not filters:
        raise FilterError("An empty filter selects nothing to change. delete_all_documents() removes everything.")
    return _read(filters)


def read_path(name: str) -> tuple[str, ...]:
    """Return the keys of ``meta.author.name``, with or without ``meta.``."""
    path = tuple(name.removeprefix("meta.").split("."))
    if not all(path):
        raise FilterError("A metadata field is named by its keys, as in meta.author.name.")
    return path


def _read(given: Any) -> Filter:
    if not isinstance(given, Mapping):
        raise FilterError(f"A condition is a dict, not {type(given).__name__}.")
    wanted = {"field", "operator", "value"} if "field" in given else {"operator", "conditions"}
    if given.keys() != wanted:
        raise FilterError(f"A condition has the keys {', '.join(sorted(wanted))}; see Haystack's metadata filtering.")
    if "field" in given:
        return _compare(given["field"], given["operator"], given["value"])
    if not isinstance(given["conditions"], list):
        raise FilterError("The conditions of AND, OR and NOT are a list.")
    items = [_read(each) for each in given["conditions"]]
    if given["operator"] == "OR":
        return reduce(or_, items) if items else NOTHING
    both = reduce(and_, items) if items else ALL
    if given["operator"] == "NOT":
        return ~both
    if given["operator"] == "AND":
        return both
    raise FilterError("The operator of conditions is AND, OR or NOT.")


def _compare(name: Any, operator: Any, value: Any) -> Filter:
    field = _read_field(name)
    match operator:
        case "==":
            return _equal(field, value)
        case "!=":
            return ~_equal(field, value)
        case "in" | "not in":
            if not isinstance(value, list):
                raise FilterError(f"The value of {operator!r} is a list, not {type(value).__name__}.")
            found = field.in_([_to_text(each) for each in value if each is not None])
            found = found | field.is_missing() if None in value else found
            return found if operator == "in" else ~found
        case ">" | ">=" | "<" | "<=":
            if value is None:
                return NOTHING
            ordered: Filter = _ORDERS[operator](field, _check_ordered(value))
            return ordered
    raise FilterError("The operator of a comparison is ==, !=, >, >=, <, <=, in or not in.")


def _read_field(name: Any) -> FieldRef:
    if not isinstance(name, str) or name in _DOCUMENT_FIELDS:
        raise FilterError("A filter takes id or a metadata field, such as meta.author.")
    return F.id if name == "id" else F.path(*read_path(name))


def _equal(field: FieldRef, value: Any) -> Filter:
    return field.is_missing() if value is None else field == _to_text(value)


def _to_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _check_ordered(value: Any) -> Any:
    value = _to_text(value)
    if isinstance(value, str):
        try:
            if value[4:5] != "-":  # Python also reads forms whose texts are not in the order of their dates
                raise ValueError
            datetime.fromisoformat(value)
        except ValueError:
            raise FilterError("A text has an order only if it is an ISO 8601 date, as 2024-01-31T09:30:00.") from None
    elif not isinstance(value, int | float) or isinstance(value, bool):
        raise FilterError(f"Only numbers and dates have an order, not {type(value).__name__}.")
    return value
