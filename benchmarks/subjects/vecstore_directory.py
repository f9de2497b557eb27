"""A vecstore directory: common to the indexed and the exact subject."""

from __future__ import annotations

from collections.abc import Iterator

import vecstore
from vecstore import F, Filter, Flat, Hits, Record, Schema, fields

from ..condition import Condition
from ..corpus import Corpus, Row, Vectors
from ..subject import Setting, Subject

_NAME = "bench"


class VecstoreDirectory(Subject):
    """One store in a directory, loaded without an index."""

    package = "vecstore-db"
    durable = "yes"
    has_rows = True
    is_persistent = True

    def load(self, corpus: Corpus) -> None:
        """Upsert all records from a generator."""
        self.create()
        self._store.upsert(records(corpus))

    def create(self) -> None:
        """Create the store."""
        self._connect()
        kept = {"section": fields.Keyword(), "size": fields.Int()}
        self._store = self._database.create(_NAME, Schema(dim=self.dim, metric="cosine", index=Flat(), fields=kept))

    def open(self) -> None:
        """Open the directory and the store."""
        self._connect()
        self._store = self._database.open(_NAME)

    def tune(self, setting: Setting) -> None:
        """Take ``ef``; without one, the store's own calibration holds."""
        self._ef = setting.get("ef")

    def rows(self, answer: Hits) -> list[Row]:
        """Hits have them."""
        return [Row(hit.id, hit.text, hit.metadata) for hit in answer]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Upsert a list of one."""
        self._store.upsert([Record(row.id, vector, row.text, row.metadata or {})])

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _connect(self) -> None:
        self._database = vecstore.connect(f"file:{self.folder}")


def records(corpus: Corpus) -> Iterator[Record]:
    """Return the rows of a corpus as records, made one after another."""
    return map(Record, corpus.ids, corpus.vectors, corpus.texts, corpus.metadata)


def to_filter(condition: Condition | None) -> Filter | None:
    """Return a condition as a filter."""
    if condition is None:
        return None
    field = getattr(F, condition.field)
    made: Filter = field == condition.value if condition.operator == "==" else field > condition.value
    return made
