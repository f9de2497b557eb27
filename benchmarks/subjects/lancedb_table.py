"""lancedb on a local directory."""

from __future__ import annotations

from typing import Any

import lancedb
from lancedb.index import Bitmap, BTree, HnswSq

from ..arrow_table import make_table
from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import AS_IT_IS, EF_CONSTRUCTION, M, Setting, Subject

_NAME = "bench"
_COLUMNS = ["id", "text", "section", "size", "_distance"]


class LancedbTable(Subject):
    """One table with a graph over 8-bit codes, whose candidates are refined, and indexes on both fields."""

    title = "lancedb IVF_HNSW_SQ"
    package = "lancedb"
    durable = "no fsync"
    ladder = (*AS_IT_IS, *({"ef": ef, "refine_factor": 2} for ef in (24, 32, 48, 64, 80, 96, 128, 192, 256, 384, 512)))
    has_rows = True
    has_filters = True
    has_batches = True
    has_threads = True
    is_persistent = True

    def load(self, corpus: Corpus) -> None:
        """Create the table from Arrow columns."""
        self._table = lancedb.connect(self.folder).create_table(_NAME, make_table(corpus))

    def build(self) -> None:
        """Build one graph over all rows, as the other subjects do, and the indexes that filters use."""
        graph = HnswSq(distance_type="cosine", num_partitions=1, m=M, ef_construction=EF_CONSTRUCTION)
        self._table.create_index("vector", config=graph)
        self._table.create_index("section", config=Bitmap())
        self._table.create_index("size", config=BTree())

    def open(self) -> None:
        """Open the directory and the table."""
        self._table = lancedb.connect(self.folder).open_table(_NAME)

    def tune(self, setting: Setting) -> None:
        """Take ``ef`` and ``refine_factor``; without them, lancedb's defaults hold."""
        self._setting = setting

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Search the table's only partition; texts and fields come back, vectors do not."""
        return self._make_search(query, k, condition).to_list()

    def search_many(self, queries: Vectors, k: int) -> Any:
        """Search with a list of vectors; each row says to which of them it belongs."""
        return self._make_search(list(queries), k, None).to_list()

    def rows_many(self, answers: Any) -> list[list[Row]]:
        """Dicts of all columns, nearest first for each query."""
        found: dict[int, list[Any]] = {}
        for row in answers:
            found.setdefault(row["query_index"], []).append(row)
        return [self.rows(sorted(found[query], key=lambda row: float(row["_distance"]))) for query in sorted(found)]

    def rows(self, answer: Any) -> list[Row]:
        """Dicts of all columns."""
        return [Row(row["id"], row["text"], {"section": row["section"], "size": row["size"]}) for row in answer]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Merge a list of one by id."""
        record = {"id": row.id, "vector": vector, "text": row.text, **(row.metadata or {})}
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute([record])

    def _make_search(self, query: Any, k: int, condition: Condition | None) -> Any:
        search = self._table.search(query).distance_type("cosine").nprobes(1).limit(k).select(_COLUMNS)
        if condition is not None:
            search = search.where(_to_sql(condition), prefilter=True)
        if self._setting:
            search = search.ef(self._setting["ef"]).refine_factor(self._setting["refine_factor"])
        return search


def _to_sql(condition: Condition) -> str:
    value = f"'{condition.value}'" if isinstance(condition.value, str) else str(condition.value)
    return f"{condition.field} {'=' if condition.operator == '==' else condition.operator} {value}"
