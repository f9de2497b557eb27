"""A bound filter as SQL: an expression that depends only on the filter's shape, and its values separately.

Every predicate is NULL on a missing value, which counts as false, and ``Not`` is ``IS NOT TRUE``. That turns the
three-valued logic of SQL into the two-valued one of `vecstore.filters.nodes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, and_, any_, bindparam, cast, false, literal_column, or_, true
from sqlalchemy.types import TypeEngine

from vecstore.filters.nodes import And, Compare, CompareKey, Filter, Not, Or

from .column_types import quote_table
from .generation_table import Layout
from .key_filters import describe_key_shape, list_key_values, make_key_predicate
from .text_conditions import TEXT_CONDITIONS

Shape = tuple[Any, ...]
Condition = ColumnElement[bool]

_ORDER: Mapping[str, Callable[[Any, Any], Condition]] = MappingProxyType(
    {
        "eq": lambda column, value: column == value,
        "lt": lambda column, value: column < value,
        "lte": lambda column, value: column <= value,
        "gt": lambda column, value: column > value,
        "gte": lambda column, value: column >= value,
    }
)

_OF_LISTS: Mapping[str, Callable[[Any, Any], Condition]] = MappingProxyType(
    {
        "in": lambda column, listed: column == any_(listed),
        "contains_any": lambda column, listed: column.op("&&", is_comparison=True)(listed),
        "contains_all": lambda column, listed: column.op("@>", is_comparison=True)(listed),
    }
)

_PLACE = re.compile("<condition on ([^<>]+)>")


class Placeholder(Filter):
    """A filter that is not known yet; `make_condition` makes a mark of it, which `fill_conditions` replaces."""


PLACEHOLDER = Placeholder()


def fill_conditions(text: str, condition: Callable[[str], str]) -> str:
    """Return SQL with a condition at every mark, made for the name of the rows there."""
    return _PLACE.sub(lambda place: f"({condition(place[1])})", text)


def describe_shape(condition: Filter) -> Shape:
    """Return what the SQL of a filter depends on: everything but the values.

    Whether a list is empty is part of it, because nothing matches an empty one.
    """
    match condition:
        case Compare(field, op, value):
            return (field, op, isinstance(value, tuple) and not value)
        case CompareKey():
            return describe_key_shape(condition)
        case And(items):
            return ("and", *map(describe_shape, items))
        case Or(items):
            return ("or", *map(describe_shape, items))
        case Not(item):
            return ("not", describe_shape(item))
    raise TypeError(f"not a bound filter: {type(condition).__name__}")


def list_values(condition: Filter, layout: Layout) -> dict[str, Any]:
    """Return the values of a filter by the parameter names that `make_condition` gave them."""
    return {_name_parameter(number): value for number, value in enumerate(_walk_values(condition, layout))}


def make_condition(condition: Filter, layout: Layout) -> Condition:
    """Return a filter as SQL, each value a parameter."""
    if isinstance(condition, Placeholder):
        return literal_column(f"<condition on {quote_table(layout.table)}>")
    return _make_condition(condition, layout, iter(range(1 << 20)))


def _name_parameter(number: int) -> str:
    return f"w{number}"


def _walk_values(condition: Filter, layout: Layout) -> Iterator[Any]:
    match condition:
        case Compare(_, "exists", _) | Compare(_, _, ()):
            return
        case Compare(field, _, value):
            compared = layout.get_type(field).compared
            yield [compared(each) for each in value] if isinstance(value, tuple) else compared(value)
        case CompareKey():
            yield from list_key_values(condition)
        case And(items) | Or(items):
            for item in items:
                yield from _walk_values(item, layout)
        case Not(item):
            yield from _walk_values(item, layout)


def _make_condition(condition: Filter, layout: Layout, numbers: Iterator[int]) -> Condition:
    match condition:
        case Compare(field, op, value):
            return _make_predicate(field, op, value, layout, numbers)
        case CompareKey():
            return make_key_predicate(condition, layout.table.c.extra_values, partial(_take_parameter, numbers))
        case And(items):
            return and_(true(), *(_make_condition(item, layout, numbers) for item in items)).self_group()
        case Or(items):
            return or_(false(), *(_make_condition(item, layout, numbers) for item in items)).self_group()
        case Not(item):
            return _make_condition(item, layout, numbers).self_group().is_not(true())
    raise TypeError(f"not a bound filter: {type(condition).__name__}")


def _make_predicate(field: str, op: str, value: Any, layout: Layout, numbers: Iterator[int]) -> Condition:
    column, form = layout.get_column(field), layout.get_type(field)
    if op == "exists":
        return column.is_not(None)
    if value == ():
        return false()
    if op in _ORDER:
        return _ORDER[op](column, _take_parameter(numbers, form.operand_type))
    if op in TEXT_CONDITIONS:
        return TEXT_CONDITIONS[op](column, _take_parameter(numbers, form.operand_type))
    listed = _take_parameter(numbers, ARRAY(form.operand_type))
    return _OF_LISTS[op](column, listed)


def _take_parameter(numbers: Iterator[int], type_: TypeEngine[Any]) -> ColumnElement[Any]:
    return cast(bindparam(_name_parameter(next(numbers))), type_)
