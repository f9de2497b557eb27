"""zvec in a local directory."""

from __future__ import annotations

from typing import Any

import zvec
from zvec import DataType, Doc, FieldSchema, HnswIndexParam, InvertIndexParam, MetricType, VectorSchema

from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import EF_CONSTRUCTION, M, Setting, Subject

_BATCH = 1_000
_COLUMNS = ["text", "section", "size"]


class ZvecCollection(Subject):
    """One collection with a graph, and inverted indexes on both fields."""

    title = "zvec"
    package = "zvec"
    durable = "yes, by flush()"
    has_rows = True
    has_filters = True
    has_threads = True
    is_persistent = True

    def load(self, corpus: Corpus) -> None:
        """Upsert in batches, then flush."""
        zvec.init()
        graph = HnswIndexParam(metric_type=MetricType.COSINE, m=M, ef_construction=EF_CONSTRUCTION)
        schema = zvec.CollectionSchema(
            name="bench",
            fields=[
                FieldSchema("text", DataType.STRING),
                FieldSchema("section", DataType.STRING, index_param=InvertIndexParam()),
                FieldSchema("size", DataType.INT64, index_param=InvertIndexParam(enable_range_optimization=True)),
            ],
            vectors=[VectorSchema("vector", DataType.VECTOR_FP32, self.dim, index_param=graph)],
        )
        self._collection = zvec.create_and_open(str(self.folder), schema)
        for start in range(0, len(corpus), _BATCH):
            places = range(start, min(start + _BATCH, len(corpus)))
            self._upsert([_make_doc(corpus.row(place), corpus.vectors[place]) for place in places])
        self._collection.flush()

    def build(self) -> None:
        """Merge what was loaded, and build its graph."""
        self._collection.optimize()

    def open(self) -> None:
        """Open the directory."""
        zvec.init()
        self._collection = zvec.open(str(self.folder))

    def tune(self, setting: Setting) -> None:
        """Take ``ef``."""
        self._parameters = zvec.HnswQueryParam(ef=setting["ef"])

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Query with all fields."""
        return self._collection.query(
            zvec.Query("vector", vector=query, param=self._parameters),
            topk=k,
            filter=None if condition is None else _to_expression(condition),
            output_fields=_COLUMNS,
        )

    def rows(self, answer: Any) -> list[Row]:
        """Documents have them."""
        return [
            Row(doc.id, doc.fields["text"], {"section": doc.fields["section"], "size": doc.fields["size"]})
            for doc in answer
        ]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Upsert a list of one; without the flush nothing is synced."""
        self._upsert([_make_doc(row, vector)])
        self._collection.flush()

    def close(self) -> None:
        """Close the collection."""
        self._collection.close()

    def _upsert(self, docs: list[Doc]) -> None:
        for status in self._collection.upsert(docs):
            if not status.ok():
                raise ValueError(f"zvec refused a document: {status.message()}")


def _make_doc(row: Row, vector: Vectors) -> Doc:
    return Doc(id=row.id, vectors={"vector": vector}, fields={"text": row.text, **(row.metadata or {})})


def _to_expression(condition: Condition) -> str:
    value = f"'{condition.value}'" if isinstance(condition.value, str) else str(condition.value)
    return f"{condition.field} {'=' if condition.operator == '==' else condition.operator} {value}"
