"""Building HNSW indexes while the store is in use, removing them, and vacuuming.

A partitioned table has an index for each partition. Several are built at once, in the memory of one; see `build_plan`.
Only when all are complete are those removed that they replace.
"""

from __future__ import annotations

import secrets
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from types import MappingProxyType
from typing import Any, Literal

import psycopg
from sqlalchemy import Index
from sqlalchemy.schema import CreateIndex, DropIndex

from vecstore.backend import Progress
from vecstore.errors import VecstoreError
from vecstore.index_options import HNSW
from vecstore.progress import CallbackFailed

from .build_plan import BuildPlan, plan_build
from .client import Client
from .column_types import quote_table
from .failures import translate
from .generation_table import Layout
from .indexes import TableIndex, define_index, list_graphs
from .server_checks import Server, ServerWarning
from .session_settings import change_settings, format_lock_timeout, make_build_settings
from .statements import Statement, compile_statement

_NONE: Mapping[str, str] = MappingProxyType({})
POLL = 0.2
"""Seconds between two reads of a build's progress."""
_PROGRESS = Statement(
    "SELECT coalesce(sum(tuples_done), 0)::bigint FROM pg_stat_progress_create_index WHERE relid IN ("
    "SELECT to_regclass(%(table)s) UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(table)s)"
    ") AND phase LIKE 'building index%%'",
    MappingProxyType({}),
)


class Builder:
    """Builds and removes the HNSW indexes of one generation, on connections of a pool."""

    def __init__(self, client: Client, server: Server, layout: Layout) -> None:
        self._client = client
        self._server = server
        self._layout = layout

    def build(self, options: HNSW, total: int, on_progress: Progress | None) -> None:
        """Build a new index beside the present ones, then remove those; searches and writers go on meanwhile."""
        before, layout = list_graphs(self._client, self._layout), self._layout
        name = f"vecstore_h_{layout.id[:16]}_{secrets.token_hex(4)}"
        indexes = [define_index(layout, name, options)]
        if layout.partitions > 1:
            indexes = [define_index(part, f"{name}_{n}", options) for n, part in enumerate(layout.list_parts())]
        if on_progress:
            on_progress("indexing", 0, total)
        try:
            self._create(indexes, plan_build(self._client, self._server, layout, total, options.m), total, on_progress)
        except CallbackFailed:
            self._remove_unfinished(indexes)
            raise
        self.remove(before)
        self._maintain("ANALYZE")
        if on_progress:
            on_progress("indexing", total, total)

    def _create(self, indexes: Sequence[Index], plan: BuildPlan, total: int, on_progress: Progress | None) -> None:
        left, settings = deque(compile_statement(CreateIndex(each)) for each in indexes), plan.list_settings()
        with ExitStack() as held:
            running: list[tuple[psycopg.Connection[Any], Future[None]]] = []
            at_once = held.enter_context(self._client.build_lanes.take(plan.at_once))
            lanes = [
                (held.enter_context(self._hold_connection(settings)), held.enter_context(ThreadPoolExecutor(1)))
                for _ in range(at_once)
            ]
            for connection, thread in lanes:
                # The thread starts before the statement: an interrupt while a thread starts leaves it running, and
                # unknown to the executor, which then does not wait for it.
                thread.submit(int).result()
                connection.add_notice_handler(_warn_of_memory)
                held.callback(connection.remove_notice_handler, _warn_of_memory)
            try:
                for connection, thread in lanes:
                    running.append((connection, thread.submit(_run_all, connection, left)))
                self._follow([each for _, each in running], lambda: len(left), len(indexes), total, on_progress)
            except BaseException:
                left.clear()
                for connection, each in running:
                    _cancel(connection, each)
                raise

    def remove(self, indexes: Sequence[TableIndex]) -> None:
        """Remove indexes while searches go on."""
        for each in indexes:
            index = define_index(self._layout, each.name, HNSW())  # of any table: only its name is written
            with self._hold_connection() as connection:
                _run(connection, compile_statement(DropIndex(index, if_exists=True)))

    def vacuum(self) -> None:
        """Free the space of removed rows, in the table and in the graph."""
        self._maintain("VACUUM (ANALYZE, INDEX_CLEANUP ON)")

    def _maintain(self, command: Literal["ANALYZE", "VACUUM (ANALYZE, INDEX_CLEANUP ON)"]) -> None:
        with self._hold_connection() as connection:
            _run(connection, Statement(f"{command} {quote_table(self._layout.table)}", MappingProxyType({})))

    def _follow(
        self,
        running: Sequence[Future[None]],
        count_left: Callable[[], int],
        graphs: int,
        total: int,
        on_progress: Progress | None,
    ) -> None:
        table, shown = {"table": quote_table(self._layout.table)}, 0
        while (found := wait(running, POLL, FIRST_EXCEPTION)).not_done:
            for each in found.done:
                each.result()
            finished = max(0, graphs - count_left() - len(found.not_done))
            rows = self._client.run(_PROGRESS, table) if on_progress else []
            done = min(total, max([shown, *(total * finished // graphs + int(done) for (done,) in rows)]))
            if on_progress and done > shown:
                on_progress("indexing", done, total)
            shown = done
        for each in running:
            each.result()

    def _remove_unfinished(self, indexes: Sequence[Index]) -> None:
        """Remove what a build left that the caller gave up. Where writers keep it waiting, the next build does it."""
        patience = {"lock_timeout": format_lock_timeout(self._client.options)}
        with suppress(VecstoreError), self._hold_connection(patience) as connection:
            for each in indexes:
                _run(connection, compile_statement(DropIndex(each, if_exists=True)))

    @contextmanager
    def _hold_connection(self, changes: Mapping[str, str] = _NONE) -> Iterator[psycopg.Connection[Any]]:
        """Check out a connection for long work; behind PgBouncer it keeps the server's settings."""
        settings = make_build_settings(self._client.options, self._server)
        settings |= changes if settings else _NONE
        try:
            with self._client.connection() as connection, change_settings(connection, settings):
                yield connection
        except psycopg.Error as error:
            raise translate(error) from error


def _cancel(connection: psycopg.Connection[Any], running: Future[None]) -> None:
    """Cancel a statement, again until it has ended: the server ignores a request that arrives before the statement."""
    while not running.cancel() and not running.done():
        connection.cancel_safe()
        wait([running], POLL)


def _run_all(connection: psycopg.Connection[Any], left: deque[Statement]) -> None:
    """Run statements one after another, those that other threads leave."""
    while True:
        try:
            statement = left.popleft()
        except IndexError:
            return
        _run(connection, statement)


def _run(connection: psycopg.Connection[Any], statement: Statement) -> None:
    connection.execute(statement.text, statement.constants or None, prepare=False)


def _warn_of_memory(notice: psycopg.errors.Diagnostic) -> None:
    if "maintenance_work_mem" in (notice.message_primary or ""):
        warnings.warn(
            "The graph does not fit into the server's maintenance_work_mem, so building it takes much longer. "
            "Connect with ?build_memory=<megabytes>.",
            ServerWarning,
            stacklevel=2,
        )
