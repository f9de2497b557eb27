"""Building an HNSW index while the store is in use, removing one, and vacuuming."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, Literal

import psycopg
from sqlalchemy import Index
from sqlalchemy.schema import CreateIndex, DropIndex

from vecstore.backend import Progress
from vecstore.errors import VecstoreError
from vecstore.index_options import HNSW
from vecstore.progress import CallbackFailed

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
    "SELECT tuples_done FROM pg_stat_progress_create_index "
    "WHERE relid = to_regclass(%(table)s) AND phase LIKE 'building index%%'",
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
        before = list_graphs(self._client, self._layout)
        name = f"vecstore_h_{self._layout.id[:16]}_{secrets.token_hex(4)}"
        if on_progress:
            on_progress("indexing", 0, total)
        try:
            self._create(define_index(self._layout, name, options), total, on_progress)
        except CallbackFailed:
            self._remove_unfinished(name)
            raise
        self.remove(before)
        self._maintain("ANALYZE")
        if on_progress:
            on_progress("indexing", total, total)

    def _create(self, index: Index, total: int, on_progress: Progress | None) -> None:
        with self._hold_connection() as connection, ThreadPoolExecutor(1) as thread:
            # The thread starts before the statement: an interrupt while a thread starts leaves it running, and unknown
            # to the executor, which then does not wait for it.
            thread.submit(int).result()
            connection.add_notice_handler(_warn_of_memory)
            running = thread.submit(_run, connection, compile_statement(CreateIndex(index)))
            try:
                self._follow(running, total, on_progress)
            except BaseException:
                _cancel(connection, running)
                raise
            finally:
                connection.remove_notice_handler(_warn_of_memory)

    def remove(self, indexes: Sequence[TableIndex]) -> None:
        """Remove indexes while searches go on."""
        for each in indexes:
            index = define_index(self._layout, each.name, HNSW())
            with self._hold_connection() as connection:
                _run(connection, compile_statement(DropIndex(index, if_exists=True)))

    def vacuum(self) -> None:
        """Free the space of removed rows, in the table and in the graph."""
        self._maintain("VACUUM (ANALYZE, INDEX_CLEANUP ON)")

    def _maintain(self, command: Literal["ANALYZE", "VACUUM (ANALYZE, INDEX_CLEANUP ON)"]) -> None:
        with self._hold_connection() as connection:
            _run(connection, Statement(f"{command} {quote_table(self._layout.table)}", MappingProxyType({})))

    def _follow(self, running: Future[None], total: int, on_progress: Progress | None) -> None:
        table, shown = {"table": quote_table(self._layout.table)}, 0
        while True:
            try:
                return running.result(timeout=POLL)
            except NotYet:
                rows = self._client.run(_PROGRESS, table) if on_progress else []
            done = min(total, max([shown, *(done for (done,) in rows)]))
            if on_progress and done > shown:
                on_progress("indexing", done, total)
            shown = done

    def _remove_unfinished(self, name: str) -> None:
        """Remove what a build left that the caller gave up. Where writers keep it waiting, the next build does it."""
        patience = {"lock_timeout": format_lock_timeout(self._client.options)}
        with suppress(VecstoreError), self._hold_connection(patience) as connection:
            _run(connection, compile_statement(DropIndex(define_index(self._layout, name, HNSW()), if_exists=True)))

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
