"""Statements compiled once for all tables with the same columns.

SQLAlchemy needs milliseconds to compile a statement. So each is compiled for a template table, with a placeholder for
the filter's condition; the condition, compiled separately, and the id of a generation are then put into the text.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

from vecstore.backend import Generation
from vecstore.filters.nodes import Filter
from vecstore.index_options import Flat
from vecstore.schema import Schema

from .filters import PLACEHOLDER, describe_shape, fill_conditions, make_condition
from .generation_table import Layout, make_layout
from .statements import Statement, compile_statement

Make = Callable[[Layout, Filter | None], Statement]
"""Compiles a statement for a table and, where there is one, a filter."""

# Upper case, which no name of a field, namespace or store contains.
_ID = "ID_OF_THIS_FORM"
_ROWS = "ROWS_OF_THIS_FORM"
_KEPT = 1_000
_T = TypeVar("_T")
_made: dict[Hashable, Statement] = {}
_conditions: dict[Hashable, str] = {}


def place_statement(key: Hashable, table: Layout, where: Filter | None, make: Make) -> Statement:
    """Return a statement for one generation's table.

    Parameters
    ----------
    key : hashable
        What ``make`` depends on besides the table and the filter.
    table : Layout
    where : Filter or None
    make : callable
    """
    form = _make_template(
        table.schema.with_index(Flat()), str(table.table.schema), table.extension, has_citus=table.has_citus
    )
    later = None if where is None else PLACEHOLDER
    made = get_or_make(_made, (key, form, later), lambda: make(form, later))
    text = made.text
    if where is not None:
        condition = get_or_make(_conditions, (form, describe_shape(where)), lambda: _compile_condition(where, form))
        text = fill_conditions(text, lambda rows: condition.replace(f'"{_ROWS}"', rows))
    constants = {
        name: value.replace(_ID, table.id) if isinstance(value, str) else value
        for name, value in made.constants.items()
    }
    return replace(made, text=text.replace(_ID, table.id), constants=MappingProxyType(constants))


def get_or_make(memory: dict[Hashable, _T], key: Hashable, make: Callable[[], _T]) -> _T:
    """Return the cached value of a key, made if there is none; a full cache is emptied."""
    found = memory.get(key)
    if found is None:
        if len(memory) >= _KEPT:
            memory.clear()
        found = memory.setdefault(key, make())
    return found


@lru_cache(maxsize=256)
def _make_template(schema: Schema, namespace: str, extension: str, *, has_citus: bool) -> Layout:
    return make_layout(Generation(_ID, schema), namespace, extension, has_citus=has_citus)


def _compile_condition(where: Filter, form: Layout) -> str:
    rows: Any = form.table.alias(_ROWS)
    return compile_statement(make_condition(where, replace(form, table=rows))).text
