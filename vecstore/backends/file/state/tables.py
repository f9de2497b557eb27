"""The tables of ``rows.db``."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType

from ..storage.connections import FORMAT
from .ledger import BARE, Ledger, Total
from .ledger import CREATE as CREATE_LEDGER
from .rows import RowFormat

_TABLES: Mapping[str, str] = MappingProxyType(
    {
        "hot": "CREATE TABLE hot(rid INTEGER PRIMARY KEY, vector BLOB NOT NULL)",
        "segments": "CREATE TABLE segments(base INTEGER PRIMARY KEY, last INTEGER, n INTEGER, uid TEXT, "
        "size INTEGER, crc INTEGER)",
        "dead": "CREATE TABLE dead(seq INTEGER PRIMARY KEY, rid INTEGER)",
        "tombstones": "CREATE TABLE tombstones(seq INTEGER PRIMARY KEY, id TEXT, version INTEGER)",
        "changes": "CREATE TABLE changes(seq INTEGER PRIMARY KEY, id TEXT, version INTEGER)",
    }
)
_COUNTERS = ("rid", "dead", "tombstones", "changes")


def create_tables(connection: sqlite3.Connection, owner: str, row_format: RowFormat) -> None:
    """Create all tables, with columns for declared fields, and an empty ledger, in the open transaction."""
    columns, is_bare_allowed = row_format.columns, row_format.version > FORMAT
    vector_crc = "INTEGER" if is_bare_allowed else "INTEGER NOT NULL"
    fields = "".join(f", {column}" for column in columns)
    connection.execute(
        "CREATE TABLE rows(rid INTEGER PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL, "
        f"body_crc INTEGER NOT NULL, vector_crc {vector_crc}{fields}, head_crc INTEGER NOT NULL, "
        "extra TEXT NOT NULL, text TEXT)"
    )
    for statement in (CREATE_LEDGER, *_TABLES.values()):
        connection.execute(statement)
    tables = {name: Total() for name in ("rows", *_TABLES, *([BARE] if is_bare_allowed else []))}
    Ledger(owner, next=dict.fromkeys(_COUNTERS, 1), tables=tables).write(connection)
