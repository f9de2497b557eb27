"""The index of a generation in PostgreSQL: when it is built, removed and vacuumed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import BigInteger, Select, func, literal_column, select

from vecstore.backend import Generation, Progress
from vecstore.index_options import HNSW

from ..shared.index_policy import BUSY, IndexUpkeep
from .advisory_locks import hold_lock, make_builder_key
from .catalogue import Catalogue
from .client import Client
from .followed.follower import FollowerTable
from .generation_table import Layout, Layouts
from .index_build import Builder
from .indexes import choose_min_rows, find_complete, list_graphs
from .reads import is_searchable
from .server_checks import Server
from .statements import Statement, compile_statement, make_parameter


class Upkeep(IndexUpkeep):
    """The index of one generation after another, on connections of a pool."""

    def __init__(self, client: Client, server: Server, layouts: Layouts, catalogue: Catalogue) -> None:
        super().__init__(client.options.index_min_rows)
        self._client = client
        self._server = server
        self._layouts = layouts
        self._catalogue = catalogue

    def compact(self, generation: Generation, count: int, on_progress: Progress | None) -> bool:
        """Give back the space of removed rows; return whether there is a graph that this has changed."""
        with self._lock(generation):
            if on_progress:
                on_progress("compacting", 0, count)
            self._builder(generation).vacuum()
            if on_progress:
                on_progress("compacting", count, count)
        return self._has_graph(generation)

    def _builder(self, generation: Generation) -> Builder:
        return Builder(self._client, self._server, self._layouts.get(generation))

    def _may_build(self, generation: Generation) -> bool:
        return not FollowerTable(self._client.options.namespace).is_followed(self._client, generation.id)

    def _get_min_rows(self, generation: Generation) -> int:
        return choose_min_rows(self._layouts.get(generation), self._min_rows)

    def _has_graph(self, generation: Generation) -> bool:
        layout = self._layouts.get(generation)
        return find_complete(list_graphs(self._client, layout), layout) is not None

    def _count_up_to(self, generation: Generation, most: int) -> int:
        [(count,)] = self._client.run(_compile_bounded_count(self._layouts.get(generation)), {"most": most})
        return int(count)

    def _read_description(self, generation: Generation) -> Generation:
        return self._catalogue.read_generation(self._client, generation)

    def _lock(self, generation: Generation) -> AbstractContextManager[None]:
        return hold_lock(self._client, make_builder_key(generation.id), BUSY)

    def _replace(self, generation: Generation, graph: HNSW | None, on_progress: Progress | None) -> None:
        layout, builder = self._layouts.get(generation), self._builder(generation)
        if graph is None:
            builder.remove(list_graphs(self._client, layout))
            return
        [(count,)] = self._client.run(_compile_count(layout), {})
        builder.build(graph, int(count), on_progress)


def _compile_count(layout: Layout) -> Statement:
    """Count the records with a vector of a table, whatever the role of its generation."""
    return compile_statement(select(func.count()).select_from(layout.table).where(is_searchable(layout, None)))


def _compile_bounded_count(layout: Layout) -> Statement:
    some: Select[Any] = (
        select(literal_column("1").label("one"))
        .where(is_searchable(layout, None))
        .limit(make_parameter("most", BigInteger()))
    )
    return compile_statement(select(func.count()).select_from(some.subquery("some")))
