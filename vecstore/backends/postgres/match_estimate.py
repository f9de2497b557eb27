"""How many records match a filter: an estimate from a sample of the table's pages, and what counts as few.

Citus keeps the rows of a distributed table in another one, possibly on another server, which the catalogue of this one
does not know. A statement that asks for both is refused, so there the sample alone has to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    TableClause,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import REGCLASS

from vecstore.filters.nodes import Filter

from .filters import make_condition
from .generation_table import Layout
from .reads import is_searchable

FEW = 5_000
"""Up to this many matches are compared one by one; among more, an equally good graph search is faster."""
_SURELY_MANY = 4
"""Matches are not counted if the sample estimates more than this many times `FEW`."""
_SAMPLE: ColumnElement[Any] = literal_column("524288.0")
"""Bytes of a table from which the share of matches is estimated."""
_ONE = literal_column("1", BigInteger())
_SOME: ColumnElement[Any] = literal_column("1.0")


def estimate_share(layout: Layout, where: Filter) -> CTE:
    """Return how many rows there are for one that matches, from a sample of the table's pages.

    ``inverse`` counts all rows, as the table's statistics do, and ``widening`` those that a graph has. With Citus
    ``rows`` is a guess of the number of all rows.
    """
    size = func.greatest(_measure(layout), _ONE)
    percent = func.least(literal_column("100"), literal_column("100") * _SAMPLE / size)
    sampled: Any = layout.table.tablesample(func.system(percent), name="sampled")
    of_sample = replace(layout, table=sampled)
    matching = func.count().filter(is_searchable(of_sample, make_condition(where, of_sample)))
    inverse = (func.count() + _SOME) / (matching + _SOME)
    widening = inverse
    if layout.schema.has_optional_vectors:
        widening = (func.count().filter(is_searchable(of_sample, None)) + _SOME) / (matching + _SOME)
    figures: list[ColumnElement[Any]] = [inverse.label("inverse"), widening.label("widening")]
    if layout.has_citus:
        figures.append((func.count() * func.greatest(_ONE, size / _SAMPLE)).label("rows"))
    return select(*figures).select_from(sampled).cte("share")


def may_be_few(layout: Layout, few: int, share: CTE) -> ColumnElement[bool]:
    """Say whether matches may be as few as ``few``, by their share and the statistics of the table."""
    rows: ColumnElement[Any]
    if layout.has_citus:
        rows = select(share.c.rows).scalar_subquery()
    else:
        rows = _add_up(layout, lambda table: func.greatest(table.c.reltuples, literal_column("0")))
    inverse = select(share.c.inverse).scalar_subquery()
    none = literal_column("0", BigInteger())
    return func.coalesce(rows, none) <= literal_column(str(_SURELY_MANY * few), BigInteger()) * inverse


def _measure(layout: Layout) -> ColumnElement[Any]:
    """Return the number of bytes of the tables that hold the rows."""
    if not layout.has_citus:
        return _add_up(layout, lambda table: func.pg_relation_size(table.c.oid))
    # A row knows the table that it lies in. Citus finds a table's own name in no argument of TABLESAMPLE, so not there.
    any_row: Any = layout.table.alias("any_row")
    size = select(func.pg_relation_size(column("tableoid")).label("bytes")).select_from(any_row).limit(_ONE).cte("size")
    return select(size.c.bytes).scalar_subquery() * literal_column(str(layout.partitions))


def _add_up(layout: Layout, figure: Callable[[TableClause], ColumnElement[Any]]) -> ColumnElement[Any]:
    """Return the sum of a figure over the tables that hold the rows."""
    classes = table("pg_class", column("oid"), column("reltuples"), schema="pg_catalog")
    named = cast(literal(f"{layout.table.schema}.{layout.table.name}"), REGCLASS())
    if layout.partitions == 1:
        return select(figure(classes)).where(classes.c.oid == named).scalar_subquery()
    parts = table("pg_inherits", column("inhrelid"), column("inhparent"), schema="pg_catalog")
    found = select(func.sum(figure(classes))).join(parts, parts.c.inhrelid == classes.c.oid)
    return found.where(parts.c.inhparent == named).scalar_subquery()
