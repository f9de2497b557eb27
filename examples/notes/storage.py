"""The objects that the application has once: engine, sessions, and the vectors of the notes.

``vecstore sync`` finds them here, too: ``vecstore sync status examples.notes.storage:vectors``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.orm import sessionmaker

import vecstore
from vecstore.embedders import WordLlamaEmbedder
from vecstore.errors import BackendUnavailable, MigrationRequired
from vecstore.orm import VectorORM

from .models import Base
from .settings import read_settings

FOLDER = Path(__file__).parent
_log = logging.getLogger("notes")

settings = read_settings()
embedder = WordLlamaEmbedder()
vectors = VectorORM(Base, embedder=embedder, stores={"notes": settings.vectors_url})


def make_engine(url: str) -> Engine:
    """Return an engine; on SQLite one whose readers do not wait for a writer."""
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        database = make_url(url).database
        if database and database != ":memory:":
            Path(database).parent.mkdir(parents=True, exist_ok=True)

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA busy_timeout = 10000")

    return engine


engine = make_engine(settings.database_url)
Session = vectors.install(sessionmaker(engine))


def upgrade() -> bool:
    """Bring the tables, and the catalogue of stores on PostgreSQL, to the present revision; say if all is new."""
    with engine.connect() as connection:
        before = MigrationContext.configure(connection).get_current_revision()
    config = Config(FOLDER / "alembic.ini")
    command.upgrade(config, "head")
    try:
        _prepare_vectors(is_changed=before not in ScriptDirectory.from_config(config).get_heads())
    except BackendUnavailable as error:  # the notes are there nevertheless, and the worker tries again
        _log.warning("there is no search by meaning: %s", error)
    return before is None


def _prepare_vectors(*, is_changed: bool) -> None:
    try:
        vecstore.connect(settings.vectors_url).close()
    except MigrationRequired:
        vecstore.connect(settings.vectors_url, migrate=True).close()
    if is_changed:
        # There may be notes from before they were searchable, or that changed while there was no outbox.
        vectors.verify(fix=True)
