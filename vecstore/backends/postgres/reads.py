"""Statements that read records. Each reads the store's pointer too: no row means that the generation was superseded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    collate,
    func,
    literal_column,
    null,
    select,
    true,
)
from sqlalchemy.sql.selectable import FromClause

from vecstore.backend import EVERYTHING, Include
from vecstore.fields import Keywords

from . import generation_guard
from .catalogue_tables import CatalogueTables
from .column_types import name_function
from .filters import Condition
from .generation_table import Layout, name_column
from .statements import Statement, compile_statement, make_parameter
from .writes import match_any

_ONE = literal_column("1", BigInteger())


def select_columns(layout: Layout, include: Include) -> dict[str, ColumnElement[Any]]:
    """Return what is read of a record besides its id, by name: ``body``, ``extra`` and the fields, ``vector``."""
    table, found = layout.table, dict[str, ColumnElement[Any]]()
    if "text" in include:
        found["body"] = table.c.body
    if "metadata" in include:
        found["extra"] = cast(table.c.extra, Text())
        for field in layout.schema.fields:
            found[f"f_{field}"] = layout.get_type(field).out_of(layout.get_column(field))
    if "vector" in include:
        found["vector"] = name_function(layout.extension)(f"{layout.vector_type}_send", table.c.embedding)
    return found


def list_needed_columns(layout: Layout, include: Include) -> list[ColumnElement[Any]]:
    """Return the table's columns that `select_columns` reads from."""
    wanted = {"body"} if "text" in include else set()
    if "metadata" in include:
        wanted |= {"extra", *map(name_column, layout.schema.fields)}
    if "vector" in include:
        wanted.add("embedding")
    return [each for each in layout.table.c if each.name in wanted]


def is_live(layout: Layout, condition: Condition | None) -> ColumnElement[bool]:
    """Return the condition of records, tombstones left out."""
    live = layout.mark.is_not(null())
    return live if condition is None else and_(live, condition)


def is_searchable(layout: Layout, condition: Condition | None) -> ColumnElement[bool]:
    """Return the condition of records that have a vector."""
    present = layout.table.c.embedding.is_not(null())
    return present if condition is None else and_(present, condition)


def is_bare(layout: Layout) -> ColumnElement[bool]:
    """Return the condition of records that have no vector."""
    return and_(layout.mark.is_not(null()), layout.table.c.embedding.is_(null()))


def compile_fetch(catalogue: CatalogueTables, layout: Layout, *, standby: bool) -> Statement:
    """Read records by their ids."""
    rows = _select_records(layout).where(is_live(layout, layout.table.c.id == match_any("ids")))
    return _join_pointer(catalogue, rows.lateral("found"), standby=standby)


def compile_page(
    catalogue: CatalogueTables,
    layout: Layout,
    condition: Condition | None,
    include: Include,
    *,
    after: bool,
    standby: bool,
) -> Statement:
    """Read the first records beyond an id, in the order of ids."""
    id_ = layout.table.c.id
    rows = (
        _select_records(layout, include)
        .where(is_live(layout, condition))
        .order_by(id_)
        .limit(make_parameter("limit", BigInteger()))
    )
    if after:
        rows = rows.where(id_ > cast(make_parameter("after", Text()), Text()))
    return _join_pointer(catalogue, rows.lateral("found"), standby=standby)


def compile_sample(
    catalogue: CatalogueTables, layout: Layout, condition: Condition | None, *, standby: bool
) -> Statement:
    """Read records at the places ⌊i·n/size⌋ of the order of ids of those with a vector, or all of these if that few."""
    table = layout.table
    place = (cast(func.row_number().over(order_by=table.c.id), BigInteger) - _ONE).label("place")
    numbered = (
        select(table.c.id, place, cast(func.count().over(), BigInteger).label("n"))
        .where(is_searchable(layout, condition))
        .subquery("numbered")
    )
    size = cast(make_parameter("size", BigInteger()), BigInteger())
    # The only i that can lead to a place: ⌈place·size/n⌉.
    i = (numbered.c.place * size + numbered.c.n - _ONE) // numbered.c.n
    drawn = (i < size) & ((i * numbered.c.n) // size == numbered.c.place)
    chosen = select(numbered.c.id).where((numbered.c.n <= size) | drawn)
    rows = _select_records(layout).where(table.c.id.in_(chosen)).order_by(table.c.id)
    return _join_pointer(catalogue, rows.lateral("found"), standby=standby)


def compile_count(
    catalogue: CatalogueTables, layout: Layout, condition: Condition | None, *, standby: bool
) -> Statement:
    """Count records."""
    matching = select(func.count()).select_from(layout.table).where(is_live(layout, condition)).scalar_subquery()
    pointer = generation_guard.select_pointer(catalogue, standby=standby).subquery("pointer")
    return compile_statement(select(matching).select_from(pointer))


def compile_values(
    catalogue: CatalogueTables, layout: Layout, condition: Condition | None, field: str, *, limited: bool, standby: bool
) -> Statement:
    """Count the records of each value of a field, of a list the records of each element."""
    table, column = layout.table, layout.get_column(field)
    source: FromClause = table
    value = column
    if isinstance(layout.schema.fields[field], Keywords):
        elements = select(func.unnest(column).label("element")).distinct().correlate(table).lateral("elements")
        source, value = table.join(elements, true()), collate(elements.c.element, "C")
    number = cast(func.count(), BigInteger)
    rows = (
        select(layout.get_type(field).out_of(value).label("value"), number.label("number"))
        .select_from(source)
        .where(is_live(layout, condition), column.is_not(None))
        .group_by(value)
        .order_by(number.desc(), value)
    )
    if limited:
        rows = rows.limit(make_parameter("limit", BigInteger()))
    return _join_pointer(catalogue, rows.lateral("found"), standby=standby)


def compile_bare_count(layout: Layout) -> Statement:
    """Count records without a vector."""
    return compile_statement(select(func.count()).select_from(layout.table).where(is_bare(layout)))


def compile_bare_ids(catalogue: CatalogueTables, layout: Layout, *, standby: bool) -> Statement:
    """Read the first ids of records without a vector."""
    id_ = layout.table.c.id
    rows = select(id_).where(is_bare(layout)).order_by(id_).limit(make_parameter("limit", BigInteger()))
    return _join_pointer(catalogue, rows.lateral("found"), standby=standby)


def compile_tombstone_page(catalogue: CatalogueTables, layout: Layout, *, after: bool, standby: bool) -> Statement:
    """Read the versions of tombstones beyond an id, in the order of ids."""
    table = layout.table
    rows = select(table.c.id, table.c.version).where(layout.mark.is_(null()))
    rows = rows.order_by(table.c.id).limit(make_parameter("limit", BigInteger()))
    if after:
        rows = rows.where(table.c.id > cast(make_parameter("after", Text()), Text()))
    return _join_pointer(catalogue, rows.lateral("found"), standby=standby)


def _select_records(layout: Layout, include: Include = EVERYTHING) -> Select[Any]:
    table = layout.table
    shown = (value.label(name) for name, value in select_columns(layout, include).items())
    return select(table.c.id, table.c.version, *shown)


def _join_pointer(catalogue: CatalogueTables, found: FromClause, *, standby: bool) -> Statement:
    """Return rows joined to the pointer: one row of nulls if the generation has its role but no such record."""
    pointer = generation_guard.select_pointer(catalogue, standby=standby).subquery("pointer")
    return compile_statement(select(*found.c).select_from(pointer.outerjoin(found, true())))
