"""redisvl: a `SearchIndex` over hashes and `VectorQuery`, as its documentation shows them."""

from __future__ import annotations

from typing import Any

from redisvl.index import SearchIndex  # type: ignore[import-not-found]
from redisvl.query import VectorQuery  # type: ignore[import-not-found]
from redisvl.query.filter import FilterExpression, Num, Tag  # type: ignore[import-not-found]

from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import BY_EFFORT, EF_CONSTRUCTION, M, Setting
from .redis_namespace import RedisNamespace

_FLAT = {"algorithm": "flat"}
_GRAPH = {"algorithm": "hnsw", "m": M, "ef_construction": EF_CONSTRUCTION}
_RETURNED = ["text", "section", "size"]
_BATCH = 1_000


class RedisvlIndex(RedisNamespace):
    """One index; numbers come back as strings."""

    title = "redisvl"
    package = "redisvl"
    namespace = "vecstore_bench_redisvl"
    filter_ladders = (({"exact": 1},), BY_EFFORT)

    def load(self, corpus: Corpus) -> None:
        """Load all rows below an index without a graph."""
        self.clear()
        self._index = self._create_index(_FLAT)
        self._index.create()
        rows = zip(corpus.ids, corpus.vectors, corpus.texts, corpus.metadata, strict=True)
        self._index.load(
            [{"vector": vector.tobytes(), "text": text, **metadata} for _, vector, text, metadata in rows],
            keys=[self._index.key(id_) for id_ in corpus.ids],
            batch_size=_BATCH,
        )
        self._rows = len(corpus)

    def build(self) -> None:
        """Make an index with a graph over the same hashes."""
        self._index.delete(drop=False)
        self.open()
        self._index.create()
        self.wait(self.namespace, self._rows)

    def open(self) -> None:
        """Make the index object, which connects when it is used."""
        self._index = self._create_index(_GRAPH)

    def tune(self, setting: Setting) -> None:
        """Take ``ef``, or compare with every match."""
        self._options = {"hybrid_policy": "ADHOC_BF"} if "exact" in setting else {"ef_runtime": setting["ef"]}

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Search with distances."""
        asked = VectorQuery(
            query.tobytes(), "vector", _RETURNED, to_expression(condition), num_results=k, **self._options
        )
        return self._index.query(asked)

    def rows(self, answer: Any) -> list[Row]:
        """Dictionaries; ids are keys without their prefix."""
        start = len(self.namespace) + 1
        return [
            Row(hit["id"][start:], hit["text"], {"section": hit["section"], "size": int(hit["size"])}) for hit in answer
        ]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Load a list of one, which replaces a row of the same key."""
        record = {"vector": vector.tobytes(), "text": row.text or "", **(row.metadata or {})}
        self._index.load([record], keys=[self._index.key(row.id)])

    def close(self) -> None:
        """Disconnect."""
        self._index.disconnect()

    def _create_index(self, algorithm: dict[str, Any]) -> SearchIndex:
        vector = {"dims": self.dim, "distance_metric": "cosine", "datatype": "float32", **algorithm}
        fields = [
            {"name": "section", "type": "tag"},
            {"name": "size", "type": "numeric"},
            {"name": "vector", "type": "vector", "attrs": vector},
        ]
        schema = {"index": {"name": self.namespace, "prefix": self.namespace, "storage_type": "hash"}, "fields": fields}
        return SearchIndex.from_dict(schema, redis_url=self.url)


def to_expression(condition: Condition | None) -> FilterExpression | None:
    """Return a condition as a filter expression."""
    if condition is None:
        return None
    value = condition.value
    return Tag(condition.field) == value if condition.operator == "==" else Num(condition.field) > value
