"""chromadb with its embedded, persistent client."""

from __future__ import annotations

from typing import Any

import chromadb

from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import EF_CONSTRUCTION, M, Setting, Subject

_NAME = "bench"


class ChromadbCollection(Subject):
    """One collection; its graph grows while rows are added, so that the build is in the load."""

    title = "chromadb"
    package = "chromadb"
    durable = "yes"
    has_rows = True
    has_filters = True
    has_batches = True
    has_threads = True
    is_persistent = True

    def load(self, corpus: Corpus) -> None:
        """Upsert in batches as large as the client allows."""
        self._connect()
        hnsw = {"space": "cosine", "max_neighbors": M, "ef_construction": EF_CONSTRUCTION}
        self._collection = self._client.create_collection(_NAME, embedding_function=None, configuration={"hnsw": hnsw})
        batch = self._client.get_max_batch_size()
        for start in range(0, len(corpus), batch):
            part = slice(start, start + batch)
            self._collection.upsert(
                ids=corpus.ids[part],
                embeddings=corpus.vectors[part],
                documents=corpus.texts[part],
                metadatas=corpus.metadata[part],
            )

    def open(self) -> None:
        """Open the directory and the collection."""
        self._connect()
        self._collection = self._client.get_collection(_NAME, embedding_function=None)

    def tune(self, setting: Setting) -> None:
        """Change ``ef_search``, which takes effect when the collection is opened the next time."""
        hnsw = self._collection.configuration_json["hnsw"]
        if hnsw["ef_search"] == setting["ef"]:
            return
        self._collection.modify(configuration={"hnsw": {"ef_search": setting["ef"]}})
        self.close()
        self.open()

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Query with texts and metadata."""
        return self._collection.query(
            query_embeddings=query[None],
            n_results=k,
            where=_to_where(condition),
            include=["documents", "metadatas", "distances"],
        )

    def search_many(self, queries: Vectors, k: int) -> Any:
        """Query with all vectors."""
        return self._collection.query(
            query_embeddings=queries, n_results=k, include=["documents", "metadatas", "distances"]
        )

    def rows_many(self, answers: Any) -> list[list[Row]]:
        """Columns for each query."""
        columns = zip(answers["ids"], answers["documents"], answers["metadatas"], strict=True)
        return [list(map(Row, *each)) for each in columns]

    def rows(self, answer: Any) -> list[Row]:
        """Columns for each query, of which there is one."""
        return list(map(Row, answer["ids"][0], answer["documents"][0], answer["metadatas"][0]))

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Upsert lists of one."""
        self._collection.upsert(
            ids=[row.id], embeddings=vector[None], documents=[row.text], metadatas=[dict(row.metadata or {})]
        )

    def close(self) -> None:
        """Close the client, so that the next one reads the directory again."""
        self._client.close()

    def _connect(self) -> None:
        self._client = chromadb.PersistentClient(
            str(self.folder), settings=chromadb.Settings(anonymized_telemetry=False)
        )


def _to_where(condition: Condition | None) -> Any:
    if condition is None:
        return None
    return {condition.field: {"$eq" if condition.operator == "==" else "$gt": condition.value}}
