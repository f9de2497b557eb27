"""vecstore on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

import vecstore

from ..corpus import Corpus
from .postgres_database import PostgresDatabase
from .vecstore_served import VecstoreServed


class VecstorePostgres(PostgresDatabase, VecstoreServed):
    """An indexed store in a database of its own."""

    title = "vecstore on PostgreSQL"
    database = "vecstore_bench"

    def load(self, corpus: Corpus) -> None:
        """Insert all records into an empty database."""
        self.create_database()
        super().load(corpus)

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
