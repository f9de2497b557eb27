"""langchain-redis: `RedisVectorStore` with a schema of one's own, which is where ``ef`` can be set."""

from __future__ import annotations

from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_redis import RedisConfig, RedisVectorStore  # type: ignore[import-not-found]
from redisvl.schema import IndexSchema  # type: ignore[import-not-found]

from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import EF_CONSTRUCTION, M, Setting
from .redis_namespace import RedisNamespace
from .redisvl_index import to_expression

_FLAT = {"algorithm": "flat"}
_BATCH = 1_000


class LangchainHashes(RedisNamespace):
    """One index, whose ``ef`` is fixed when it is made: each rung of the ladder is a graph of its own."""

    title = "langchain-redis"
    package = "langchain-redis"
    namespace = "vecstore_bench_langchain"
    _ef: int | None = None

    def load(self, corpus: Corpus) -> None:
        """Add all rows below an index without a graph."""
        self.clear()
        self._connect(_FLAT)
        for start in range(0, len(corpus), _BATCH):
            part = slice(start, start + _BATCH)
            self._given.vectors = list(corpus.vectors[part])
            self._store.add_texts(corpus.texts[part], corpus.metadata[part], corpus.ids[part])
        self._rows = len(corpus)

    def build(self) -> None:
        """Make an index with a graph over the same hashes."""
        self._rebuild(self.ladder[0]["ef"])

    def open(self) -> None:
        """Connect to the index as it was left."""
        self._given = _Given()
        self._store = RedisVectorStore(
            self._given,
            RedisConfig(
                index_name=self.namespace, key_prefix=self.namespace, from_existing=True, redis_url=self.url,
                embedding_dimensions=self.dim,
            ),
        )  # fmt: skip

    def tune(self, setting: Setting) -> None:
        """Make the index anew where it has another ``ef``; what an earlier process left has the right one."""
        if self._ef is not None and self._ef != setting["ef"]:
            self._rebuild(setting["ef"])

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Search with distances."""
        return self._store.similarity_search_with_score_by_vector(query.tolist(), k, to_expression(condition))

    def rows(self, answer: Any) -> list[Row]:
        """Documents with their distances; the key and the distance are among the metadata."""
        start = len(self.namespace) + 1
        found = []
        for document, _ in answer:
            metadata = {name: document.metadata[name] for name in ("section", "size")}
            found.append(Row(document.metadata["id"][start:], document.page_content, metadata))
        return found

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Add a list of one, which replaces a row of the same key."""
        self._given.vectors = [vector]
        self._store.add_texts([row.text or ""], [dict(row.metadata or {})], [row.id])

    def close(self) -> None:
        """Disconnect."""
        self._store.index.client.close()

    def _rebuild(self, ef: int) -> None:
        self._store.index.delete(drop=False)
        self._connect({"algorithm": "hnsw", "m": M, "ef_construction": EF_CONSTRUCTION, "ef_runtime": ef})
        self._ef = ef
        self.wait(self.namespace, self._rows)

    def _connect(self, algorithm: dict[str, Any]) -> None:
        vector = {"dims": self.dim, "distance_metric": "cosine", "datatype": "float32", **algorithm}
        fields = [
            {"name": "section", "type": "tag"},
            {"name": "size", "type": "numeric"},
            {"name": "embedding", "type": "vector", "attrs": vector},
        ]
        index = {"name": self.namespace, "prefix": self.namespace, "storage_type": "hash"}
        schema = IndexSchema.from_dict({"index": index, "fields": fields})
        self._given = _Given()
        self._store = RedisVectorStore(
            self._given, RedisConfig.from_schema(schema, redis_url=self.url, embedding_dimensions=self.dim)
        )


class _Given(Embeddings):
    """Stands where a model would: answers with vectors that are already there."""

    vectors: list[Vectors]

    def embed_documents(self, texts: list[str]) -> Any:
        """Return the vectors."""
        return self.vectors

    def embed_query(self, text: str) -> list[float]:
        """Fail: queries are vectors."""
        raise NotImplementedError
