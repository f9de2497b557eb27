"""From a condition on columns to a filter of a store: a part of it that leaves out nothing which the condition matches.

The condition itself is checked by the database. The filter only spares the way over records that it cannot match.
"""

from __future__ import annotations

import datetime as dt
import enum
import operator
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, String, TypeDecorator
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList, Grouping

from ..filters import F, Filter
from .field_types import FieldColumn

_COMPARISONS: Mapping[Any, Callable[[Any, Any], Filter]] = MappingProxyType(
    {
        operators.eq: operator.eq,
        operators.lt: operator.lt,
        operators.le: operator.le,
        operators.gt: operator.gt,
        operators.ge: operator.ge,
    }
)
_ORDERED = (int, float, dt.datetime)
_MOST_VALUES = 1_000


def make_filter(condition: object, fields: Sequence[FieldColumn]) -> Filter | None:
    """Return a filter that matches at least what the condition matches; None if nothing of it can be said.

    Parameters
    ----------
    condition : ColumnElement or None
    fields : sequence of FieldColumn
        Those that the store has.
    """
    if isinstance(condition, Grouping):
        return make_filter(condition.element, fields)
    if isinstance(condition, BooleanClauseList):
        return _join(condition, fields)
    if isinstance(condition, BinaryExpression):
        return _compare(condition, fields)
    return None


def _join(condition: BooleanClauseList, fields: Sequence[FieldColumn]) -> Filter | None:
    parts = [make_filter(part, fields) for part in condition.clauses]
    known = [part for part in parts if part is not None]
    if condition.operator is operators.and_ and known:
        joined = known[0]
        for part in known[1:]:
            joined &= part
        return joined
    if condition.operator is operators.or_ and known and len(known) == len(parts):
        joined = known[0]
        for part in known[1:]:
            joined |= part
        return joined
    return None


def _compare(condition: BinaryExpression[Any], fields: Sequence[FieldColumn]) -> Filter | None:
    column, value = condition.left, condition.right
    field = next((each for each in fields if isinstance(column, Column) and _is_same(column, each.column)), None)
    if field is None or not isinstance(value, BindParameter) or not _is_compared_by_value(field.column):
        return None
    ref, given = F[field.attribute], value.effective_value
    if condition.operator is operators.in_op:
        if not isinstance(given, list | tuple) or len(given) > _MOST_VALUES:
            return None
        return ref.in_([field.convert(each) for each in given]) if all(_fits(each, field) for each in given) else None
    if condition.operator not in _COMPARISONS or not _fits(given, field):
        return None
    if condition.operator is not operators.eq and (isinstance(given, bool) or not isinstance(given, _ORDERED)):
        return None
    return _COMPARISONS[condition.operator](ref, field.convert(given))


def _is_same(column: Column[Any], other: Column[Any]) -> bool:
    """Say whether a column in a condition, which carries notes of the mapper, is the one of the table."""
    return column.table is other.table and column.key == other.key


def _is_compared_by_value(column: Column[Any]) -> bool:
    """Say whether the database finds only those values equal that are equal in the store."""
    type_ = column.type
    if isinstance(type_, TypeDecorator | CITEXT):
        return False
    return not isinstance(type_, String) or (type_.collation is None and type_.__visit_name__ not in {"CHAR", "NCHAR"})


def _fits(value: Any, field: FieldColumn) -> bool:
    """Say whether the store compares a value as the database does."""
    if not isinstance(value, str | bool | int | float | dt.datetime | uuid.UUID | enum.Enum):
        return False  # of a Decimal, the nearest double may lie on the other side
    if isinstance(value, dt.datetime) and (value.tzinfo or getattr(field.column.type, "timezone", True)):
        return False  # what a date without a zone means depends on the connection
    try:
        field.field.operand(field.convert(value))
    except (ValueError, AttributeError, TypeError):
        return False
    return True
