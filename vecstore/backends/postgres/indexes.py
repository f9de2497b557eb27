"""HNSW indexes of a table or of its partitions: their definition, and the list of them.

The graph of a partitioned table is one index on each partition. There is none on the whole table: such an index could
not be built while the store is in use.

Only ``pg_index`` says whether an index is usable. An interrupted build leaves an invalid index behind, which no search
uses but ``IF NOT EXISTS`` takes for a complete one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Index

from vecstore.index_options import HNSW

from .column_types import quote_name, quote_table
from .generation_table import Layout
from .metrics import METRICS, cast_for_index
from .statements import Statement
from .transaction import Runner

_LISTED = Statement(
    "SELECT part.relname, name.relname, indisvalid AND indisready, (SELECT option_value::int "
    "FROM pg_options_to_table(name.reloptions) WHERE option_name = 'ef_construction') FROM pg_index "
    "JOIN pg_class name ON name.oid = indexrelid JOIN pg_am ON pg_am.oid = name.relam "
    "JOIN pg_class part ON part.oid = indrelid "
    "WHERE indrelid IN (SELECT to_regclass(%(table)s) UNION ALL "
    "SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(table)s)) "
    "AND amname = 'hnsw' AND name.relkind = 'i' AND NOT name.relispartition ORDER BY name.relname",
    MappingProxyType({}),
)


_OF_SINGLE = 3
"""A partition with this part of the rows that make a single graph worth building gets one: the server's own estimate
prefers the graph from about 3,000 rows on."""


@dataclass(frozen=True, slots=True)
class TableIndex:
    """An HNSW index of a table.

    Attributes
    ----------
    part : str
        The name of the table, or of the partition, that it is an index of.
    name : str
    valid : bool
        False where a build left the index behind unfinished, or is still running.
    ef_construction : int or None
        None where the engine's default was used.
    """

    part: str
    name: str
    valid: bool
    ef_construction: int | None = None


def list_graphs(runner: Runner, layout: Layout) -> list[TableIndex]:
    """Return every HNSW index of a generation."""
    rows = runner.run(_LISTED, {"table": quote_table(layout.table)})
    return [TableIndex(*row) for row in rows]


def choose_min_rows(layout: Layout, min_rows: int) -> int:
    """Return how many records make graphs worth building, by the number for a single one.

    In a small partition the server rather compares all rows, and then a calibration says nothing about the graph.
    """
    return min_rows if layout.partitions == 1 else max(min_rows, min_rows * layout.partitions // _OF_SINGLE)


def find_complete(graphs: Iterable[TableIndex], layout: Layout) -> TableIndex | None:
    """Return a usable graph if every part of a generation has one."""
    usable = {each.part: each for each in graphs if each.valid}
    return next(iter(usable.values()), None) if len(usable) == layout.partitions else None


def define_index(layout: Layout, name: str, options: HNSW) -> Index:
    """Return an HNSW index of a table as SQLAlchemy's object."""
    # On a copy of the table, because SQLAlchemy adds an Index to its table for good.
    copy = layout.copy()
    opclass = f"{copy.indexed_as}_{METRICS[copy.schema.metric].opclass}"
    return Index(
        name,
        cast_for_index(copy).label("embedding"),
        postgresql_using="hnsw",
        postgresql_ops={"embedding": f"{quote_name(copy.extension)}.{opclass}"},
        postgresql_with={"m": options.m, "ef_construction": options.ef_construction},
        postgresql_concurrently=True,
    )
