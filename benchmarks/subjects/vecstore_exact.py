"""vecstore without an index: exact search, ids and scores."""

from __future__ import annotations

from vecstore import Hits

from ..arrow_table import make_table
from ..condition import Condition
from ..corpus import Corpus, Vectors
from ..subject import AS_IT_IS
from .vecstore_directory import VecstoreDirectory, to_filter


class VecstoreExact(VecstoreDirectory):
    """A flat store, asked for ids and scores as the raw libraries are."""

    title = "vecstore, exact"
    ladder = AS_IT_IS
    has_rows = False
    has_batches = True
    is_persistent = False

    def load(self, corpus: Corpus) -> None:
        """Upsert the table of Arrow columns that lancedb is given."""
        self.create()
        self._store.upsert(make_table(corpus))

    def search(self, query: Vectors, k: int, condition: Condition | None) -> Hits:
        """Compare with every row."""
        return self._store.search(query, k, where=to_filter(condition), exact=True, include=())

    def search_many(self, queries: Vectors, k: int) -> list[Hits]:
        """Compare all queries with every row."""
        return self._store.search_many(queries, k, exact=True, include=())
