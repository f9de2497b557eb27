"""Conditions on undeclared metadata as SQL, over the ``jsonb`` column of canonical values.

Equality and containment are ``@>``, which the GIN index serves. It takes a list for contained in a longer one, so lists
are compared as well. An order compares numbers as ``double precision`` and strings by code points, never one with the
other; a part of a string is looked for in strings. Keys are parameters, as values are; ``->`` with text looks into
objects only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Double, Text, any_, case, cast, func, literal_column
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from vecstore.filters.canonical_json import encode_member, encode_value
from vecstore.filters.key_values import KeyValue
from vecstore.filters.nodes import CompareKey

from .text_conditions import TEXT_CONDITIONS

Take = Callable[[TypeEngine[Any]], ColumnElement[Any]]
"""Returns the next parameter, of a type."""
Condition = ColumnElement[bool]

_ORDERS: Mapping[str, str] = MappingProxyType({"lt": "<", "lte": "<=", "gt": ">", "gte": ">="})
_TEXTS = ARRAY(Text())


def describe_key_shape(condition: CompareKey) -> tuple[Any, ...]:
    """Return what the SQL of a condition depends on: everything but keys and values."""
    return ("key", len(condition.path), condition.op, _describe_operand(condition))


def _describe_operand(condition: CompareKey) -> str | bool:
    if condition.op in _ORDERS:
        return str(condition.value.kind)
    return condition.op in {"eq", "in"} and any(each.kind == "list" for each in _list_operands(condition))


def _list_operands(condition: CompareKey) -> tuple[KeyValue, ...]:
    return condition.value if condition.op == "in" else (condition.value,)


def list_key_values(condition: CompareKey) -> list[Any]:
    """Return the keys and values of a condition in the order in which `make_key_predicate` takes them."""
    path, operand = condition.path, condition.value
    match condition.op:
        case "exists":
            return [*path]
        case "contains_all":
            return [encode_member(path, *operand, listed=True)]
        case "contains_any":
            return [[encode_member(path, each, listed=True) for each in operand]]
        case "eq" | "in":
            operands = _list_operands(condition)
            members = [encode_member(path, each) for each in operands]
            if _describe_operand(condition):
                return [members, *path, list(map(encode_value, operands))]
            return members if condition.op == "eq" else [members]
    return [*path, operand.value]


def make_key_predicate(condition: CompareKey, column: ColumnElement[Any], take: Take) -> Condition:
    """Return a condition as SQL, each key and value a parameter; NULL where the key is missing."""
    match condition.op:
        case "exists":
            return _read_path(condition, column, take).is_not(None)
        case "contains_all":
            return _contain(column, cast(take(Text()), JSONB()))
        case "eq" if not _describe_operand(condition):
            return _contain(column, cast(take(Text()), JSONB()))  # for each match a third quicker than any of one
        case "contains_any" | "eq" | "in":
            found = _contain(column, any_(cast(take(_TEXTS), ARRAY(JSONB()))))
            if not _describe_operand(condition):
                return found
            value = _read_path(condition, column, take)
            return found & (value == any_(cast(take(_TEXTS), ARRAY(JSONB()))))
    return _compare_guarded(_read_path(condition, column, take), condition, take)


def _contain(column: ColumnElement[Any], members: ColumnElement[Any]) -> Condition:
    return column.op("@>", is_comparison=True)(members)


def _read_path(condition: CompareKey, column: ColumnElement[Any], take: Take) -> ColumnElement[Any]:
    for _ in condition.path:
        column = column.op("->", return_type=JSONB())(take(Text()))
    return column


def _compare_guarded(value: ColumnElement[Any], condition: CompareKey, take: Take) -> Condition:
    """Compare values of the operand's class; the guard keeps the server from converting others, which would fail."""
    kind = func.jsonb_typeof(value)
    if condition.value.kind == "number":
        number = case((kind == literal_column("'number'"), cast(value, Double())))
        return number.op(_ORDERS[condition.op], is_comparison=True)(take(Double()))
    text = value.op("#>>", return_type=Text())(literal_column("'{}'"))
    string = case((kind == literal_column("'string'"), text)).collate("C")
    if condition.op in TEXT_CONDITIONS:
        return TEXT_CONDITIONS[condition.op](string, take(Text()))
    return string.op(_ORDERS[condition.op], is_comparison=True)(take(Text()))
