"""Statistics of a generation's table, and the state of its index."""

from __future__ import annotations

from types import MappingProxyType

from vecstore.backend import IndexState, Stats

from .client import Client
from .column_types import quote_table
from .generation_table import Layout
from .indexes import list_graphs
from .server_checks import Server
from .statements import Statement

_SIZES = Statement(
    "SELECT pg_total_relation_size(to_regclass(%(table)s)), pg_indexes_size(to_regclass(%(table)s)), "
    "n_dead_tup FROM pg_stat_all_tables WHERE relid = to_regclass(%(table)s)",
    MappingProxyType({}),
)
_BUILDING = Statement(
    "SELECT 1 FROM pg_stat_progress_create_index WHERE relid = to_regclass(%(table)s)", MappingProxyType({})
)


def collect_stats(client: Client, server: Server, layout: Layout, count: int) -> Stats:
    """Return figures about a table of so many records."""
    name = quote_table(layout.table)
    rows = client.run(_SIZES, {"table": name})
    total, indexes, dead = rows[0] if rows else (0, 0, 0)
    details = {
        "table": name,
        "index bytes": indexes,
        "dead rows": dead,
        "pgvector": ".".join(map(str, server.pgvector)),
        "PostgreSQL": f"{server.version // 10_000}.{server.version % 10_000}",
    }
    return Stats(count, total, details)


def read_index_state(client: Client, layout: Layout, count: int, bare: int) -> IndexState:
    """Say how far the index of so many records, some of them without a vector, is, by the table's indexes alone."""
    graphs, least = list_graphs(client, layout), client.options.index_min_rows
    for each in graphs:
        if each.valid:
            return IndexState("ready", count, count - bare, least, each.ef_construction, bare)
    if not graphs:
        return IndexState("none", count, 0, least, without_vector=bare)
    is_building = client.run(_BUILDING, {"table": quote_table(layout.table)})
    return IndexState("building" if is_building else "invalid", count, 0, least, without_vector=bare)
