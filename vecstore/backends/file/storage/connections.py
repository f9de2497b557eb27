"""SQLite connections: how they are opened, created and copied."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vecstore.backends.shared.guards import refuse_newer
from vecstore.errors import StoreCorrupt, Unsupported

from . import os_calls
from .commit_mark import FileState
from .fork_gate import leak_in_child

FORMAT = 1
NEWEST = 2
"""Of row files: one that holds records without a vector has this format, and any other the first."""
DATA_VERSION = "PRAGMA data_version"
"""Gives a number that changes with every commit of another connection."""
_MAX_VALUE = 256 << 20
"""Far above the size of any row; a damaged file may claim any size."""

_PRAGMAS = ("mmap_size = 0", "trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = ON")
_READER = ("query_only = ON",)
# EXTRA also syncs the directory after the journal was removed, so an acknowledged commit cannot be rolled back.
_WRITER = ("synchronous = EXTRA", "cache_size = -65536", "journal_size_limit = 1048576")


class SqliteConnection(sqlite3.Connection):
    """A connection, and the state that its user last read through it."""

    stamp: tuple[int, Any] | None = None
    """SQLite's data version, and the state that the user read at that version."""
    file_state: FileState | None = None
    """That of the database file when the connection was checked out."""


@dataclass(frozen=True, slots=True)
class DatabaseKind:
    """One of the two kinds of database file."""

    application_id: int
    what: str
    journal: str


CATALOG = DatabaseKind(0x76736361, "catalogue", "delete")
# Its journal stays, with a header of zeros between commits: to make and to remove a file makes a commit three times as
# long. The catalogue seldom changes, and each search looks whether it has a journal.
ROWS = DatabaseKind(0x76737277, "row file", "persist")


def open_connection(path: Path, kind: DatabaseKind, timeout: float, *, writer: bool = False) -> SqliteConnection:
    """Open an existing database file.

    A reader also opens for writing if it may, since it has to roll back the transaction of a killed writer. On
    read-only media, SQLite itself falls back to reading.

    Raises
    ------
    StoreCorrupt, Unsupported
    """
    if os_calls.read_identity(path) is None:
        raise StoreCorrupt(f"{path} is missing. Restore it from a backup.")
    os_calls.read_identity(path.with_name(path.name + "-journal"))
    connection = _connect(path, timeout)
    try:
        for pragma in (*_PRAGMAS, *(_WRITER if writer else _READER)):
            connection.execute(f"PRAGMA {pragma}")
        application, version = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in _HEADER)
        if application != kind.application_id:
            raise StoreCorrupt(f"{path} is not a {kind.what} of vecstore, or its header is damaged.")
        if version > (NEWEST if kind is ROWS else FORMAT):
            refuse_newer(f"format {version} of {path}", "file")
        if version < FORMAT:
            raise Unsupported(f"format {version} of {path}", "file")
        if writer and connection.execute(f"PRAGMA journal_mode = {kind.journal}").fetchone()[0] != kind.journal:
            raise StoreCorrupt(f"{path} is not in rollback mode: its header is damaged.")
    except BaseException:
        connection.close()
        raise
    return connection


_HEADER = ("application_id", "user_version")


@contextmanager
def create_database(
    path: Path, kind: DatabaseKind, timeout: float, version: int = FORMAT
) -> Iterator[SqliteConnection]:
    """Create a database file; the changes of the context are committed at its end.

    It needs no journal on disk, since no process looks for the file before it is complete.
    """
    os_calls.create_empty_file(path)
    connection = _connect(path, timeout)
    try:
        for pragma in (*_PRAGMAS, *_WRITER, "journal_mode = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA application_id = {kind.application_id}")
        connection.execute(f"PRAGMA user_version = {version}")
        yield connection
        connection.execute("COMMIT")
    finally:
        abandon(connection)


def copy_database(connection: SqliteConnection, path: Path, kind: DatabaseKind, timeout: float) -> None:
    """Copy one commit of a database into a new file, durably except for its name."""
    os_calls.create_empty_file(path)
    copy = _connect(path, timeout)
    try:
        for pragma in (*_PRAGMAS, *_WRITER, "journal_mode = MEMORY"):
            copy.execute(f"PRAGMA {pragma}")
        connection.backup(copy)
    finally:
        copy.close()
    open_connection(path, kind, timeout).close()


def abandon(connection: SqliteConnection) -> None:
    """Roll back any open transaction and close the connection, whatever its state."""
    with contextlib.suppress(sqlite3.Error):
        rollback(connection)
    with contextlib.suppress(sqlite3.Error):
        connection.close()


def _connect(path: Path, timeout: float) -> SqliteConnection:
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw",
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        factory=SqliteConnection,
        uri=True,
    )
    leak_in_child(connection)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
    return connection


@contextmanager
def begin_reading(connection: SqliteConnection) -> Iterator[None]:
    """Keep reading one state of the database while the context lasts."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        rollback(connection)


def rollback(connection: SqliteConnection) -> None:
    """Roll back the open transaction, if any."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def check_integrity(connection: SqliteConnection, path: Path) -> list[str]:
    """Return the problems that SQLite finds in a file."""
    with begin_reading(connection):
        answers = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(10)")]
    return [] if answers == ["ok"] else [f"{path}: {answer}" for answer in answers]
