"""qdrant-edge: the engine of Qdrant in this process."""

from __future__ import annotations

import uuid
from typing import Any

import qdrant_edge as edge

from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import EF_CONSTRUCTION, M, Setting, Subject

_BATCH = 1_000
_NO_SCANS = 1
"""Kilobytes: above this, a filtered search walks the graph where its planner expects that to be quicker."""


class QdrantEdgeShard(Subject):
    """One shard with a graph, and indexes on both fields."""

    title = "qdrant-edge"
    package = "qdrant-edge-py"
    durable = "yes, by flush()"
    has_rows = True
    has_filters = True
    has_batches = True
    has_threads = True
    is_persistent = True

    def load(self, corpus: Corpus) -> None:
        """Upsert in batches, then flush."""
        self.folder.mkdir(parents=True)
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=self.dim, distance=edge.Distance.Cosine),
            hnsw_config=edge.HnswIndexConfig(m=M, ef_construct=EF_CONSTRUCTION, full_scan_threshold=_NO_SCANS),
        )
        self._shard = edge.EdgeShard.create(str(self.folder), config)
        kinds = {"section": edge.PayloadSchemaType.Keyword, "size": edge.PayloadSchemaType.Integer}
        for field, kind in kinds.items():
            self._shard.update(edge.UpdateOperation.create_field_index(field, kind))
        for start in range(0, len(corpus), _BATCH):
            places = range(start, min(start + _BATCH, len(corpus)))
            points = [_make_point(corpus.row(place), corpus.vectors[place]) for place in places]
            self._shard.update(edge.UpdateOperation.upsert_points(points))
        self._shard.flush()

    def build(self) -> None:
        """Merge what was loaded, and build its graph."""
        self._shard.optimize()

    def open(self) -> None:
        """Open the directory."""
        self._shard = edge.EdgeShard.load(str(self.folder))

    def tune(self, setting: Setting) -> None:
        """Take ``ef``."""
        self._parameters = edge.SearchParams(hnsw_ef=setting["ef"])

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Search with payloads, which become Python values when they are asked for."""
        request = edge.SearchRequest(
            query=edge.Query.Nearest(query.tolist()),
            limit=k,
            filter=_to_filter(condition),
            params=self._parameters,
            with_payload=True,
        )
        return [point.payload for point in self._shard.search(request)]

    def search_many(self, queries: Vectors, k: int) -> Any:
        """Plan all queries as one batch."""
        requests = [
            edge.QueryRequest(
                limit=k, query=edge.Query.Nearest(query.tolist()), params=self._parameters, with_payload=True
            )
            for query in queries
        ]
        answers = self._shard.query_batch(edge.QueryBatchRequest(requests))
        return [[point.payload for point in answer] for answer in answers]

    def rows(self, answer: Any) -> list[Row]:
        """Payloads hold the ids too: its own are numbers or UUIDs."""
        return [
            Row(found["id"], found["text"], {name: found[name] for name in ("section", "size")}) for found in answer
        ]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Upsert a list of one; without the flush nothing is synced."""
        self._shard.update(edge.UpdateOperation.upsert_points([_make_point(row, vector)]))
        self._shard.flush()

    def close(self) -> None:
        """Close the shard."""
        self._shard.close()


def _make_point(row: Row, vector: Vectors) -> edge.Point:
    payload = {"id": row.id, "text": row.text, **(row.metadata or {})}
    return edge.Point(uuid.uuid5(uuid.NAMESPACE_OID, row.id), vector.tolist(), payload)


def _to_filter(condition: Condition | None) -> edge.Filter | None:
    if condition is None:
        return None
    if condition.operator == "==":
        field = edge.FieldCondition(key=condition.field, match=edge.MatchValue(value=condition.value))
    else:
        field = edge.FieldCondition(key=condition.field, range=edge.RangeFloat(gt=condition.value))
    return edge.Filter(must=[field])
