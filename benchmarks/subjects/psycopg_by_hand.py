"""The SQL that somebody who knows pgvector writes for this very table, with psycopg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from pgvector.psycopg import register_vector
from psycopg.rows import tuple_row

from ..condition import CONDITIONS, Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import BY_EFFORT, EF_CONSTRUCTION, Loads, M, Setting
from .postgres_database import PostgresDatabase

_TYPES = ("text", "int8", "vector", "text", "json", "text", "int8")
_COLUMNS = "id, version, embedding, body, extra, f_section, f_size"
_TABLE = """
CREATE TABLE {table} (
    id text COLLATE "C" PRIMARY KEY, version bigint NOT NULL, embedding vector({dim:d}), body text, extra json,
    f_section text COLLATE "C", f_size bigint
)
"""
_INDEXES = ("CREATE INDEX ON {table} (f_section)", "CREATE INDEX ON {table} (f_size)")
_BARE = ("ALTER TABLE {table} DROP CONSTRAINT {table}_pkey",)
_LOADED = "loaded"
_OPTIONS = f"m = {M}, ef_construction = {EF_CONSTRUCTION}"
_GRAPH = f"CREATE INDEX ON bench USING hnsw (embedding vector_cosine_ops) WITH ({_OPTIONS})"
_READ = "SELECT id, body, f_section, f_size, embedding <=> %(query)b AS distance FROM bench"
# A limit that is no parameter lets PostgreSQL keep the plan: 0.2 ms for each search.
_WALK = "ORDER BY embedding <=> %(query)b LIMIT {k:d}"
_COMPARE = "ORDER BY (embedding <=> %(query)b) + 0 LIMIT {k:d}"  # adding 0 keeps the graph out of it
_WHERE: Mapping[str, str] = {
    one.name: f"WHERE f_{one.field} {'=' if one.operator == '==' else one.operator} %(value)s" for one in CONDITIONS
}
_UPSERT = f"""
INSERT INTO bench ({_COLUMNS}) VALUES (%(id)s, 0, %(vector)b, %(text)s, NULL, %(section)s, %(size)s)
ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding, body = excluded.body, extra = excluded.extra,
    f_section = excluded.f_section, f_size = excluded.f_size
"""  # noqa: S608


class PsycopgByHand(PostgresDatabase):
    """One connection that commits each statement, prepared statements, binary values both ways."""

    title = "psycopg by hand"
    package = "psycopg"
    database = "psycopg_by_hand"
    filter_ladders = (({"exact": 1},), BY_EFFORT)

    def load(self, corpus: Corpus) -> None:
        """Copy all rows in, in one transaction."""
        self.create_database()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        self.open()
        self._create("bench", _INDEXES)
        self._copy("bench", corpus)

    def loads(self, corpus: Corpus) -> Loads:
        """Return ways of loading into a table anew: with all its B-trees, and with none."""
        return {
            "copy": (lambda: self._create(_LOADED, _INDEXES), lambda: self._copy(_LOADED, corpus)),
            "copy, no indexes": (lambda: self._create(_LOADED, _BARE), lambda: self._copy(_LOADED, corpus)),
        }

    def _create(self, table: str, statements: Sequence[str]) -> None:
        self._connection.execute(f"DROP TABLE IF EXISTS {table}".encode())
        for statement in (_TABLE, *statements):
            self._connection.execute(statement.format(table=table, dim=self.dim).encode())

    def _copy(self, table: str, corpus: Corpus) -> None:
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)".encode()) as copy,
        ):
            copy.set_types(_TYPES)
            for id_, vector, text, row in zip(corpus.ids, corpus.vectors, corpus.texts, corpus.metadata, strict=True):
                copy.write_row((id_, 0, vector, text, None, row["section"], row["size"]))

    def build(self) -> None:
        """Build the graph, and let the planner know the table."""
        self._connection.execute(_GRAPH.encode())
        self._connection.execute("ANALYZE bench")

    def open(self) -> None:
        """Connect."""
        self._connection = psycopg.connect(self.url, autocommit=True)
        register_vector(self._connection)
        self._connection.execute("SET hnsw.iterative_scan = strict_order")

    def tune(self, setting: Setting) -> None:
        """Set ``hnsw.ef_search`` for the session, or compare with every match."""
        self._order = _COMPARE if "exact" in setting else _WALK
        if "ef" in setting:
            self._connection.execute("SELECT set_config('hnsw.ef_search', %s, false)", (str(setting["ef"]),))

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Run one statement."""
        values: dict[str, Any] = {"query": query}
        where = ""
        if condition is not None:
            where, values["value"] = _WHERE[condition.name], condition.value
        return self._run(f"{_READ} {where} {self._order.format(k=k)}", values).fetchall()

    def rows(self, answer: Any) -> list[Row]:
        """Tuples."""
        return [Row(id_, text, {"section": section, "size": size}) for id_, text, section, size, _ in answer]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Insert or replace one row."""
        self._run(_UPSERT, {"id": row.id, "vector": vector, "text": row.text, **(row.metadata or {})})

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def _run(self, statement: str, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        cursor = self._connection.cursor(binary=True, row_factory=tuple_row)
        return cursor.execute(statement.encode(), values, prepare=True)
