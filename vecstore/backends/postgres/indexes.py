"""HNSW indexes: listing them, building one while the store is in use, and removing one.

Only ``pg_index`` says whether an index is usable. An interrupted build leaves an invalid index behind, which no search
uses but ``IF NOT EXISTS`` takes for a complete one.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import psycopg
from sqlalchemy import Index
from sqlalchemy.schema import CreateIndex, DropIndex

from vecstore.backend import Progress
from vecstore.index_options import HNSW

from .column_types import quote_name, quote_table
from .failures import translate
from .generation_table import Layout
from .metrics import METRICS, cast_for_index
from .pool import Pool
from .server import SAFE_PARALLEL_BUILDS, Server, ServerWarning
from .statements import Statement, compile_statement
from .transaction import Runner

POLL = 0.2
"""Seconds between two reads of a build's progress."""

_LISTED = Statement(
    "SELECT name.relname, indisvalid AND indisready FROM pg_index "
    "JOIN pg_class name ON name.oid = indexrelid JOIN pg_am ON pg_am.oid = name.relam "
    "WHERE indrelid = to_regclass(%(table)s) AND amname = 'hnsw' ORDER BY name.relname",
    MappingProxyType({}),
)
_PROGRESS = Statement(
    "SELECT tuples_done FROM pg_stat_progress_create_index WHERE relid = to_regclass(%(table)s) AND tuples_total > 0",
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
    """

    name: str
    valid: bool


def list_graphs(runner: Runner, layout: Layout) -> list[TableIndex]:
    """Return every HNSW index of a generation."""
    rows = runner.run(_LISTED, {"table": quote_table(layout.table)})
    return [TableIndex(name, valid) for name, valid in rows]


class Builder:
    """Builds and removes the HNSW indexes of one generation, on connections of a pool."""

    def __init__(self, pool: Pool, server: Server, layout: Layout) -> None:
        self._pool = pool
        self._server = server
        self._layout = layout

    def build(self, options: HNSW, total: int, on_progress: Progress | None) -> None:
        """Build a new index beside the present ones, then remove those; searches and writers go on meanwhile."""
        before = list_graphs(self._pool, self._layout)
        index = self._index(f"vecstore_h_{self._layout.id[:16]}_{secrets.token_hex(4)}", options)
        with self._hold_connection() as connection, ThreadPoolExecutor(1) as thread:
            connection.add_notice_handler(_warn_of_memory)
            running = thread.submit(_run, connection, compile_statement(CreateIndex(index)))
            try:
                self._follow(running, total, on_progress)
            except BaseException:
                connection.cancel_safe()
                raise
            finally:
                connection.remove_notice_handler(_warn_of_memory)
        self.remove(before)
        self._maintain("ANALYZE")
        if on_progress:
            on_progress(total, total)

    def remove(self, indexes: Sequence[TableIndex]) -> None:
        """Remove indexes while searches go on."""
        for each in indexes:
            with self._hold_connection() as connection:
                _run(connection, compile_statement(DropIndex(self._index(each.name, HNSW()), if_exists=True)))

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
                rows = self._pool.run(_PROGRESS, table) if on_progress else []
            done = min(total, max([shown, *(done for (done,) in rows)]))
            if on_progress and done > shown:
                on_progress(done, total)
            shown = done

    def _index(self, name: str, options: HNSW) -> Index:
        # On a copy of the table, because SQLAlchemy adds an Index to its table for good.
        copy = self._layout.copy()
        opclass = f"{copy.indexed_as}_{METRICS[copy.schema.metric].opclass}"
        return Index(
            name,
            cast_for_index(copy).label("embedding"),
            postgresql_using="hnsw",
            postgresql_ops={"embedding": f"{quote_name(copy.extension)}.{opclass}"},
            postgresql_with={"m": options.m, "ef_construction": options.ef_construction},
            postgresql_concurrently=True,
        )

    @contextmanager
    def _hold_connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Check out a connection for long work; behind PgBouncer it keeps the server's settings."""
        options = self._pool.options
        settings = {"statement_timeout": "0", "lock_timeout": "0"}
        if options.build_memory:
            settings["maintenance_work_mem"] = f"{options.build_memory}MB"
        if options.build_workers is not None:
            settings["max_parallel_maintenance_workers"] = str(options.build_workers)
        if self._server.pgvector < SAFE_PARALLEL_BUILDS:
            settings["max_parallel_maintenance_workers"] = "0"
        if not options.prepare:
            settings = {}
        try:
            with self._pool.connection() as connection:
                before = {name: _change_setting(connection, name, value) for name, value in settings.items()}
                try:
                    yield connection
                finally:
                    if not connection.closed:
                        for name, value in before.items():
                            _change_setting(connection, name, value)
        except psycopg.Error as error:
            raise translate(error) from error


def _change_setting(connection: psycopg.Connection[Any], name: str, value: str) -> str:
    """Change a setting of the session and return its previous value."""
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    return str(row[0]) if row else ""


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
