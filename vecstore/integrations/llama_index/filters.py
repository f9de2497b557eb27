"""LlamaIndex's filters as vecstore's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import and_, ge, gt, le, lt, or_
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from ... import NOTHING, F, Filter, InvalidFilter, VectorStore, fields
from .nodes import SOURCE, SOURCES

if TYPE_CHECKING:
    from ...filters.field_ref import FieldRef

MAX_VALUES = 10_000
"""What a list of a filter may hold."""
_ORDERS: Mapping[FilterOperator, Callable[[Any, Any], Any]] = MappingProxyType(
    {FilterOperator.GT: gt, FilterOperator.GTE: ge, FilterOperator.LT: lt, FilterOperator.LTE: le}
)
_LISTS = frozenset({FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL})


def read_filters(filters: Any, store: VectorStore | None) -> Filter | None:
    """Return the condition of a read; no filters are none."""
    if filters is not None and not isinstance(filters, MetadataFilters):
        raise InvalidFilter(f"filters must be MetadataFilters, not {type(filters).__name__}.")
    return _read(filters, store) if filters is not None and filters.filters else None


def _read(group: MetadataFilters, store: VectorStore | None) -> Filter:
    if not group.filters:
        raise InvalidFilter("A group of filters inside another one is empty. Leave it out.")
    items = [
        _read(each, store) if isinstance(each, MetadataFilters) else _compare(each, store) for each in group.filters
    ]
    if group.condition == FilterCondition.NOT:  # none of them
        return ~reduce(or_, items)
    return reduce(or_ if group.condition == FilterCondition.OR else and_, items)


def _compare(given: MetadataFilter, store: VectorStore | None) -> Filter:
    key, operator = SOURCE if given.key in SOURCES else given.key, given.operator
    field, value = F[key], cast("Any", given.value)
    if operator == FilterOperator.IS_EMPTY:
        return _is_empty(field, store)
    if value is None:
        raise InvalidFilter(f"Key {key[:60]!a}: nothing compares with None. Use FilterOperator.IS_EMPTY.")
    if operator in _LISTS and not isinstance(value, list):
        raise InvalidFilter(f"Key {key[:60]!a}: {operator.value!r} takes a list. Write [value] for a single one.")
    match operator:
        case FilterOperator.EQ:
            return field == given.value
        case FilterOperator.NE:
            return field != given.value
        case FilterOperator.IN:
            return field.in_(value)
        case FilterOperator.NIN:
            return field.not_in(value)
        case FilterOperator.ANY:
            return field.contains_any(value)
        case FilterOperator.ALL:
            return field.contains_all(value) if value else field.exists()
        case FilterOperator.CONTAINS:
            return field.contains(value)
        case FilterOperator.TEXT_MATCH:
            return field.contains_text(value)
        case FilterOperator.TEXT_MATCH_INSENSITIVE:
            return _contains_any_case(field, value, store)
    if operator not in _ORDERS or isinstance(value, list):
        raise InvalidFilter(f"Key {key[:60]!a}: {operator.value!r} has no meaning for a {type(value).__name__}.")
    ordered: Filter = _ORDERS[operator](field, value)
    return ordered


def _is_empty(field: FieldRef, store: VectorStore | None) -> Filter:
    """Match what is missing, the empty text and the empty list, as far as the type of a declared field has them."""
    match store.schema.fields.get(field.name) if store else None:
        case None:
            return field.is_missing() | field.in_(["", []])
        case fields.Keyword():
            return field.is_missing() | (field == "")
        case fields.Keywords():
            raise InvalidFilter(f"Field {field.name!r} (keywords): an empty list cannot be asked for. Leave it out.")
    return field.is_missing()


def _contains_any_case(field: FieldRef, text: Any, store: VectorStore | None) -> Filter:
    """Look among the values of the key: no backend compares without regard to case."""
    nothing = field.contains_text(text) & NOTHING
    if store is None or not isinstance(text, str) or not text:
        return nothing  # or an error that says why
    found = [value for value, _ in store.values(field.name) if isinstance(value, str) and text.lower() in value.lower()]
    if len(found) > MAX_VALUES:
        raise InvalidFilter(f"Key {field.name[:60]!a}: more than {MAX_VALUES:,} values have that text inside.")
    return field.in_(found) if found else nothing
