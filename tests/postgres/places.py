"""Where the conformance suite runs on PostgreSQL: a namespace for each place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, LiteralString

import numpy as np
import psycopg
from psycopg import sql

import vecstore
from tests.places import present
from vecstore import Database, registry
from vecstore.backend import Backend
from vecstore.testing import Place, RawGeneration, RawIndex, RawRecord

from .namespaces import Namespaces

_GRAPHS = """
SELECT index.reloptions FROM pg_index
JOIN pg_class index ON index.oid = indexrelid JOIN pg_am ON pg_am.oid = index.relam
JOIN pg_class records ON records.oid = indrelid JOIN pg_namespace ON pg_namespace.oid = records.relnamespace
WHERE amname = 'hnsw' AND indisvalid AND indisready AND records.relname ~ %s AND nspname = %s
"""


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename ~ '^vecstore_g_[0-9a-f]{32}$'"


class PostgresPlace(Place):
    """A separate namespace. Indexes are built from 32 records on, so tests of the suite reach them.

    Parameters
    ----------
    server : str
    min_rows : int
    namespaces : Namespaces, optional
        Of the same server, for many places.
    """

    part = 6

    def __init__(self, server: str, min_rows: int = 32, namespaces: Namespaces | None = None) -> None:
        self.server = server
        self._min_rows = min_rows
        self._backends: list[Backend] = []
        self._held = ExitStack()
        self._namespaces = namespaces or self._held.enter_context(Namespaces(server))
        self.namespace = self._namespaces.take()

    @property
    def url(self) -> str:
        mark = "&" if "?" in self.server else "?"
        return f"{self.server}{mark}index_min_rows={self._min_rows}&namespace={self.namespace}"

    def connect(self) -> Database:
        return vecstore.connect(self.url)

    def backend(self) -> Backend:
        backend = registry.connect(self.url)
        self._backends.append(backend)
        return backend

    def indexes(self, store: str) -> Sequence[RawIndex]:
        with psycopg.connect(self.server) as link:
            generation, _ = self._active(link, store)
        return self._list_graphs(f"vecstore_g_{generation}(_p[0-9]+)?")

    def _list_graphs(self, table: str) -> Sequence[RawIndex]:
        """Return the graphs of the tables whose names match."""
        with psycopg.connect(self.server) as link:
            rows = link.execute(_GRAPHS, (f"^{table}$", self.namespace)).fetchall()
        options = [dict(each.split("=") for each in listed) for (listed,) in rows]
        return [RawIndex(int(each["m"]), int(each["ef_construction"])) for each in options]

    def _active(self, link: psycopg.Connection, store: str) -> tuple[str, Any]:
        """Return the id of a store's active generation, and its schema."""
        described = sql.SQL(
            "SELECT active, schema FROM {}.vecstore_store JOIN {}.vecstore_generation ON id = active WHERE name = %s"
        ).format(sql.Identifier(self.namespace), sql.Identifier(self.namespace))
        [found] = link.execute(described, (store,)).fetchall()
        return found

    def raw(self, store: str) -> Mapping[str, RawRecord]:
        with psycopg.connect(self.server) as link:
            generation, schema = self._active(link, store)
            records = sql.SQL("SELECT row_to_json(r), vector_send(embedding::vector) FROM {}.{} r").format(
                sql.Identifier(self.namespace), sql.Identifier(f"vecstore_g_{generation}")
            )
            rows = link.execute(records).fetchall()
        return {row["id"]: decode_record(row, sent, schema) for row, sent in rows if row["extra"] is not None}

    def generations(self) -> Mapping[str, RawGeneration]:
        with psycopg.connect(self.server) as link:
            tables = link.execute(_TABLES, (self.namespace,)).fetchall()
            names = {name.removeprefix("vecstore_g_") for (name,) in tables}
            noted = self._select(link, "SELECT generation, id FROM {}.{} ORDER BY seq", "vecstore_change")
            named = self._select(link, "SELECT id FROM {}.{}", "vecstore_generation")
            found = {}
            for generation in names | {id_ for (id_,) in named} | {generation for generation, _ in noted}:
                statement = "SELECT id, version, extra IS NULL FROM {}.{}"
                rows = self._select(link, statement, f"vecstore_g_{generation}") if generation in names else []
                found[generation] = RawGeneration(
                    {id_: version for id_, version, removed in rows if not removed},
                    {id_: version for id_, version, removed in rows if removed},
                    [id_ for owner, id_ in noted if owner == generation],
                )
        return found

    def _select(self, link: psycopg.Connection, statement: LiteralString, table: str) -> list[Any]:
        """Return the rows of a table of the namespace."""
        query = sql.SQL(statement).format(sql.Identifier(self.namespace), sql.Identifier(table))
        return link.execute(query).fetchall()

    def close(self) -> None:
        for backend in self._backends:
            backend.close()
        with self._held:
            self._namespaces.give_back(self.namespace)


def decode_record(row: Mapping[str, Any], sent: bytes | None, schema: Mapping[str, Any]) -> RawRecord:
    vector = None if sent is None else np.frombuffer(sent[4:], ">f4").astype(schema["dtype"]).tobytes()
    declared = {name: decode_value(row[f"f_{name}"], kind) for name, kind in schema["fields"].items()}
    return RawRecord(row["body"], vector, {**row["extra"], **present(declared)})


def decode_value(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "keywords":
        return tuple(value)
    if kind == "datetime":
        return int(np.datetime64(value.removesuffix("+00:00"), "us").astype(np.int64))
    return float(value) if kind == "float" else value
