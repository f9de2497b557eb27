"""Search in one statement, whatever the selectivity of its filter.

Unless a sample of pages shows that matches are many, the statement collects them, up to a bound. If they are few, it
answers with the nearest of them; if they are many, it searches the graph, which continues until enough of its
candidates match. PostgreSQL runs only the branch that is taken.

A partitioned table has a graph for each partition. The server walks all of them, each as far as hits of it are needed,
and merges what they find in the order of distances. The effort is that of one graph.

The number of hits is part of the text: for a parameter the planner would assume a tenth of the table, and plan each
search again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Double,
    FromClause,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from vecstore.backend import Include
from vecstore.filters.nodes import Filter

from . import generation_guard
from .catalogue_tables import CatalogueTables
from .column_types import VectorType
from .filters import Condition, make_condition
from .generation_table import Layout
from .match_estimate import FEW, estimate_share, may_be_few
from .metrics import cast_for_index, compute_distance, compute_true_distance, make_vector_type
from .reads import is_searchable, list_needed_columns, select_columns
from .statements import Statement, compile_statement, make_parameter
from .writes import make_array_parameter

MAX_EF = 1_000
SETTINGS = ("hnsw.iterative_scan", "hnsw.ef_search")
"""Settings that a graph search changes."""

_CARRIED = 100
"""Up to this many hits, the sort carries their columns along; with more it would not fit into memory."""
_ONE = literal_column("1", BigInteger())
_MOST = literal_column(str(MAX_EF), BigInteger())


@dataclass(frozen=True, slots=True)
class SearchStatement:
    """A search, as far as the text of its statement depends on it.

    Attributes
    ----------
    layout : Layout
    where : Filter or None
        Its shape; the values are parameters.
    include : frozenset
    k : int
    single : bool
        One query, the parameter ``query``; otherwise the array ``queries``.
    standby : bool
    """

    layout: Layout
    where: Filter | None
    include: Include
    k: int
    single: bool
    standby: bool

    def rename_table(self, name: str) -> SearchStatement:
        """Return the same search with the table under a short name: psycopg parses a long statement each time."""
        table_: Any = self.layout.table.alias(name)
        return replace(self, layout=replace(self.layout, table=table_))

    @property
    def condition(self) -> Condition | None:
        """The filter as SQL."""
        return None if self.where is None else make_condition(self.where, self.layout)

    @property
    def few(self) -> int:
        """The number of matches up to which they are compared one by one."""
        return max(FEW, 10 * self.k)


Build = Callable[[CatalogueTables, SearchStatement], Statement]
"""Compiles the statement of a search."""


def compile_exact_search(catalogue: CatalogueTables, search: SearchStatement) -> Statement:
    """Compare the query with every match."""
    search = search.rename_table("r")
    pointer = generation_guard.select_pointer(catalogue, standby=search.standby).cte("pointer")
    return compile_statement(_select_nearest(search, select_queries(search, pointer, "asked")))


def compile_search(catalogue: CatalogueTables, search: SearchStatement) -> Statement:
    """Search the graph if the catalogue has an effort for it; otherwise, or for few matches, compare with all."""
    named, pointer = search, _select_effort(catalogue, search)
    search = search.rename_table("r")
    uses_graph: ColumnElement[bool] = select(pointer.c.effort).scalar_subquery().is_not(None)
    compared = _select_nearest(search, select_queries(search, pointer, "compared"))
    if search.where is None:
        by_graph = _select_from_graph(search, select_queries(search, pointer, "asked", _set_effort(pointer.c.effort)))
        return compile_statement(union_all(compared.where(~uses_graph), by_graph.where(uses_graph)), settings=SETTINGS)
    share = estimate_share(named.layout, search.where)
    perhaps = and_(uses_graph, may_be_few(named.layout, named.few, share))
    widened = func.least(
        _MOST, cast(func.ceil(pointer.c.effort * select(share.c.widening).scalar_subquery()), BigInteger())
    )
    by_graph = _select_from_graph(search, select_queries(search, pointer, "asked", _set_effort(widened)))
    if not search.single:
        counted = (
            select(func.count().label("n"))
            .select_from(select_matches(search, perhaps).subquery("matching"))
            .cte("counted")
        )
        few = and_(perhaps, select(counted.c.n).scalar_subquery() <= _make_number(search.few))
        either = union_all(compared.where(or_(~uses_graph, few)), by_graph.where(and_(uses_graph, ~few)))
        return compile_statement(either, settings=SETTINGS)
    gathering = select_queries(search, pointer, "gathering")
    gathered = select_matches(search, perhaps, gathering).cte("gathered")
    few = and_(perhaps, select(func.count()).select_from(gathered).scalar_subquery() <= _make_number(search.few))
    nearest = (
        select(gathered.c.id, gathered.c.distance)
        .order_by(gathered.c.distance, gathered.c.id)
        .limit(_make_number(search.k))
    )
    chosen = join_records(search, gathering, nearest.lateral("near"), exact=True)
    one = union_all(compared.where(~uses_graph), chosen.where(few), by_graph.where(and_(uses_graph, ~few)))
    return compile_statement(one, settings=SETTINGS)


def _make_number(value: int) -> ColumnElement[Any]:
    return literal_column(str(int(value)), BigInteger())


def _select_effort(catalogue: CatalogueTables, search: SearchStatement) -> CTE:
    """Return the pointer with the effort that the caller or the catalogue names; NULL without a graph or an effort."""
    store, generation = catalogue.stores.alias("s"), catalogue.generations.alias("g")
    role = store.c.standby if search.standby else store.c.active
    named = func.coalesce(make_parameter("ef", BigInteger()), generation.c.ef)
    kind = generation.c.schema.op("#>>")(literal_column("'{index,kind}'"))
    # Of each graph of a partitioned table only its part of the hits is expected.
    least = -(-2 * search.k // search.layout.partitions)
    effort = func.least(func.greatest(named, _make_number(least)), _MOST)
    # What another engine follows has no graph here.
    has_graph = and_(kind == literal_column("'hnsw'"), named.is_not(None), ~generation.c.followed)
    chosen = case((has_graph, effort)).label("effort")
    return select(chosen).join(store, role == generation.c.id).where(role == generation_guard.GENERATION).cte("pointer")


def select_matches(search: SearchStatement, condition: ColumnElement[bool], asked: CTE | None = None) -> Select[Any]:
    """Return matches up to one more than are few, where a condition holds; with their distances from a query."""
    layout, bound = search.layout, _make_number(search.few + 1)
    if asked is None:
        return select(_ONE.label("one")).where(is_searchable(layout, search.condition), condition).limit(bound)
    distance = compute_true_distance(layout, asked.c.vector).label("distance")
    rows = select(layout.columns.id, distance).select_from(layout.table.join(asked, true()))
    return rows.where(is_searchable(layout, search.condition), condition).limit(bound)


def select_queries(search: SearchStatement, pointer: CTE, name: str, *settings: ColumnElement[Any]) -> CTE:
    """Return the queries with their numbers; none where the pointer is empty.

    Settings last for this statement alone; they are in force before the search reads the first row of this.
    """
    named = [setting.label(f"setting{number}") for number, setting in enumerate(settings)]
    vector = VectorType("vector", search.layout.extension)
    if search.single:
        query = cast(make_parameter("query", vector), vector).label("vector")
        alone = select(query, _ONE.label("number"), *named).select_from(pointer)
        return alone.cte(name)
    queries = func.unnest(make_array_parameter("queries", vector)).table_valued("vector", with_ordinality="number")
    each = queries.render_derived(name="query")
    return select(each.c.vector, each.c.number, *named).select_from(pointer.join(each, true())).cte(name)


def _set_effort(ef: ColumnElement[Any]) -> ColumnElement[Any]:
    iterative = func.set_config(literal_column("'hnsw.iterative_scan'"), literal_column("'strict_order'"), true())
    return func.concat(iterative, func.set_config(literal_column("'hnsw.ef_search'"), cast(ef, Text()), true()))


def _select_nearest(search: SearchStatement, asked: CTE) -> Select[Any]:
    layout, distance = search.layout, compute_true_distance(search.layout, asked.c.vector)
    ordered = select(layout.columns.id, distance.label("distance"), *list_carried_columns(search))
    # Adding 0 keeps the planner from using the graph.
    nearest = ordered.where(is_searchable(layout, search.condition)).order_by(
        distance + literal_column("0"), layout.columns.id
    )
    near = nearest.limit(_make_number(search.k)).correlate(asked).lateral("near")
    return join_records(search, asked, near, exact=True)


def _select_from_graph(search: SearchStatement, asked: CTE) -> Select[Any]:
    layout, limit = search.layout, search.k
    query: ColumnElement[Any] = asked.c.vector
    if layout.indexed_as != "vector":
        # Found by rounded vectors and ordered by exact ones: a few more candidates make up for the rounding.
        query, limit = cast(query, make_vector_type(layout, layout.indexed_as)), 2 * search.k + 10
    key = compute_distance(layout, cast_for_index(layout), query)
    distance = compute_true_distance(layout, asked.c.vector).label("distance")
    near = (
        select(layout.columns.id, distance, *list_carried_columns(search))
        .where(is_searchable(layout, search.condition))
        .order_by(key)
        .limit(_make_number(limit))
        .correlate(asked)
        .lateral("near")
    )
    return join_records(search, asked, near, exact=False)


def list_carried_columns(search: SearchStatement) -> list[ColumnElement[Any]]:
    """Return the columns that a sort carries along."""
    return list_needed_columns(search.layout, search.include) if search.k <= _CARRIED else []


def join_records(
    search: SearchStatement, asked: CTE, near: FromClause, *beside: ColumnElement[Any], exact: bool
) -> Select[Any]:
    """Return for each query what is near it, with the parts of records that are included and more columns beside."""
    stored: Any = search.layout
    rows = asked.outerjoin(near, true())
    if {each.name for each in list_needed_columns(stored, search.include)} <= set(near.c.keys()):
        stored = replace(stored, table=near)
    else:
        rows = rows.outerjoin(stored.table, stored.table.c.id == near.c.id)
    return select(
        asked.c.number,
        literal_column("true" if exact else "false").label("exact"),
        near.c.id,
        cast(near.c.distance, Double()).label("distance"),
        *(value.label(name) for name, value in select_columns(stored, search.include).items()),
        *beside,
    ).select_from(rows)
