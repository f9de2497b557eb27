"""Common to the subjects of vecstore on a server."""

from __future__ import annotations

from vecstore import Flat, Schema, VectorStore, fields

from ..arrow_table import make_table
from ..corpus import Corpus
from ..subject import Loads
from .vecstore_directory import records
from .vecstore_hnsw import VecstoreHnsw

_NAME, _LOADED = "bench", "loaded"


class VecstoreServed(VecstoreHnsw):
    """An indexed store, with what the URL's defaults give."""

    has_batches = False
    has_threads = False

    def load(self, corpus: Corpus) -> None:
        """Insert all records from a generator."""
        self._connect()
        self._store = self._create(_NAME)
        self._store.insert(records(corpus))

    def loads(self, corpus: Corpus) -> Loads:
        """Return the two ways of writing many records, of records and of columns, into a store anew."""

        def prepare() -> None:
            if _LOADED in self._database.names():
                self._database.drop(_LOADED)
            self._create(_LOADED)

        def insert() -> None:
            self._database.open(_LOADED).insert(records(corpus))

        def upsert() -> None:
            self._database.open(_LOADED).upsert(records(corpus))

        def insert_columns() -> None:
            self._database.open(_LOADED).insert(make_table(corpus))

        def upsert_columns() -> None:
            self._database.open(_LOADED).upsert(make_table(corpus))

        return {
            "insert": (prepare, insert),
            "upsert": (prepare, upsert),
            "insert of columns": (prepare, insert_columns),
            "upsert of columns": (prepare, upsert_columns),
        }

    def _create(self, name: str) -> VectorStore:
        kept = {"section": fields.Keyword(), "size": fields.Int()}
        return self._database.create(name, Schema(dim=self.dim, metric="cosine", index=Flat(), fields=kept))
