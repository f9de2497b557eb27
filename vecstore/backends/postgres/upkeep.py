"""The index of a generation in PostgreSQL: building and removing it, its state, and figures about the table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger, Select, func, literal_column, select

from vecstore.backend import Generation, IndexState, Progress, Stats
from vecstore.errors import StoreLocked
from vecstore.index_options import HNSW, IndexOptions

from ..shared.index_policy import BUSY, IndexUpkeep
from .catalogue import Catalogue
from .column_types import quote_table
from .generation_guard import make_lock_key
from .generation_table import Layout, Layouts
from .indexes import Builder, list_graphs
from .pool import Pool
from .reads import is_live
from .server import Server
from .statements import Statement, compile_statement, make_parameter

_TRY_LOCK = Statement("SELECT pg_try_advisory_xact_lock(%(lock)s)", MappingProxyType({}))
_SIZES = Statement(
    "SELECT pg_total_relation_size(to_regclass(%(table)s)), pg_indexes_size(to_regclass(%(table)s)), "
    "n_dead_tup FROM pg_stat_all_tables WHERE relid = to_regclass(%(table)s)",
    MappingProxyType({}),
)
_BUILDING = Statement(
    "SELECT 1 FROM pg_stat_progress_create_index WHERE relid = to_regclass(%(table)s)", MappingProxyType({})
)
_BUILDER = 1
"""Distinguishes the lock of a generation's builder from that of its writers."""


class Upkeep(IndexUpkeep):
    """The index of one generation after another, on connections of a pool."""

    def __init__(self, pool: Pool, server: Server, layouts: Layouts, catalogue: Catalogue) -> None:
        super().__init__(pool.options.index_min_rows)
        self._pool = pool
        self._server = server
        self._layouts = layouts
        self._catalogue = catalogue

    def compact(self, generation: Generation) -> bool:
        """Give back the space of removed rows; return whether there is a graph that this has changed."""
        with self._lock(generation):
            self._builder(generation).vacuum()
        return self._has_graph(generation)

    def read_state(self, generation: Generation, count: int) -> IndexState:
        """Say how far the index of so many records is, by the table's indexes alone."""
        layout = self._layouts.get(generation)
        graphs = list_graphs(self._pool, layout)
        if any(each.valid for each in graphs):
            return IndexState("ready", count, count)
        if not graphs:
            return IndexState("none", count, 0)
        building = self._pool.run(_BUILDING, {"table": quote_table(layout.table)})
        return IndexState("building" if building else "invalid", count, 0)

    def read_stats(self, generation: Generation, count: int) -> Stats:
        """Return figures about so many records."""
        name = quote_table(self._layouts.get(generation).table)
        rows = self._pool.run(_SIZES, {"table": name})
        total, indexes, dead = rows[0] if rows else (0, 0, 0)
        details = {
            "table": name,
            "index bytes": indexes,
            "dead rows": dead,
            "pgvector": ".".join(map(str, self._server.pgvector)),
            "PostgreSQL": f"{self._server.version // 10_000}.{self._server.version % 10_000}",
        }
        return Stats(count, total, details)

    @contextmanager
    def hold_lock(self, lock: int, refusal: str) -> Iterator[None]:
        """Hold an advisory lock in an open transaction; it is released with the connection, however that ends."""
        with self._pool.transaction() as transaction:
            [(held,)] = transaction.run(_TRY_LOCK, {"lock": lock})
            if not held:
                raise StoreLocked(refusal)
            transaction.rest()
            yield

    def _builder(self, generation: Generation) -> Builder:
        return Builder(self._pool, self._server, self._layouts.get(generation))

    def _has_graph(self, generation: Generation) -> bool:
        return any(each.valid for each in list_graphs(self._pool, self._layouts.get(generation)))

    def _count_up_to(self, generation: Generation, most: int) -> int:
        [(count,)] = self._pool.run(_compile_bounded_count(self._layouts.get(generation)), {"most": most})
        return int(count)

    def _read_options(self, generation: Generation) -> IndexOptions:
        return self._catalogue.read_options(self._pool, generation.id)

    def _lock(self, generation: Generation) -> AbstractContextManager[None]:
        return self.hold_lock(make_lock_key(generation.id) ^ _BUILDER, BUSY)

    def _replace(self, generation: Generation, graph: HNSW | None, on_progress: Progress | None) -> None:
        layout, builder = self._layouts.get(generation), self._builder(generation)
        if graph is None:
            builder.remove(list_graphs(self._pool, layout))
            return
        [(count,)] = self._pool.run(_compile_count(layout), {})
        builder.build(graph, int(count), on_progress)


def _compile_count(layout: Layout) -> Statement:
    """Count the records of a table, whatever the role of its generation."""
    return compile_statement(select(func.count()).select_from(layout.table).where(is_live(layout, None)))


def _compile_bounded_count(layout: Layout) -> Statement:
    some: Select[Any] = (
        select(literal_column("1").label("one"))
        .where(is_live(layout, None))
        .limit(make_parameter("most", BigInteger()))
    )
    return compile_statement(select(func.count()).select_from(some.subquery("some")))
