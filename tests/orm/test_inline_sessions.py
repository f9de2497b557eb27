"""Sessions that embed inline: their connections, their flushes, and who else writes at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, select, text, update
from sqlalchemy.exc import SADeprecationWarning
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.pool import StaticPool

import vecstore
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import VectorColumn, VectorORM, searchable

from .application import DIM, embed_words, load

OLD, NEW = (FunctionEmbedder(embed_words, dim=DIM, name=name) for name in ("old", "new"))


@contextmanager
def open_leaves(engine: Engine, *embedders: FunctionEmbedder) -> Iterator[tuple[VectorORM, Any, sessionmaker[Session]]]:
    """Open an application whose only model has its vectors in its rows."""

    class Base(DeclarativeBase):
        pass

    class Leaf(Base):
        __tablename__ = "leaf"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str]
        embedding: Mapped[np.ndarray | None] = VectorColumn()
        search = searchable("body", into="embedding", freshness="inline")

    with VectorORM(Base, embedder=embedders) as vectors:
        Base.metadata.create_all(engine)
        yield vectors, Leaf, vectors.install(sessionmaker(engine))


@pytest.mark.parametrize(
    "options",
    [
        {"url": "sqlite://"},
        {"url": "sqlite://", "poolclass": StaticPool, "connect_args": {"check_same_thread": False}},
        {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1},
    ],
    ids=["memory", "one-connection", "pool-of-one"],
)
def test_a_flush_needs_no_second_connection(options: dict[str, Any], sqlite_url: str) -> None:
    engine = create_engine(**{"url": sqlite_url} | options)
    with open_leaves(engine, OLD) as (vectors, Leaf, sessions):
        with sessions() as session:
            session.add(Leaf(id=1, body="one"))
            session.flush()
            session.add(Leaf(id=2, body="two"))
            session.commit()
            session.add(Leaf(id=3, body="three"))
            session.flush()
            session.rollback()
        with sessions() as session:
            rows = session.execute(select(Leaf.id, Leaf.embedding).order_by(Leaf.id)).all()
            assert [(key, vector is not None) for key, vector in rows] == [(1, True), (2, True)]
        assert vectors.status()["Leaf.search"].pending == 0
    engine.dispose()


def test_a_column_that_changes_hands_within_a_flush_keeps_no_vector_of_the_former_embedder(engine: Engine) -> None:
    steps: list[Any] = []

    def embed(texts: list[str]) -> Any:
        if steps:
            steps.pop()()
        return -embed_words(texts)

    old = FunctionEmbedder(embed, dim=DIM, name="old")
    with open_leaves(engine, old, NEW) as (vectors, Leaf, sessions):
        with sessions.begin() as session:
            session.add(Leaf(body="first"))
        vectors.rebuild(Leaf.search)
        steps.append(lambda: vectors.drop_previous(Leaf.search))
        with sessions.begin() as session:
            session.add(Leaf(body="green tea"))
        vectors.sync_once()
        with engine.connect() as connection:
            found = connection.execute(select(Leaf.embedding).where(Leaf.body == "green tea")).scalar_one()
        assert np.allclose(found, embed_words(["green tea"])[0])


def test_a_note_says_nothing_of_a_column_that_changed_hands(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    with open_leaves(engine, OLD, NEW) as (vectors, Leaf, sessions):
        with sessions.begin() as session:
            session.add(Leaf(body="first"))
        with engine.begin() as connection:
            sink = vectors._open_declared(vectors._models[0], connection)
            connection.execute(text("UPDATE vecstore_column SET embedder = 'another'"))
            sink.note(connection, {(1,): "first"})
            assert connection.execute(text("SELECT count(*) FROM vecstore_digest")).scalar_one() == 0
    engine.dispose()


def test_a_worker_does_not_wait_for_a_session(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer")
    with open_leaves(engine, OLD) as (vectors, Leaf, sessions):
        with sessions.begin() as session:
            session.add_all([Leaf(id=1, body="a"), Leaf(id=2, body="b")])
        with engine.begin() as connection:
            connection.execute(update(Leaf.__table__).values(body=Leaf.body + " more"))
        with sessions() as session:
            load(session, Leaf, 2).body = "mine"
            session.flush()
            thread = threading.Thread(target=lambda: vectors._make_worker(10, 60.0).work())
            thread.start()
            thread.join(60)
            is_waiting = thread.is_alive()
            session.commit()
        thread.join()
        assert not is_waiting
        with engine.connect() as connection:
            digests = connection.execute(text("SELECT key FROM vecstore_digest ORDER BY key")).scalars().all()
        assert digests == ["[1]", "[2]"]


def test_a_flush_of_some_objects_leaves_the_others(engine: Engine) -> None:
    with open_leaves(engine, OLD) as (vectors, Leaf, sessions):
        with sessions() as session:
            one, two = Leaf(body="one"), Leaf(body="two")
            session.add_all([one, two])
            with pytest.warns(SADeprecationWarning):
                session.flush([one])
            counted = session.connection().execute(text("SELECT count(*) FROM vecstore_digest"))
            assert counted.scalar_one() == 1
            session.commit()
        [check] = vectors.verify()
        assert (check.ok, check.rows, vectors.sync_once()) == (True, 2, 0)


def test_sessions_that_are_bound_class_by_class(engine: Engine) -> None:
    with open_leaves(engine, OLD) as (vectors, Leaf, _):
        sessions = vectors.install(sessionmaker(binds={Leaf: engine}), engine=engine)
        with sessions.begin() as session:
            session.add(Leaf(body="green tea"))
        with sessions() as session:
            for exact in (False, True):
                [(row, _)] = vectors.search(session, Leaf.search, "green tea", exact=exact)
                assert row.embedding is not None
            assert vectors.search(session, Leaf.search, "green tea", where=Leaf.id < 0) == []
        assert vectors.status()["Leaf.search"].pending == 0


def test_a_database_without_the_table_of_columns(engine: Engine) -> None:
    with open_leaves(engine, OLD) as (vectors, Leaf, sessions):
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE vecstore_column"))
        with sessions.begin() as session:
            session.add(Leaf(body="green tea"))  # left to a worker, without a failure of the flush
        expected = pytest.raises(vecstore.errors.MigrationRequired, match="has no table vecstore_column")
        with sessions() as session, expected:
            vectors.search(session, Leaf.search, "green tea")
        with pytest.raises(vecstore.errors.MigrationRequired, match="has no table vecstore_column"):
            vectors.verify()
        with sessions() as session:
            assert session.scalars(select(Leaf.body)).all() == ["green tea"]
