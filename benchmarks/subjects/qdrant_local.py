"""qdrant-client in its local mode: numpy over all rows, sqlite for keeping them."""

from __future__ import annotations

import uuid
import warnings
from typing import Any

from qdrant_client import QdrantClient, models

from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import AS_IT_IS, Setting, Subject

_NAME = "bench"
_BATCH = 1_000

# It advises to run a server from 20,000 points on, with every call.
warnings.filterwarnings("ignore", message="Local mode is not recommended", category=UserWarning)


class QdrantLocal(Subject):
    """One collection, searched exactly; local mode has no index."""

    title = "qdrant-client local"
    package = "qdrant-client"
    durable = "yes"
    ladder = AS_IT_IS
    has_rows = True
    has_filters = True
    is_persistent = True

    def load(self, corpus: Corpus) -> None:
        """Upsert in batches; each point is a commit of its own."""
        self._connect()
        self._client.create_collection(
            _NAME, vectors_config=models.VectorParams(size=self.dim, distance=models.Distance.COSINE)
        )
        for start in range(0, len(corpus), _BATCH):
            places = range(start, min(start + _BATCH, len(corpus)))
            self._client.upsert(_NAME, [_make_point(corpus.row(place), corpus.vectors[place]) for place in places])

    def open(self) -> None:
        """Open the directory, which reads every point."""
        self._connect()

    def tune(self, setting: Setting) -> None:
        """Nothing to choose."""

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Query with payloads."""
        return self._client.query_points(
            _NAME, query=query, limit=k, query_filter=_to_filter(condition), with_payload=True
        ).points

    def rows(self, answer: Any) -> list[Row]:
        """Payloads hold the ids too: its own are numbers or UUIDs."""
        return [
            Row(point.payload["id"], point.payload["text"], {name: point.payload[name] for name in ("section", "size")})
            for point in answer
        ]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Upsert a list of one."""
        self._client.upsert(_NAME, [_make_point(row, vector)])

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _connect(self) -> None:
        self._client = QdrantClient(path=str(self.folder))


def _make_point(row: Row, vector: Vectors) -> models.PointStruct:
    return models.PointStruct(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, row.id)),
        vector=vector.tolist(),
        payload={"id": row.id, "text": row.text, **(row.metadata or {})},
    )


def _to_filter(condition: Condition | None) -> models.Filter | None:
    if condition is None:
        return None
    if condition.operator == "==":
        match = models.FieldCondition(key=condition.field, match=models.MatchValue(value=condition.value))
    else:
        match = models.FieldCondition(key=condition.field, range=models.Range(gt=condition.value))
    return models.Filter(must=[match])
