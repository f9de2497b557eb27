"""HNSW indexes of a table: their definition, and the list of them.

Only ``pg_index`` says whether an index is usable. An interrupted build leaves an invalid index behind, which no search
uses but ``IF NOT EXISTS`` takes for a complete one.
"""

from __future__ import annotations

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
    "SELECT name.relname, indisvalid AND indisready, (SELECT option_value::int "
    "FROM pg_options_to_table(name.reloptions) WHERE option_name = 'ef_construction') FROM pg_index "
    "JOIN pg_class name ON name.oid = indexrelid JOIN pg_am ON pg_am.oid = name.relam "
    "WHERE indrelid = to_regclass(%(table)s) AND amname = 'hnsw' ORDER BY name.relname",
    MappingProxyType({}),
)


@dataclass(frozen=True, slots=True)
class TableIndex:
    """An HNSW index of a table.

    Attributes
    ----------
    name : str
    valid : bool
        False where a build left the index behind unfinished, or is still running.
    ef_construction : int or None
        None where the engine's default was used.
    """

    name: str
    valid: bool
    ef_construction: int | None = None


def list_graphs(runner: Runner, layout: Layout) -> list[TableIndex]:
    """Return every HNSW index of a generation."""
    rows = runner.run(_LISTED, {"table": quote_table(layout.table)})
    return [TableIndex(*row) for row in rows]


def define_index(layout: Layout, name: str, options: HNSW) -> Index:
    """Return an HNSW index of a generation as SQLAlchemy's object."""
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
