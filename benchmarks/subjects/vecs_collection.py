"""vecs: a collection, with the text among the metadata, since it has nowhere else for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import vecs  # type: ignore[import-not-found]

from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import EF_CONSTRUCTION, M, Setting
from .postgres_database import PostgresDatabase

_NAME = "bench"
_TEXT = "text"


class VecsCollection(PostgresDatabase):
    """One collection with a graph; filters look into JSON, and iterative scans are nothing that it knows of."""

    title = "vecs"
    package = "vecs"
    database = "vecs"

    def load(self, corpus: Corpus) -> None:
        """Upsert all rows, in one transaction."""
        self.create_database()
        self._connect()
        self._collection = self._client.get_or_create_collection(_NAME, dimension=self.dim)
        self._collection.upsert(_records(corpus), skip_adapter=True)

    def build(self) -> None:
        """Build the graph."""
        graph = vecs.IndexArgsHNSW(m=M, ef_construction=EF_CONSTRUCTION)
        self._collection.create_index(vecs.IndexMeasure.cosine_distance, vecs.IndexMethod.hnsw, graph)

    def open(self) -> None:
        """Connect and find the collection."""
        self._connect()
        self._collection = self._client.get_collection(_NAME)

    def tune(self, setting: Setting) -> None:
        """Take ``ef_search``."""
        self._ef = setting["ef"]

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Search with distances and metadata."""
        where = None
        if condition is not None:
            where = {condition.field: {"$eq" if condition.operator == "==" else "$gt": condition.value}}
        return self._collection.query(
            query, k, where, include_value=True, include_metadata=True, ef_search=self._ef, skip_adapter=True
        )

    def rows(self, answer: Any) -> list[Row]:
        """Tuples; the text is taken out of the metadata."""
        return [
            Row(id_, metadata[_TEXT], {key: value for key, value in metadata.items() if key != _TEXT})
            for id_, _, metadata in answer
        ]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Upsert a list of one."""
        self._collection.upsert([(row.id, vector, {_TEXT: row.text, **(row.metadata or {})})], skip_adapter=True)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()

    def _connect(self) -> None:
        self._client = vecs.create_client(self.url)


def _records(corpus: Corpus) -> Iterator[tuple[str, Vectors, dict[str, Any]]]:
    for id_, vector, text, metadata in zip(corpus.ids, corpus.vectors, corpus.texts, corpus.metadata, strict=True):
        yield id_, vector, {_TEXT: text, **metadata}
