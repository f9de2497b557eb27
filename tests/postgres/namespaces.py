"""Namespaces with an empty catalogue, which places use one after another.

Creating and dropping one takes longer than most tests of the suite.
"""

from __future__ import annotations

import re
import secrets
from functools import cache
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from vecstore import migrate

_ANY = "any_namespace"
_OBJECTS = "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s"
_TABLE = re.compile("vecstore_g_[0-9a-f]{32}")
_OF_STORES = re.compile(rf"{_TABLE.pattern}\w*|vecstore_h_\w+")  # a table or an index of one
_EMPTY = sql.SQL(
    "DELETE FROM vecstore_change; DELETE FROM vecstore_store; DELETE FROM vecstore_generation; "
    "DELETE FROM vecstore_follower_note; DELETE FROM vecstore_follower_left; "
    "SELECT setval('vecstore_change_seq', 1, false)"
)


@cache
def write_catalogue_sql() -> str:
    """Return what ``vecstore migrate sql`` prints; running it is faster than a migration for each test."""
    return migrate.sql(namespace=_ANY)


def create_catalogue(link: psycopg.Connection, namespace: str) -> None:
    link.execute(write_catalogue_sql().replace(_ANY, namespace).encode())


class Namespaces:
    """Namespaces of one database, to take and give back. They are dropped with the database.

    Parameters
    ----------
    server : str
        The database's URL, as its owner.
    """

    def __init__(self, server: str) -> None:
        self._link = psycopg.connect(server, autocommit=True)
        self._free: list[str] = []
        self._catalogue: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._link.close()

    def take(self) -> str:
        """Return an unused namespace, with a catalogue and no store."""
        if self._free:
            return self._free.pop()
        namespace = f"t_{secrets.token_hex(8)}"
        create_catalogue(self._link, namespace)
        self._catalogue = self._list_objects(namespace)
        return namespace

    def give_back(self, namespace: str) -> None:
        """Remove all stores, or the namespace itself where it holds more than stores and the catalogue."""
        found = self._list_objects(namespace)
        if {name for name in found if not _OF_STORES.fullmatch(name)} != self._catalogue:
            self._link.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(namespace)))
            return
        parts = [sql.SQL("SET search_path TO {}").format(sql.Identifier(namespace))]
        tables = [sql.Identifier(name) for name in found if _TABLE.fullmatch(name)]
        if tables:
            parts.append(sql.SQL("DROP TABLE {}").format(sql.SQL(", ").join(tables)))
        self._link.execute(sql.SQL("; ").join([*parts, _EMPTY]))  # at once, and one transaction
        self._free.append(namespace)

    def _list_objects(self, namespace: str) -> set[str]:
        return {name for (name,) in self._link.execute(_OBJECTS, [namespace])}
