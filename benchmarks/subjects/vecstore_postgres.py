"""vecstore on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

import vecstore
from vecstore import Flat, Schema, VectorStore, fields

from ..corpus import Corpus
from .postgres_database import Loads, PostgresDatabase
from .vecstore_hnsw import VecstoreHnsw
from .vecstore_shelf import records

_NAME, _LOADED = "bench", "loaded"


class VecstorePostgres(PostgresDatabase, VecstoreHnsw):
    """An indexed store, with what the URL's defaults give."""

    title = "vecstore on PostgreSQL"
    package = "vecstore"
    database = "vecstore_bench"

    def load(self, corpus: Corpus) -> None:
        """Insert all records from a generator."""
        self.create_database()
        self._connect()
        self._store = self._create(_NAME)
        self._store.insert(records(corpus))

    def loads(self, corpus: Corpus) -> Loads:
        """Return the two ways of writing many records, into a store anew."""

        def prepare() -> None:
            if _LOADED in self._database.names():
                self._database.drop(_LOADED)
            self._create(_LOADED)

        def insert() -> None:
            self._database.open(_LOADED).insert(records(corpus))

        def upsert() -> None:
            self._database.open(_LOADED).upsert(records(corpus))

        return {"insert": (prepare, insert), "upsert": (prepare, upsert)}

    def _create(self, name: str) -> VectorStore:
        kept = {"section": fields.Keyword(), "size": fields.Int()}
        return self._database.create(name, Schema(dim=self.dim, metric="cosine", index=Flat(), fields=kept))

    def _connect(self) -> None:
        self._database = vecstore.connect(self.url, migrate=True)


class VecstorePostgresUsing(VecstorePostgres):
    """The same store inside a transaction of the application's."""

    title = "vecstore, using()"

    def open(self) -> None:
        """Open the store and join a transaction that an engine with SQLAlchemy's defaults began."""
        super().open()
        self._engine = create_engine(make_url(self.url).set(drivername="postgresql+psycopg"))
        self._caller = self._engine.connect()
        self._caller.begin()
        self._store = self._store.using(self._caller)

    def close(self) -> None:
        """Roll the transaction back."""
        self._caller.close()
        self._engine.dispose()
        super().close()
