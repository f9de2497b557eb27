"""langchain-postgres: `PGVectorStore` as its documentation sets it up."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_postgres import Column, PGEngine, PGVectorStore  # type: ignore[import-not-found]
from langchain_postgres.v2.indexes import HNSWIndex, HNSWQueryOptions  # type: ignore[import-not-found]

from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import EF_CONSTRUCTION, M, Setting
from .postgres_database import PostgresDatabase

_TABLE = "bench"
_FIELDS = ["section", "size"]
_BATCH = 1_000


class LangchainTable(PostgresDatabase):
    """A table with both fields as columns and a graph; iterative scans are nothing that it knows of."""

    title = "langchain-postgres"
    package = "langchain-postgres"
    database = "langchain_postgres"

    def load(self, corpus: Corpus) -> None:
        """Add all rows; each is a transaction of its own."""
        self.create_database()
        self._connect()
        self._engine.init_vectorstore_table(
            _TABLE,
            self.dim,
            id_column=Column("langchain_id", "TEXT", nullable=False),
            metadata_columns=[Column("section", "TEXT"), Column("size", "BIGINT")],
        )
        self._open(None)
        for start in range(0, len(corpus), _BATCH):
            part = slice(start, start + _BATCH)
            self._store.add_embeddings(
                corpus.texts[part], corpus.vectors[part].tolist(), corpus.metadata[part], corpus.ids[part]
            )

    def build(self) -> None:
        """Build the graph."""
        self._store.apply_vector_index(HNSWIndex(m=M, ef_construction=EF_CONSTRUCTION))

    def open(self) -> None:
        """Connect."""
        self._connect()
        self._open(None)

    def tune(self, setting: Setting) -> None:
        """Make a store object with ``ef_search``."""
        self._open(HNSWQueryOptions(ef_search=setting["ef"]))

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Search with distances."""
        where = None
        if condition is not None:
            where = {condition.field: {"$eq" if condition.operator == "==" else "$gt": condition.value}}
        return self._store.similarity_search_with_score_by_vector(query.tolist(), k, filter=where)

    def rows(self, answer: Any) -> list[Row]:
        """Documents with their distances."""
        return [Row(document.id, document.page_content, document.metadata) for document, _ in answer]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Add a list of one, which replaces a row of the same id."""
        self._store.add_embeddings([row.text or ""], [vector.tolist()], [dict(row.metadata or {})], [row.id])

    def close(self) -> None:
        """End the pool's connections."""
        asyncio.run(self._engine.close())

    def _connect(self) -> None:
        self._engine = PGEngine.from_connection_string(f"postgresql+psycopg{self.url.removeprefix('postgresql')}")

    def _open(self, options: HNSWQueryOptions | None) -> None:
        self._store = PGVectorStore.create_sync(
            self._engine,
            DeterministicFakeEmbedding(size=self.dim),
            _TABLE,
            metadata_columns=_FIELDS,
            index_query_options=options,
        )
