"""The tables of ``rows.db``."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from .ledger import CREATE as CREATE_LEDGER
from .ledger import Ledger, Total

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


def create_tables(connection: sqlite3.Connection, owner: str, columns: Sequence[str]) -> None:
    """Create all tables, with columns for declared fields, and an empty ledger, in the open transaction."""
    fields = "".join(f", {column}" for column in columns)
    connection.execute(
        "CREATE TABLE rows(rid INTEGER PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL, "
        f"body_crc INTEGER NOT NULL, vector_crc INTEGER NOT NULL{fields}, head_crc INTEGER NOT NULL, "
        "extra TEXT NOT NULL, text TEXT)"
    )
    for statement in (CREATE_LEDGER, *_TABLES.values()):
        connection.execute(statement)
    tables = {name: Total() for name in ("rows", *_TABLES)}
    Ledger(owner, next=dict.fromkeys(_COUNTERS, 1), tables=tables).write(connection)
