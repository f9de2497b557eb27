"""Writing a batch of records, in one statement: gate, rows and notes commit together.

The batch travels as one array a column. Many new records are copied in instead, see `copying`; this is for the rest:
few records, stored ids, tombstones, fences, a caller's transaction, and while changes are noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    ColumnElement,
    Text,
    and_,
    case,
    cast,
    literal_column,
    null,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert as insert_into
from sqlalchemy.types import TypeEngine

from . import generation_guard
from .catalogue_tables import CatalogueTables
from .change_list import count_rows, finish_write
from .column_types import VectorType
from .generation_table import Layout, name_column
from .statements import Statement, compile_statement, make_parameter, unnest_arrays

ZERO = literal_column("0", BigInteger())
_ONE = literal_column("1", BigInteger())


def compile_write(
    catalogue: CatalogueTables, layout: Layout, *, insert: bool, fenced: bool, standby: bool
) -> Statement:
    """Write a batch; answers with how many gates stood open, and how many rows were written.

    An insert that meets a stored id divides by zero, which undoes all of it.
    """
    table, gate = layout.table, generation_guard.guard_write(catalogue, standby=standby)
    types = list_sent_types(layout, fenced=fenced)
    given = unnest_arrays(
        "given", types, {name: make_array_parameter(f"given_{name}", each) for name, each in types.items()}
    )
    values: dict[str, ColumnElement[Any]] = {
        "id": given.c.id,
        "version": given.c.version if fenced else ZERO,
        "embedding": given.c.embedding,
        "body": given.c.body,
        "extra": cast(given.c.extra, JSON()),
    }
    for field in layout.schema.fields:
        values[name_column(field)] = layout.form(field).into(given.c[name_column(field)])
    # In the order of ids, so that two writers cannot wait for each other.
    rows = select(*values.values()).select_from(gate.join(given, true())).order_by(given.c.id.collate("C"))
    inserting = insert_into(table).from_select(list(values), rows)
    replaced = {name: inserting.excluded[name] for name in values if name != "id" and (fenced or name != "version")}
    condition: ColumnElement[bool] | None = table.c.embedding.is_(null()) if insert else None
    if fenced:
        condition = table.c.version <= inserting.excluded.version
    changed = inserting.on_conflict_do_update(index_elements=[table.c.id], set_=replaced, where=condition)
    written = changed.returning(table.c.id).cte("changed")
    count = count_rows(written)
    if insert:
        refused = and_(count_rows(gate) == _ONE, count < make_parameter("rows", BigInteger()))
        count = case((refused, divide_by_zero(count)), else_=count)
    return finish_write(catalogue, gate, written, count)


def list_sent_types(layout: Layout, *, fenced: bool = False) -> Mapping[str, TypeEngine[Any]]:
    """Return the columns of a batch, and the type of one value of each."""
    types: dict[str, TypeEngine[Any]] = {"id": Text()}
    if fenced:
        types["version"] = BigInteger()
    types |= {"embedding": VectorType(layout.vector_type, layout.extension), "body": Text(), "extra": Text()}
    return types | {name_column(field): layout.form(field).sent for field in layout.schema.fields}


def make_array_parameter(name: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a parameter that is an array."""
    return cast(make_parameter(name, ARRAY(type_)), ARRAY(type_))


def divide_by_zero(number: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a division by zero that the planner cannot see coming."""
    return _ONE // (number - number)


def compile_stored_ids(layout: Layout) -> Statement:
    """Read which of some ids are stored."""
    table = layout.table
    found = select(table.c.id).where(table.c.id == match_any("ids"), table.c.embedding.is_not(None))
    return compile_statement(found.order_by(table.c.id).limit(literal_column("3")))


def match_any(name: str) -> ColumnElement[Any]:
    """Return ``ANY`` of a parameter that is a list of strings."""
    return make_array_parameter(name, Text()).any_()
