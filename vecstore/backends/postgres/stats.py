"""Statistics of a generation's table, and the state of its index."""

from __future__ import annotations

from types import MappingProxyType

from vecstore.backend import IndexState, Stats

from .advisory_locks import make_builder_key
from .client import Client
from .column_types import quote_table
from .generation_table import Layout
from .indexes import choose_min_rows, find_complete, list_graphs
from .server_checks import Server
from .statements import Statement

_SIZES = Statement(
    "SELECT sum(pg_total_relation_size(relid))::bigint, sum(pg_indexes_size(relid))::bigint, "
    "coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_all_tables WHERE relid = to_regclass(%(table)s) "
    "OR relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(table)s))",
    MappingProxyType({}),
)
_SIZES_AT_WORKERS = Statement(
    "SELECT sum(citus_total_relation_size(logicalrelid))::bigint, "
    "sum(citus_total_relation_size(logicalrelid) - citus_table_size(logicalrelid))::bigint "
    "FROM pg_catalog.pg_dist_partition WHERE logicalrelid = to_regclass(%(table)s) "
    "OR logicalrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(table)s))",
    MappingProxyType({}),
)
"""What Citus has of a table on other servers, if it has; the dead rows there are not known."""
_BUILDING = Statement(
    "SELECT 1 FROM pg_stat_progress_create_index WHERE relid = to_regclass(%(table)s) "
    "OR relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(table)s)) UNION ALL "
    # Between the graphs of two partitions nothing is built for a moment.
    "SELECT 1 FROM pg_locks, pg_database WHERE pg_database.oid = database AND datname = current_database() "
    "AND locktype = 'advisory' AND objsubid = 1 AND classid::bigint << 32 | objid::bigint = %(builder)s::bigint",
    MappingProxyType({}),
)


def collect_stats(client: Client, server: Server, layout: Layout, count: int) -> Stats:
    """Return figures about a table of so many records."""
    name = quote_table(layout.table)
    rows = client.run(_SIZES_AT_WORKERS, {"table": name}) if server.has_citus else []
    is_elsewhere = bool(rows) and rows[0][0] is not None
    if not is_elsewhere:
        rows = client.run(_SIZES, {"table": name})
    total, indexes, *dead = (each or 0 for each in rows[0])
    details = {
        "table": name,
        **({"partitions": layout.partitions} if layout.partitions > 1 else {}),
        "index bytes": indexes,
        **({} if is_elsewhere else {"dead rows": dead[0]}),
        "pgvector": ".".join(map(str, server.pgvector)),
        "PostgreSQL": f"{server.version // 10_000}.{server.version % 10_000}",
    }
    return Stats(count, total, details)


def read_index_state(client: Client, layout: Layout, count: int, bare: int) -> IndexState:
    """Say how far the index of so many records, some of them without a vector, is, by the table's indexes alone."""
    graphs, least = list_graphs(client, layout), choose_min_rows(layout, client.options.index_min_rows)
    found = find_complete(graphs, layout)
    if found is not None:
        return IndexState("ready", count, count - bare, least, found.ef_construction, bare)
    if not graphs:
        return IndexState("none", count, 0, least, without_vector=bare)
    is_building = client.run(_BUILDING, {"table": quote_table(layout.table), "builder": make_builder_key(layout.id)})
    return IndexState("building" if is_building else "invalid", count, 0, least, without_vector=bare)
